"""A funnel by the time of entry (R-F10): each subject once in each bucket in which it entered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from consentryd.analytics.kernel.chain import Chains, Ints
from consentryd.analytics.kernel.change import changes
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.hold import best_of
from consentryd.analytics.kernel.hold import held as held_parts
from consentryd.analytics.kernel.ordered import starts_of
from consentryd.analytics.kernel.solution import chains_of
from consentryd.analytics.kernel.start import marked, relevant, start_rows, taken
from consentryd.analytics.kernel.trail import Trail, trail_of
from consentryd.analytics.stream import Stream


class Trend(NamedTuple):
    """`reached` int64[buckets, steps]: subjects (or attempts) that entered in the bucket and did the step; `people`: subjects of these;
    `excluded` int64[buckets]."""

    reached: Ints
    people: Ints
    excluded: Ints

    def merge(self, other: Trend) -> Trend:
        return Trend(self.reached + other.reached, self.people + other.people, self.excluded + other.excluded)


def trend(stream: Stream, funnel: Funnel, edges: Sequence[int], held: Sequence[str] = ()) -> Trend:
    """`edges`: n + 1 instants of n buckets of entry; together they are the funnel's range. `held`: columns that all steps share."""
    reached = np.zeros((len(edges) - 1, len(funnel.steps)), np.int64)
    found = Trend(reached, reached, np.zeros(len(edges) - 1, np.int64))
    if funnel.count_entries:
        return _of_entries(stream, funnel, edges, found)
    if held:
        return _of_held(stream, funnel, edges, held, found)
    plain = funnel.order == "ordered" and not funnel.exclusions and not any(step.optional for step in funnel.steps)
    if plain:
        stream = _quickly(stream, funnel, edges, found)
    if len(stream.subject):
        _bucket_by_bucket(stream, funnel, edges, found)
    return found


def _of_entries(stream: Stream, funnel: Funnel, edges: Sequence[int], found: Trend) -> Trend:
    attempts = chains_of(stream, funnel)
    bucket = np.searchsorted(edges, attempts.time[:, 0], side="right") - 1
    np.add.at(found.reached, bucket, attempts.reached)
    np.add.at(found.excluded, bucket, attempts.excluded)
    people = np.zeros_like(found.reached)
    first = np.flatnonzero(changes(attempts.subject) | changes(bucket))  # attempts are by subject and time
    if len(first):
        np.add.at(people, bucket[first], np.logical_or.reduceat(attempts.reached, first, axis=0))
    return found._replace(people=people)


def entered(stream: Stream, funnel: Funnel, edges: Sequence[int], bucket: int, held: Sequence[str] = ()) -> Chains:
    """The lines of those who entered in a bucket of a trend."""
    if funnel.count_entries:
        attempts = chains_of(stream, funnel)
        return attempts.take((attempts.time[:, 0] >= edges[bucket]) & (attempts.time[:, 0] < edges[bucket + 1]))
    owner = None
    if held:
        stream, owner, _ = held_parts(stream, held, relevant(stream, funnel))
    stream, funnel = _entering(stream, funnel)
    near = np.flatnonzero((stream.time >= edges[bucket]) & (stream.time < edges[bucket + 1] + funnel.window))
    lines = chains_of(taken(stream, near), replace(funnel, since=edges[bucket], until=edges[bucket + 1]))
    return lines if owner is None else best_of(lines._replace(subject=owner[lines.subject]))


def _of_held(stream: Stream, funnel: Funnel, edges: Sequence[int], names: Sequence[str], found: Trend) -> Trend:
    """In each bucket the best of a subject's values."""
    parts = held_parts(stream, names, relevant(stream, funnel))
    inner, plan = _entering(parts.stream, funnel)
    for bucket, (since, until) in enumerate(pairwise(edges)):
        near = np.flatnonzero((inner.time >= since) & (inner.time < until + plan.window))
        chains = chains_of(taken(inner, near), replace(plan, since=since, until=until))
        lines = best_of(chains._replace(subject=parts.owner[chains.subject]))
        found.reached[bucket] += lines.reached.sum(axis=0)
        found.excluded[bucket] += lines.excluded.sum()
    return found


def _bucket_by_bucket(stream: Stream, funnel: Funnel, edges: Sequence[int], found: Trend) -> None:
    stream, funnel = _entering(stream, funnel)
    for bucket, (since, until) in enumerate(pairwise(edges)):
        near = np.flatnonzero((stream.time >= since) & (stream.time < until + funnel.window))
        lines = chains_of(taken(stream, near), replace(funnel, since=since, until=until))
        found.reached[bucket] += lines.reached.sum(axis=0)
        found.excluded[bucket] += lines.excluded.sum()


def _entering(stream: Stream, funnel: Funnel) -> tuple[Stream, Funnel]:
    """With the events that may start marked, where that depends on more than the bucket."""
    if funnel.entry == "any":
        return stream, funnel
    marks = np.zeros(len(stream.subject), np.bool_)
    marks[start_rows(stream, funnel)] = True
    return marked(stream, marks, funnel)


def _quickly(stream: Stream, funnel: Funnel, edges: Sequence[int], found: Trend) -> Stream:
    """From every start the chain whose steps are as early as can be. Gives the events of subjects whose instants need more than that."""
    trail = trail_of(stream, funnel)
    hard = np.zeros(len(trail.subject), np.bool_) if funnel.strict_ties else trail.hard()
    starts = starts_of(trail, funnel)
    starts = starts[~hard[trail.key[starts]]]
    bucket = np.searchsorted(edges, trail.time[starts], side="right") - 1
    first = np.flatnonzero(changes(trail.key[starts]) | changes(bucket))
    if len(first):
        depth = np.maximum.reduceat(_depths(trail, starts, funnel), first)
        for step in range(len(funnel.steps)):
            found.reached[:, step] += np.bincount(bucket[first[depth > step]], minlength=len(edges) - 1)
    rows = np.flatnonzero(np.isin(stream.subject, trail.subject[hard]))
    return taken(stream, rows)


def _depths(trail: Trail, starts: Ints, funnel: Funnel) -> npt.NDArray[np.int8]:
    depth = np.ones(len(starts), np.int8)
    lines, place = np.arange(len(starts)), starts
    for step in range(1, len(funnel.steps)):
        candidates = trail.doing(step)
        after = trail.following(place) if funnel.strict_ties else place + 1
        nearest = np.searchsorted(candidates, after)
        lines, nearest = lines[nearest < len(candidates)], nearest[nearest < len(candidates)]
        place = candidates[nearest]
        start = starts[lines]
        good = (trail.key[place] == trail.key[start]) & (trail.time[place] - trail.time[start] <= funnel.window)
        lines, place = lines[good], place[good]
        depth[lines] += 1
    return depth
