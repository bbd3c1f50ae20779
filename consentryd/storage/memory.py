"""Log and ledger in memory: the second implementations, for tests and for embedding without a disk. Same contracts, same suites."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from consentryd.model.clock import DAY, Clock
from consentryd.model.decision import Lane
from consentryd.model.event import POSITION, CleanEvent
from consentryd.model.outcome import Outcome, Verdict
from consentryd.storage.index import MemoryIdentityTable, NewSubject, SubjectIndex
from consentryd.storage.ledger import Entry, EntryKind, LedgerTree, iso, size_of
from consentryd.storage.rejected import Letter

_LANE: Final = POSITION["lane"]
_SUBJECT: Final = POSITION["subject"]


class MemoryLog:
    """Keeps rows in a list and event ids in a dictionary."""

    def __init__(self, clock: Clock, new_subject: NewSubject, dedup_days: int = 7) -> None:
        self.rows: list[list[Any]] = []
        self.letters: list[Letter] = []
        self.table = MemoryIdentityTable()
        self._index = SubjectIndex(self.table, new_subject)
        self._seen: dict[int, int] = {}
        self._clock = clock
        self._window = dedup_days * DAY

    async def append(self, events: Sequence[CleanEvent]) -> list[Verdict]:
        now = self._clock.now()
        return [self._append(event, now) for event in events]

    def reject(self, letters: Sequence[Letter]) -> None:
        self.letters.extend(letters)

    async def check_writable(self) -> str | None:
        return None

    def _append(self, event: CleanEvent, now: int) -> Verdict:
        if now - self._seen.get(event.dedup, -self._window - 1) <= self._window:
            return Outcome.DUPLICATE
        self._seen[event.dedup] = now
        row = event.row
        self.rows.append(row)
        if row[_LANE] == Lane.ANONYMOUS:
            return Outcome.ANONYMOUS
        if event.previous is not None and event.user is not None:
            row[_SUBJECT] = self._index.alias(event.previous, event.user, now)
        else:
            row[_SUBJECT] = self._index.resolve(event.user, event.anonymous, now)
        return Outcome.STORED


class MemoryLedger(LedgerTree):
    """Keeps entries in a list, and their tree in a dictionary."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, int, str, str, bytes]] = []
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._checkpoints: dict[str, tuple[str, int, str]] = {}

    @property
    def size(self) -> int:
        return len(self._rows)

    def entry(self, number: int) -> Entry | None:
        if not 0 <= number < len(self._rows):
            return None
        *_, body, leaf = self._rows[number]
        return Entry(number, body, leaf)

    def node(self, level: int, position: int) -> bytes:
        if level:
            return self._nodes[level, position]
        if (entry := self.entry(position)) is None:
            raise KeyError(f"the ledger has no entry {position}")
        return entry.leaf

    def rows(self) -> Iterator[tuple[int, int, str, str, bytes]]:
        yield from self._rows

    def nodes(self) -> int:
        return len(self._nodes)

    def keep_checkpoint(self, note: str, at: int) -> None:
        day = iso(at)[:10]
        self._checkpoints[day] = day, size_of(note), note

    def checkpoints(self) -> list[tuple[str, int, str]]:
        return sorted(self._checkpoints.values())

    def _write(self, entry: Entry, at: int, kind: EntryKind, nodes: Sequence[tuple[int, int, bytes]]) -> None:
        self._rows.append((entry.number, at, kind, entry.body, entry.leaf))
        self._nodes.update({(level, position): found for level, position, found in nodes})
