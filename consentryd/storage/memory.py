"""The log in memory: the second implementation, for tests and for embedding without a disk. Same contract, same suite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from consentryd.model.clock import DAY, Clock
from consentryd.model.decision import Lane
from consentryd.model.event import POSITION, CleanEvent
from consentryd.model.outcome import Outcome, Verdict
from consentryd.storage.index import MemoryIdentityTable, NewSubject, SubjectIndex
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
