"""Which event ids were seen: an in-memory filter in front of exact answers, from the unsealed rows and the runs of sealed ones.

Every accepted id passes the filter; only what the filter thinks it knows is looked up exactly, and only where the filter says, so the
price of a fresh id hardly grows with the store. (A B-tree of random ids does not stay cheap: at twenty million ids each commit dirties a
page per id.)
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from consentryd.storage.bloom import FilterChain, Hashes
from consentryd.storage.seen import expire, in_runs, runs

_FIRST_ROOM: Final = 1 << 14
_CHUNKS_AT_ONCE: Final = 128
_FEW: Final = 8
_LOW_BITS: Final = np.uint64(0xFFFF)


class Recent:
    """The ids of log rows that are not sealed yet, side by side in one array: to look through 200,000 takes 0.1 ms."""

    def __init__(self) -> None:
        self._hashes: Hashes = np.empty(_FIRST_ROOM, np.uint64)
        self._seqs: list[int] = []
        self._ends: list[int] = []

    def add(self, seq: int, hashes: Hashes) -> None:
        """The ids of a row behind all others."""
        start = self._ends[-1] if self._ends else 0
        end = start + len(hashes)
        if end > len(self._hashes):
            grown = np.empty(max(end, 2 * len(self._hashes)), np.uint64)
            grown[:start] = self._hashes[:start]
            self._hashes = grown
        self._hashes[start:end] = hashes
        self._seqs.append(seq)
        self._ends.append(end)

    def held(self, wanted: set[int]) -> set[int]:
        """Those of the ids that are there. Many are looked for at once, a few faster by themselves."""
        if not wanted or not self._ends:
            return set()
        hashes = self._hashes[: self._ends[-1]]
        if len(wanted) <= _FEW:
            return {each for each in wanted if (hashes == np.uint64(each)).any()}
        marked = np.zeros(1 << 16, np.bool_)
        marked[as_hashes(list(wanted)) & _LOW_BITS] = True
        return wanted.intersection(hashes[marked[hashes & _LOW_BITS]].tolist())

    def forget(self, upto: int) -> None:
        """Rows up to this one are sealed."""
        rows = bisect_right(self._seqs, upto)
        if not rows:
            return
        gone, end = self._ends[rows - 1], self._ends[-1]
        left = self._hashes[gone:end]
        self._hashes = np.empty(max(_FIRST_ROOM, 2 * len(left)), np.uint64)
        self._hashes[: len(left)] = left
        self._seqs = self._seqs[rows:]
        self._ends = [each - gone for each in self._ends[rows:]]


@dataclass(slots=True)
class Dedup:
    """The ids a log has seen, exact. Used inside the append transaction by the one thread that owns `connection`."""

    connection: sqlite3.Connection
    _chain: FilterChain = field(default_factory=FilterChain)
    _recent: Recent = field(default_factory=Recent)
    _last_seq: int = 0
    _runs: list[int] = field(default_factory=list)

    def refresh(self) -> None:
        """Take in what other connections committed since the last look: their log rows, and runs that sealing wrote."""
        self._load_runs()
        rows = self.connection.execute("SELECT seq, committed_at, hashes FROM log WHERE seq > ? ORDER BY seq", (self._last_seq,))
        for seq, committed_at, packed in rows:
            self.note(seq, np.frombuffer(packed, "<u8"), committed_at)
        if self._runs:
            self._recent.forget(self._runs[-1])

    def known(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """For each hash whether it was stored within the window."""
        found = self._chain.contains(hashes)
        places = np.flatnonzero(found).tolist()
        if places:
            maybe = hashes[places].tolist()
            stored = self._stored(maybe)
            found[places] = [wanted in stored for wanted in maybe]
        return found

    def note(self, seq: int, hashes: Hashes, now: int) -> None:
        """Remember the hashes of a committed log row."""
        self._chain.add(hashes, seq, now)
        self._recent.add(seq, hashes)
        self._last_seq = max(self._last_seq, seq)

    def expire(self, before: int) -> None:
        """Forget ids older than the window; call within a transaction."""
        expire(self.connection, before)
        self._chain.expire(before)
        self._runs = runs(self.connection)

    def _load_runs(self) -> None:
        """Runs are numbered by the last log row they hold: those of rows already noted are in the filter."""
        self._runs = runs(self.connection)
        for run in [run for run in self._runs if run > self._last_seq]:
            rows = self.connection.execute("SELECT newest_at, hashes FROM seen WHERE run = ?", (run,))
            while chunks := rows.fetchmany(_CHUNKS_AT_ONCE):
                hashes = np.frombuffer(b"".join(packed for _, packed in chunks), "<u8")
                self._chain.add(hashes, run, max(newest_at for newest_at, _ in chunks))
            self._last_seq = run

    def _stored(self, maybe: Iterable[int]) -> set[int]:
        """Those of the hashes that a filter has a notion of which were stored, by a look at the rows that this filter is about."""
        sealed = self._runs[-1] if self._runs else 0
        spans = {wanted: self._chain.spans(wanted) for wanted in maybe}
        recent = {wanted for wanted, found in spans.items() if any(last > sealed for _, last in found)}
        stored = self._recent.held(recent)
        looks = {
            (run, wanted)
            for wanted, found in spans.items()
            if wanted not in stored
            for first, last in found
            for run in self._runs_between(first, last)
        }
        return stored | in_runs(self.connection, sorted(looks))

    def _runs_between(self, first: int, last: int) -> list[int]:
        """Runs with ids of log rows first to last, newest first. A run begins where the one before it ends."""
        befores = [0, *self._runs]
        return [
            run
            for before, run in zip(reversed(befores[:-1]), reversed(self._runs), strict=True)
            if run >= first and before < last
        ]


def as_hashes(values: Sequence[int]) -> Hashes:
    return np.array(values, np.uint64)
