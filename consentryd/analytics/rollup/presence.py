"""Who did what in which bucket of time: the subjects of one bucket of the lake, from rollups and from the events that have none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from consentryd.analytics.rollup.bits import WORD, Ints, Words, mask_of, spread, words_of
from consentryd.analytics.rollup.standing import Standing
from consentryd.analytics.rollup.wanted import Wanted
from consentryd.storage.rollup import Days, Rollup, Section

Bools = npt.NDArray[np.bool_]


class Presence(NamedTuple):
    """n subjects. `words[d]`: the buckets in which each did what definition d says. `before[d]`: whether it did so before the first."""

    words: tuple[Words, ...]
    before: tuple[Bools, ...]
    buckets: int


class Line(NamedTuple):
    """Events that no rollup is used for, each subject and bucket once: `subject`, `bucket` (-1: before), and bits of the definitions."""

    subject: Ints
    bucket: Ints
    definitions: Ints

    def of_bucket(self, bucket: int) -> Line:
        chosen = self.subject >> 59 == bucket
        return Line(*(column[chosen] for column in self))


NO_LINES = Line(*(np.empty(0, np.int64) for _ in range(3)))


class Share(NamedTuple):
    """A rollup, the standing of its subjects, and which of them belong to the bucket that is looked at."""

    rollup: Rollup
    standing: Standing
    own: Bools

    @property
    def is_whole(self) -> bool:
        """Whether every subject counts, as itself."""
        return self.standing.known is self.rollup.subjects and bool(self.own.all())


def presence_of(shares: Sequence[Share], lines: Line, wanted: Wanted, site: str, purposes: Sequence[str]) -> Presence:
    """Of all that the parts say together."""
    if len(shares) == 1 and not len(lines.subject) and shares[0].is_whole:
        subjects = shares[0].rollup.subjects
    else:
        subjects = _united([*(share.standing.known[share.own] for share in shares), lines.subject])
    board = _Board(subjects, wanted)
    for share in shares:
        board.add_share(share, site, purposes)
    board.add_lines(lines)
    return board.presence()


def _united(parts: Sequence[Ints]) -> Ints:
    """All subjects, each once, ascending."""
    parts = [part for part in parts if len(part)]
    if len(parts) == 1 and np.all(parts[0][1:] > parts[0][:-1]):
        return parts[0]
    if not parts:
        return np.empty(0, np.int64)
    every = np.sort(np.concatenate(parts), kind="stable")
    found: Ints = every[np.concatenate([[True], every[1:] != every[:-1]])]
    return found


class _Board:
    """One more place than there are subjects takes what does not count."""

    def __init__(self, subjects: Ints, wanted: Wanted) -> None:
        self._subjects = subjects
        self._wanted = wanted
        shape = (words_of(wanted.buckets), len(subjects) + 1)
        self._words = [np.zeros(shape, np.uint64) for _ in wanted.definitions]
        self._touched: set[int] = set()
        self._before = [np.zeros(shape[1], np.bool_) for _ in wanted.definitions]

    def presence(self) -> Presence:
        words = tuple(words[:, :-1] for words in self._words)
        return Presence(words, tuple(before[:-1] for before in self._before), self._wanted.buckets)

    def add_share(self, share: Share, site: str, purposes: Sequence[str]) -> None:
        rollup, standing = share.rollup, share.standing
        nowhere = len(self._subjects)
        place = None
        if self._subjects is not rollup.subjects:
            place = np.where(share.own, np.searchsorted(self._subjects, standing.known), nowhere)
        alone = standing.known is rollup.subjects  # else two of its subjects may be one by now
        days = self._wanted.places(rollup.edges)
        for section in rollup.sections:
            wanted = [number for number, names in enumerate(self._wanted.definitions) if _is_of(section, names)]
            if section.site != site or section.purpose not in purposes or not wanted:
                continue
            gone = standing.gone.get(section.purpose)
            own = place
            if gone is not None and gone.any():
                own = np.where(gone, nowhere, np.arange(nowhere) if place is None else place)
            rows = slice(section.start, section.end)
            codes = rollup.codes[rows].astype(np.intp)
            self._add(wanted, codes if own is None else own[codes], rollup.days[rows], days, alone=alone)

    def _add(self, definitions: Sequence[int], place: Ints, bits: Days, days: Sequence[int], *, alone: bool) -> None:
        before = place[(bits & mask_of(days, -1)) != 0] if days[0] < 0 else place[:0]
        moved = spread(bits, days, self._wanted.buckets) if days[-1] >= 0 else None
        for number in definitions:
            self._before[number][before] = True
            for into, more in zip(self._words[number], () if moved is None else moved, strict=False):
                if not alone:
                    np.bitwise_or.at(into, place, more)
                elif number in self._touched:
                    into[place] |= more
                else:
                    into[place] = more
            self._touched.add(number)

    def add_lines(self, lines: Line) -> None:
        place = np.searchsorted(self._subjects, lines.subject)
        for number, (words, before) in enumerate(zip(self._words, self._before, strict=True)):
            mine = (lines.definitions >> number & 1).astype(np.bool_)
            before[place[mine & (lines.bucket < 0)]] = True
            inside = mine & (lines.bucket >= 0)
            bucket = lines.bucket[inside]
            np.bitwise_or.at(words, (bucket // WORD, place[inside]), np.uint64(1) << (bucket % WORD).astype(np.uint64))


def _is_of(section: Section, names: tuple[str, ...]) -> bool:
    return section.event in names if names else section.event is None
