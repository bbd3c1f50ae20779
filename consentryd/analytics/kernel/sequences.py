"""Whole paths and how often each is taken, and transitions between items (section 1.8)."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.kernel.chain import Ints
from consentryd.analytics.kernel.change import changes, firsts
from consentryd.analytics.kernel.paths import END, START, Walk

_LARGEST: Final = 2**62
#: Up to so many pairs are counted rather than sorted.
_FEW: Final = 1 << 22


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
    if not len(first):
        return {}
    size = np.diff(first, append=len(walk.session))
    kind = _kinds(walk, first, size)
    order = np.argsort(kind, kind="stable")  # sessions of one kind stay in order of subject
    begins = firsts(kind[order])
    ends = [*begins[1:].tolist(), len(order)]
    duration = (walk.time[first + size - 1] - walk.time[first])[order]
    subject = walk.subject[first][order]
    new = changes(subject)
    new[begins] = True
    subjects = np.add.reduceat(new.astype(np.int64), begins).tolist()
    places, lengths = first[order[begins]].tolist(), size[order[begins]].tolist()
    found: Sequences = {}
    for begin, end, place, length, people in zip(begins.tolist(), ends, places, lengths, subjects, strict=True):
        path = tuple(walk.item[place : place + length].tolist())
        found[path] = Taken(duration[begin:end], end - begin if goal in path else 0, people)
    return found


def _kinds(walk: Walk, first: Ints, size: Ints) -> Ints:
    """By session a number for its sequence: its items as digits, numbered anew where they would not fit."""
    least = int(walk.item.min(initial=0))
    base = int(walk.item.max(initial=0)) - least + 2  # digit 0: the session has ended
    kind, kinds = np.zeros(len(first), np.int64), 1
    for place in range(int(size.max(initial=0))):
        if kinds * base > _LARGEST:
            found, kind = np.unique(kind, return_inverse=True)
            kinds = len(found)
        going = np.flatnonzero(size > place)
        kind *= base
        kind[going] += walk.item[first[going] + place] - least + 1
        kinds *= base
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
    base = int(max(origin.max(initial=END), target.max(initial=END))) - END + 1
    key = (origin.astype(np.int64) - END) * base + (target - END)
    if base * base <= _FEW:
        every = np.bincount(key, minlength=1)
        pairs = np.flatnonzero(every)
        count = every[pairs]
    else:
        pairs, count = np.unique(key, return_counts=True)
    both = zip((pairs // base + END).tolist(), (pairs % base + END).tolist(), count.tolist(), strict=True)
    return {(origin, target): n for origin, target, n in both}


def added(some: Transitions, others: Transitions) -> Transitions:
    """Of both."""
    return {pair: some.get(pair, 0) + others.get(pair, 0) for pair in some.keys() | others.keys()}


def shares(found: Transitions) -> dict[tuple[int, int], float]:
    """The probability of the second item after the first."""
    totals: dict[int, int] = {}
    for (origin, _), count in found.items():
        totals[origin] = totals.get(origin, 0) + count
    return {pair: count / totals[pair[0]] for pair, count in found.items()}
