"""Asking the rollups of all regions, where that gives the answer and saves work."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import partial, reduce
from typing import TypeVar

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.cache import PartialKey
from consentryd.analytics.condition import Matcher
from consentryd.analytics.execution import ROW_BYTES, TOGETHER_ROWS
from consentryd.analytics.region_view import RegionView
from consentryd.analytics.rollup.bits import Ints
from consentryd.analytics.rollup.gathering import Gathering, bucket_sql, gathered, matches_sql
from consentryd.analytics.rollup.presence import Presence
from consentryd.analytics.rollup.standing import Register
from consentryd.analytics.rollup.wanted import Wanted, wanted_of
from consentryd.analytics.view import EVENTS
from consentryd.storage.lake import LakeFile

T = TypeVar("T")


def tally(
    asked: Asked, wanted: Wanted | None, work: Callable[[Presence], T], merge: Callable[[T, T], T], name: Hashable
) -> T | None:
    """What `work` makes of every bucket's presence, merged; None if the events have to be asked. `name` tells the work from any other."""
    found = None if wanted is None else _gathered(asked, wanted)
    if found is None:
        return None

    def make(each: Gathering) -> T:
        return reduce(merge, map(work, each.presences(asked.execution.control)))

    parts = [asked.execution.remembered(_key(each, ("presence", name)), partial(make, each)) for each in found]
    return reduce(merge, parts)


def totals(asked: Asked, matcher: Matcher, edges: tuple[int, ...]) -> Ints | None:
    """int64[n]: events by bucket; None if the events have to be asked."""
    wanted = wanted_of(asked, [matcher], edges)
    found = None if wanted is None else _gathered(asked, wanted, whole=True)
    if found is None:
        return None
    parts = [asked.execution.remembered(_key(each, "totals"), partial(_totals, each, asked)) for each in found]
    events: Ints = np.sum(parts, axis=0)
    return events


def _key(found: Gathering, name: Hashable) -> PartialKey:
    return PartialKey(found.view.region, found.view.data(None, found.wanted.span), (found.wanted, name))


def _gathered(asked: Asked, wanted: Wanted, *, whole: bool = False) -> Sequence[Gathering] | None:
    """By region; None if there is no rollup to ask, or too many events would have to be read beside them."""
    execution = asked.execution
    if execution.is_partial:
        return None
    found = [_of_region(view, wanted, asked, whole=whole) for view in execution.views]
    rolled = sum(each.rolled_events for each in found)
    most = min(max(TOGETHER_ROWS, rolled), execution.memory_bytes // ROW_BYTES)
    return found if rolled and all(each.other_events <= most for each in found) else None


def _of_region(view: RegionView, wanted: Wanted, asked: Asked, *, whole: bool) -> Gathering:
    rules = asked.execution.rules
    found = gathered(view, wanted, rules)
    if not whole:
        return found
    register = Register(view.snapshot, rules)
    return found.without([file for file, rollup in found.rolled.items() if not register.is_whole(rollup)])


def _totals(found: Gathering, asked: Asked) -> Ints:
    wanted = found.wanted
    counted = np.zeros(wanted.buckets, np.int64)
    for file in found.rolled:
        counted += _of_file(found, file, asked)
    names = wanted.definitions[0]
    rows = f"SELECT epoch_us(e.time) AS t FROM {EVENTS} e WHERE e.subject IS NOT NULL AND {matches_sql(names)}"
    table = found.rest_rows(
        f"SELECT {bucket_sql(wanted)} AS b, count(*) AS n FROM ({rows}) GROUP BY ALL", asked.execution.control
    )
    if table is not None:
        counted[table["b"].to_numpy()] += table["n"].to_numpy()
    return counted


def _of_file(found: Gathering, file: LakeFile, asked: Asked) -> Ints:
    rollup, wanted, rules = found.rolled[file], found.wanted, asked.execution.rules
    names = wanted.definitions[0]
    counted = np.zeros(wanted.buckets + 2, np.int64)
    places = np.array(wanted.places(rollup.edges)) + 1
    for section in rollup.sections:
        mine = section.event in names if names else section.event is None
        if mine and section.site == rules.site and section.purpose in rules.purposes:
            np.add.at(counted, places, section.totals)
    return counted[1:-1]
