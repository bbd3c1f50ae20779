"""Whole paths and how often each is taken, and transitions between items (section 1.8)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from consentryd.analytics.kernel.chain import Ints
from consentryd.analytics.kernel.change import changes, firsts
from consentryd.analytics.kernel.paths import END, START, Walk


class Taken(NamedTuple):
    """Sessions that took one path: durations from its first to its last visit, int64 microseconds, one a session; how many hold the goal;
    how many subjects they are of."""

    durations: Ints
    goals: int
    subjects: int

    def merge(self, other: Taken) -> Taken:
        """Of both. The parts must have no subject in common."""
        durations = np.concatenate([self.durations, other.durations])
        return Taken(durations, self.goals + other.goals, self.subjects + other.subjects)


Sequences = dict[tuple[int, ...], Taken]


def sequences(walk: Walk, goal: int | None = None) -> Sequences:
    """Sessions by their sequence of items. Cut the walk to the length wanted first, or long sessions are each a path of their own."""
    first = firsts(walk.session)
    size = np.diff(first, append=len(walk.session))
    kind = _kinds(walk, first, size)
    order = np.argsort(kind, kind="stable")
    durations = walk.time[first + size - 1] - walk.time[first]
    subject = walk.subject[first]
    found: Sequences = {}
    for same in np.split(order, np.flatnonzero(np.diff(kind[order])) + 1) if len(order) else []:
        begin = first[same[0]]
        path = tuple(walk.item[begin : begin + size[same[0]]].tolist())
        found[path] = Taken(durations[same], len(same) if goal in path else 0, len(np.unique(subject[same])))
    return found


def _kinds(walk: Walk, first: Ints, size: Ints) -> Ints:
    """By session the number of its sequence: extended by one visit after the other, the sessions that have one."""
    kind = np.zeros(len(first), np.int64)
    for place in range(int(size.max(initial=0))):
        item = np.full(len(first), END)
        going = size > place
        item[going] = walk.item[first[going] + place]
        order = np.lexsort((item, kind))
        new = changes(kind[order]) | changes(item[order])
        kind[order] = np.cumsum(new) - 1
    return kind


def merged(some: Sequences, others: Sequences) -> Sequences:
    """Of both. The parts must have no subject in common."""
    found = dict(some)
    for path, taken in others.items():
        known = found.get(path)
        found[path] = known.merge(taken) if known else taken
    return found


Transitions = dict[tuple[int, int], int]


def transitions(walk: Walk) -> Transitions:
    """How often one item follows another, `START` the first of a session and `END` its last."""
    opens = changes(walk.session)
    closes = np.append(opens[1:], values=True) if len(opens) else opens
    origin = np.concatenate([walk.item[~closes], np.full(int(opens.sum()), START), walk.item[closes]])
    target = np.concatenate([walk.item[~opens], walk.item[opens], np.full(int(closes.sum()), END)])
    pairs, count = np.unique((origin.astype(np.int64) - END << 32) + (target - END), return_counts=True)
    both = zip((pairs >> 32) + END, (pairs & 0xFFFF_FFFF) + END, count, strict=True)
    return {(int(a), int(b)): int(n) for a, b, n in both}


def added(some: Transitions, others: Transitions) -> Transitions:
    """Of both."""
    return {pair: some.get(pair, 0) + others.get(pair, 0) for pair in some.keys() | others.keys()}


def shares(found: Transitions) -> dict[tuple[int, int], float]:
    """The probability of the second item after the first."""
    totals: dict[int, int] = {}
    for (origin, _), count in found.items():
        totals[origin] = totals.get(origin, 0) + count
    return {pair: count / totals[pair[0]] for pair, count in found.items()}
