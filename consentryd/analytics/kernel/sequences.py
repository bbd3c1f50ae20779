"""Whole paths and how often each is taken, and transitions between items (section 1.8)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.change import changes, firsts
from consentryd.analytics.kernel.order import numbered, people, summed
from consentryd.analytics.kernel.paths import END, START, Walk

_LARGEST: Final = 2**62
#: Up to so many pairs are counted rather than sorted.
_FEW: Final = 1 << 20


class Sequences(NamedTuple):
    """Paths, each once. By path: `size`, how many items it has; `sessions` that took it; `subjects` of these, if counted, else 0; `met`,
    how many of the sessions met the goal, and `people` of these, if counted.

    `item`: the items of all paths, path by path. By session of two visits or more: `path`, the number of its path, and `taken`, int64
    microseconds from its first visit to its last; sessions of one visit take no time.
    """

    item: Ints
    size: Ints
    sessions: Ints
    subjects: Ints
    met: Ints
    people: Ints
    path: npt.NDArray[np.int32]
    taken: Ints

    def first(self) -> Ints:
        """By path the place of its first item."""
        found: Ints = np.cumsum(self.size) - self.size
        return found

    def durations(self, paths: Ints) -> list[Ints]:
        """Of each of some paths the durations of its sessions."""
        wanted = np.zeros(len(self.size), np.bool_)
        wanted[paths] = True
        some = np.flatnonzero(wanted[self.path])
        path, taken = self.path[some], self.taken[some]
        return [
            taken[path == each] if self.size[each] > 1 else np.zeros(self.sessions[each], np.int64) for each in paths.tolist()
        ]


def sequences(walk: Walk, met: Bools | None = None, *, counted: bool = False) -> Sequences:
    """Sessions by their sequence of items; if `counted`, of how many subjects. `met`: by number of the session whether it met the goal.

    Cut the walk to the length wanted first, or long sessions are each a path of their own.
    """
    first = firsts(walk.session)
    size = np.diff(first, append=len(walk.session))
    several = size > 1
    alone, some = first[~several], np.flatnonzero(several)
    first, size = first[some], size[some]
    single = _told_apart(walk, walk.item[alone], alone, np.ones_like(alone), met, counted=counted)
    more = _told_apart(walk, _kinds(walk.item, first, size), first, size, met, counted=counted)
    each = [np.concatenate(columns) for columns in zip(single[:-1], more[:-1], strict=True)]
    return Sequences(
        item=each[0],
        size=each[1],
        sessions=each[2],
        subjects=each[3],
        met=each[4],
        people=each[5],
        path=(more[-1] + len(single[1])).astype(np.int32),
        taken=walk.time[first + size - 1] - walk.time[first],
    )


def _told_apart(walk: Walk, kind: Ints, first: Ints, size: Ints, met: Bools | None, *, counted: bool) -> tuple[Ints, ...]:
    """Of sessions of some kinds: items, size, sessions and subjects by kind, the same of those that met the goal, and by session the number
    of its kind."""
    at, number = numbered(kind)
    sessions = np.bincount(number, minlength=len(at))
    subjects = people(number, walk.subject[first], len(at)) if counted else np.zeros_like(sessions)
    there = np.flatnonzero(met[walk.session[first]]) if met is not None else np.empty(0, np.int64)
    sessions_met = np.bincount(number[there], minlength=len(at))
    people_met = people(number[there], walk.subject[first[there]], len(at)) if counted else np.zeros_like(sessions_met)
    return walk.item[_spans(first[at], size[at])], size[at], sessions, subjects, sessions_met, people_met, number


def _spans(first: Ints, size: Ints) -> Ints:
    """The numbers from each first one on, as many as its size."""
    ends = np.cumsum(size)
    found: Ints = np.arange(int(size.sum())) + np.repeat(first - ends + size, size)
    return found


def _kinds(item: Ints, first: Ints, size: Ints) -> Ints:
    """By session a number for its sequence: its items as digits, numbered anew where they would not fit."""
    least = int(item.min(initial=0))
    base = int(item.max(initial=0)) - least + 2  # digit 0: the session has ended
    kind, kinds = np.zeros(len(first), np.int64), 1
    for place in range(int(size.max(initial=0))):
        if kinds * base > _LARGEST:
            found, kind = np.unique(kind, return_inverse=True)
            kinds = len(found)
        going = np.flatnonzero(size > place)
        kind *= base
        kind[going] += item[first[going] + place] - least + 1
        kinds *= base
    return kind


def joined(parts: Sequence[Sequences]) -> Sequences:
    """Of all parts, which have no subject in common."""
    item, size, sessions, subjects, met, people_met, path, taken = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    first = np.cumsum(size) - size
    place, number = numbered(_kinds(item, first, size))
    offset = np.cumsum([0, *(len(part.size) for part in parts[:-1])])
    path = path + np.repeat(offset, [len(part.path) for part in parts])
    return Sequences(
        item[_spans(first[place], size[place])],
        size[place],
        summed(number, sessions, len(place)),
        summed(number, subjects, len(place)),
        summed(number, met, len(place)),
        summed(number, people_met, len(place)),
        number[path].astype(np.int32),
        taken,
    )


class Transitions(NamedTuple):
    """Pairs of items that follow each other, each once: how often, and (where that was asked for, else 0) by how many subjects."""

    origin: Ints
    target: Ints
    sessions: Ints
    subjects: Ints

    def shares(self) -> npt.NDArray[np.float64]:
        """By pair the probability of the second item after the first."""
        totals = np.bincount(self.origin - END, weights=self.sessions)
        found: npt.NDArray[np.float64] = self.sessions / totals[self.origin - END]
        return found


def transitions(walk: Walk, *, counted: bool = False) -> Transitions:
    """How often one item follows another, `START` the first of a session and `END` its last; if `counted`, of how many subjects."""
    opens = changes(walk.session)
    begin, inner = np.flatnonzero(opens), np.flatnonzero(~opens)
    end = np.append(begin[1:], len(opens))[: len(begin)] - 1
    base = int(walk.item.max(initial=START)) - END + 1
    item = walk.item - END
    pairs = [(START - END) * base + item[begin], item[inner - 1] * base + item[inner], item[end] * base]
    if base * base <= _FEW and not counted:
        every = np.zeros(base * base, np.int64)
        for some in pairs:
            every += np.bincount(some, minlength=len(every))
        found = np.flatnonzero(every)
        return Transitions(found // base + END, found % base + END, every[found], np.zeros_like(found))
    key = np.concatenate(pairs)
    at, number = numbered(key)
    sessions = np.bincount(number, minlength=len(at))
    subjects = np.zeros_like(sessions)
    if counted:
        subject = np.concatenate([walk.subject[begin], walk.subject[inner], walk.subject[end]])
        by_subject = np.argsort(subject, kind="stable")
        subjects = people(number[by_subject], subject[by_subject], len(at))
    return Transitions(key[at] // base + END, key[at] % base + END, sessions, subjects)


def added(parts: Sequence[Transitions]) -> Transitions:
    """Of all parts, which have no subject in common."""
    origin, target, sessions, subjects = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    base = int(max(origin.max(initial=END), target.max(initial=END))) - END + 1
    at, number = numbered((origin - END) * base + (target - END))
    sums = (summed(number, column, len(at)) for column in (sessions, subjects))
    return Transitions(origin[at], target[at], *sums)
