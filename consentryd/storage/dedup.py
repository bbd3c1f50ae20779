"""Which event ids were seen: an in-memory filter in front of exact, sorted runs in the region database.

Every accepted id passes the filter; only what the filter thinks it knows is looked up exactly, so the price of a fresh id does not
grow with the store. (A B-tree of random ids does not stay cheap: at twenty million ids each commit dirties a page per id.)
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

CHUNK: Final = 512
_FIRST_CAPACITY: Final = 1 << 20
_LAST_CAPACITY: Final = 1 << 24
_KEYS_PER_WORD: Final = 4
_LOW_SIX: Final = np.uint64(63)
_ONE: Final = np.uint64(1)
_SHIFTS: Final = tuple(np.uint64(shift) for shift in (6, 12, 18, 24))
_INDEX_SHIFT: Final = np.uint64(40)


def bits_of(hashes: Hashes) -> Hashes:
    """The five bits that each hash sets in its word of a filter."""
    bits = _ONE << (hashes & _LOW_SIX)
    for shift in _SHIFTS:
        bits |= _ONE << ((hashes >> shift) & _LOW_SIX)
    return bits


class Filter:
    """A blocked Bloom filter: one 64-bit word for four ids, five bits an id. Says yes wrongly for about 3 ids in a thousand when full."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.count = 0
        self.newest_at = 0
        self._words: Hashes = np.zeros(capacity // _KEYS_PER_WORD, np.uint64)
        self._mask = np.uint64(len(self._words) - 1)

    def contains(self, hashes: Hashes, bits: Hashes) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = (self._words[(hashes >> _INDEX_SHIFT) & self._mask] & bits) == bits
        return found

    def add(self, hashes: Hashes, bits: Hashes, newest_at: int) -> None:
        np.bitwise_or.at(self._words, (hashes >> _INDEX_SHIFT) & self._mask, bits)
        self.count += len(hashes)
        self.newest_at = max(self.newest_at, newest_at)


class FilterChain:
    """Filters of doubling size, newest last; one whose newest id is past the window is forgotten whole."""

    def __init__(self) -> None:
        self._filters = [Filter(_FIRST_CAPACITY)]

    def contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        bits = bits_of(hashes)
        found = self._filters[0].contains(hashes, bits)
        for each in self._filters[1:]:
            found |= each.contains(hashes, bits)
        return found

    def add(self, hashes: Hashes, newest_at: int) -> None:
        newest = self._filters[-1]
        if newest.count >= newest.capacity:
            newest = Filter(min(newest.capacity * 2, _LAST_CAPACITY))
            self._filters.append(newest)
        newest.add(hashes, bits_of(hashes), newest_at)

    def expire(self, before: int) -> None:
        kept = [each for each in self._filters[:-1] if each.newest_at >= before]
        self._filters = [*kept, self._filters[-1]]


@dataclass(slots=True)
class Dedup:
    """The ids a log has seen, exact. Used inside the append transaction by the one thread that owns `connection`."""

    connection: sqlite3.Connection
    _chain: FilterChain = field(default_factory=FilterChain)
    _recent: dict[int, Hashes] = field(default_factory=dict)
    _last_seq: int = 0
    _runs: list[int] = field(default_factory=list)

    def refresh(self) -> None:
        """Take in what other connections committed since the last look: their log rows, and runs that sealing wrote."""
        self._load_runs()
        rows = self.connection.execute("SELECT seq, committed_at, hashes FROM log WHERE seq > ? ORDER BY seq", (self._last_seq,))
        for seq, committed_at, packed in rows:
            self.note(seq, np.frombuffer(packed, "<u8"), committed_at)
        sealed = self._runs[-1] if self._runs else 0
        for seq in [seq for seq in self._recent if seq <= sealed]:
            del self._recent[seq]

    def known(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        """For each hash whether it was stored within the window."""
        found = self._chain.contains(hashes)
        suspects = np.flatnonzero(found)
        if len(suspects):
            found[suspects] = self._look_up(hashes[suspects])
        return found

    def note(self, seq: int, hashes: Hashes, now: int) -> None:
        """Remember the hashes of a committed log row."""
        self._chain.add(hashes, now)
        self._recent[seq] = hashes
        self._last_seq = max(self._last_seq, seq)

    def expire(self, before: int) -> None:
        """Forget ids older than the window; call within a transaction."""
        self.connection.execute("DELETE FROM seen WHERE newest_at < ?", (before,))
        self._chain.expire(before)
        self._runs = runs(self.connection)

    def _load_runs(self) -> None:
        """Runs are numbered by the last log row they hold: those of rows already noted are in the filter."""
        self._runs = runs(self.connection)
        for run in [run for run in self._runs if run > self._last_seq]:
            for newest_at, packed in self.connection.execute("SELECT newest_at, hashes FROM seen WHERE run = ?", (run,)):
                self._chain.add(np.frombuffer(packed, "<u8"), newest_at)
            self._last_seq = run

    def _look_up(self, suspects: Hashes) -> npt.NDArray[np.bool_]:
        found = np.zeros(len(suspects), np.bool_)
        if self._recent:
            found |= np.isin(suspects, np.concatenate(list(self._recent.values())))
        for position in np.flatnonzero(~found):
            found[position] = self._in_runs(suspects[position])
        return found

    def _in_runs(self, wanted: np.uint64) -> bool:
        first = int(wanted).to_bytes(8, "big")
        for run in reversed(self._runs):
            row = self.connection.execute(
                "SELECT hashes FROM seen WHERE run = ? AND first <= ? ORDER BY first DESC LIMIT 1", (run, first)
            ).fetchone()
            if row is not None and wanted in np.frombuffer(row[0], "<u8"):
                return True
        return False


def add_run(connection: sqlite3.Connection, upto: int, hashes: Hashes, newest_at: int) -> None:
    """Keep the ids of the log rows up to and including `upto` (those since the last run), sorted, as a run of that number.

    Call within the transaction that also decides that these rows are sealed; newest_at is their last `committed_at`.
    """
    chunks = [hashes[start : start + CHUNK] for start in range(0, len(hashes), CHUNK)]
    connection.executemany(
        "INSERT INTO seen (run, first, newest_at, hashes) VALUES (?, ?, ?, ?)",
        [(upto, int(chunk[0]).to_bytes(8, "big"), newest_at, chunk.astype("<u8").tobytes()) for chunk in chunks],
    )


def runs(connection: sqlite3.Connection) -> list[int]:
    found = connection.execute(
        "WITH RECURSIVE step(run) AS (SELECT min(run) FROM seen UNION ALL SELECT (SELECT min(run) FROM seen WHERE run > step.run) "
        "FROM step WHERE step.run IS NOT NULL) SELECT run FROM step WHERE run IS NOT NULL"
    )
    return [run for (run,) in found]


def seen_upto(connection: sqlite3.Connection) -> int:
    """The last log row whose ids stand in a run; 0 if there is none."""
    row = connection.execute("SELECT max(run) FROM seen").fetchone()
    return int(row[0] or 0)


def as_hashes(values: Sequence[int]) -> Hashes:
    return np.array(values, np.uint64)
