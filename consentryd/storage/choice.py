"""What data subjects chose, and who is suppressed: asked for every event, before and inside the transaction that stores it."""

from __future__ import annotations

import sqlite3
from enum import StrEnum
from typing import Final, NamedTuple

from consentryd.model.outcome import Reason

CACHED: Final = 50_000


class ChoiceState(StrEnum):
    GRANTED = "granted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


class Standing(NamedTuple):
    """Where a subject stands: the purposes refused (withdrawn or denied), and those granted, as (purpose, ledger entry, time)."""

    refused: frozenset[str] = frozenset()
    granted: tuple[tuple[str, int, int], ...] = ()


NO_STANDING: Final = Standing()


class Choices:
    """Reads through a bounded cache. `refresh` must be called in the transaction, or before the request, that relies on it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._standings: dict[int, Standing] = {}
        self._suppressed: dict[bytes, int | None] = {}
        self._data_version = -1
        self._load_suppressed()

    def refresh(self) -> None:
        """Forget what others may have changed since the last look."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._data_version:
            self.forget()
            self._data_version = version

    def forget(self) -> None:
        self._standings.clear()
        self._load_suppressed()

    def standing(self, subject: int) -> Standing:
        found = self._standings.get(subject)
        if found is None:
            found = self._read(subject)
            if len(self._standings) >= CACHED:
                self._standings.clear()
            self._standings[subject] = found
        return found

    def is_suppressed(self, digest: bytes | None, now: int) -> bool:
        if digest is None or digest not in self._suppressed:
            return False
        until = self._suppressed[digest]
        return until is None or now < until

    def refusal(self, subject: int, purpose: str) -> Reason | None:
        return Reason.WITHDRAWN if purpose in self.standing(subject).refused else None

    def merge(self, loser: int, winner: int) -> None:
        """Two subjects became one person: per purpose the latest choice holds; of two at one instant, the refusal."""
        self._connection.execute(
            "INSERT INTO choice (subject, purpose, state, decided_at, entry) "
            "SELECT ?1, purpose, state, decided_at, entry FROM choice WHERE subject = ?2 "
            "ON CONFLICT DO UPDATE SET state = excluded.state, decided_at = excluded.decided_at, entry = excluded.entry "
            "WHERE excluded.decided_at > decided_at OR (excluded.decided_at = decided_at AND excluded.state <> 'granted')",
            (winner, loser),
        )
        self._connection.execute("DELETE FROM choice WHERE subject = ?", (loser,))
        self._standings.pop(winner, None)

    def _read(self, subject: int) -> Standing:
        rows = self._connection.execute(
            "SELECT purpose, state, entry, decided_at FROM choice WHERE subject = ? ORDER BY purpose", (subject,)
        ).fetchall()
        if not rows:
            return NO_STANDING
        refused = frozenset(purpose for purpose, state, _, _ in rows if state != ChoiceState.GRANTED)
        return Standing(
            refused, tuple((purpose, entry, at) for purpose, state, entry, at in rows if state == ChoiceState.GRANTED)
        )

    def _load_suppressed(self) -> None:
        self._suppressed = dict(self._connection.execute("SELECT digest, until FROM suppression"))


def write_choice(
    connection: sqlite3.Connection, subject: int, purpose: str, state: ChoiceState, decided_at: int, entry: int
) -> None:
    """Record the subject's newest choice. Call within a transaction, then `forget` the caches of this connection."""
    connection.execute(
        "INSERT INTO choice (subject, purpose, state, decided_at, entry) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET state = excluded.state, decided_at = excluded.decided_at, entry = excluded.entry",
        (subject, purpose, state, decided_at, entry),
    )
