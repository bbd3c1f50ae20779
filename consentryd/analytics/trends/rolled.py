"""Cells of measures that only count who came on which days, or how many events there were, from rollups."""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from operator import add
from typing import Final

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.group import ALL
from consentryd.analytics.period import Period
from consentryd.analytics.rollup.activity import first_words, trailing_of
from consentryd.analytics.rollup.answering import tally, totals
from consentryd.analytics.rollup.bits import Ints, anywhere, counts, firsts
from consentryd.analytics.rollup.presence import Presence
from consentryd.analytics.rollup.wanted import wanted_of
from consentryd.analytics.trends.aggregate import RANGE, Cells
from consentryd.analytics.trends.model import Measure
from consentryd.analytics.trends.rows import Frame

_FIRSTS: Final = frozenset({"first_time_event", "first_match"})


def rolled_cells(measure: Measure, frame: Frame, asked: Asked, *, buckets: bool, cumulative: bool) -> Cells | None:
    """Of `total`, distinct subjects and first times; None if the events have to be asked. `buckets`: with each bucket's cell."""
    if not _is_plain(frame):
        return None
    found: Ints | None
    if measure.math == "total":
        found = totals(asked, measure, frame.period.edges)
        found = None if found is None else np.append(found, found.sum())
    else:
        ever = measure.math in _FIRSTS
        wanted = wanted_of(asked, [measure], frame.period.edges, history=ever)
        found = tally(asked, wanted, partial(_distinct, ever=ever, cumulative=cumulative), add, ("distinct", ever, cumulative))
    return None if found is None else _cells(found, buckets=buckets)


def rolled_trailing(measure: Measure, frame: Frame, days: Period, window: int, asked: Asked) -> Cells | None:
    """Distinct subjects of the `window` days that end with each bucket's last day."""
    if not _is_plain(frame):
        return None
    found = trailing_of(measure, days.edges, (window,), asked)
    if found is None:
        return None
    ends = [days.bucket_at(end - 1) for end in frame.period.edges[1:]]
    return {(ALL, bucket): int(found[window][end]) for bucket, end in enumerate(ends) if end is not None}


def _is_plain(frame: Frame) -> bool:
    ascending = all(low < high for low, high in pairwise(frame.period.edges))
    plain = frame.breakdown is None and frame.where is None and frame.cut is None and not frame.visitors and not frame.accounts
    return plain and ascending and frame.shown is None


def _distinct(presence: Presence, *, ever: bool, cumulative: bool) -> Ints:
    """By bucket, and at the end of the whole range."""
    words = first_words(presence) if ever else presence.words[0]
    shown = firsts(words) if cumulative else words
    return np.append(counts(shown, presence.buckets), np.count_nonzero(anywhere(words)))


def _cells(found: Ints, *, buckets: bool) -> Cells:
    *each, together = found.tolist()
    cells: Cells = {(ALL, RANGE): together} if together else {}
    return cells | {(ALL, bucket): count for bucket, count in enumerate(each) if count and buckets}
