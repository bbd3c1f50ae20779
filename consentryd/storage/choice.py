"""What data subjects chose, and who is suppressed: asked for every event, before and inside the transaction that stores it.

A choice belongs to the identity that spoke. A refusal binds the whole subject, and only a server of the site, which knows the person, lifts
the refusal of another identity. A grant covers events of the identity that gave it; one that a server vouched for covers the subject. So
whoever gets an identity joined to a person can refuse for them, but never consent.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from consentryd.model.memory import keep
from consentryd.model.outcome import Reason
from consentryd.storage.database import select_among
from consentryd.storage.withdrawal import note_refusal

CACHED: Final = 50_000


class ChoiceState(StrEnum):
    GRANTED = "granted"
    DENIED = "denied"
    WITHDRAWN = "withdrawn"


class Choice(NamedTuple):
    """One identity's newest choice for one purpose. `entry` is the ledger entry that proves it, `decided_at` UTC microseconds."""

    purpose: str
    digest: bytes
    state: ChoiceState
    vouched: bool
    decided_at: int
    entry: int
    notice: str | None


class Grant(NamedTuple):
    """`digest` is the identity it covers, None where a server vouched for the person."""

    purpose: str
    digest: bytes | None
    entry: int
    at: int
    notice: str | None


class Standing(NamedTuple):
    """Where a subject stands: the purposes refused (withdrawn or denied), and the grants in force, newest first."""

    refused: frozenset[str] = frozenset()
    granted: tuple[Grant, ...] = ()


NO_STANDING: Final = Standing()


def standing_of(choices: Iterable[Choice]) -> Standing:
    """Per purpose: any refusal stands unless a server vouched for a later grant. Of two at one instant the refusal counts."""
    every = sorted(choices, key=lambda choice: choice.decided_at, reverse=True)
    if not every:
        return NO_STANDING
    vouched: dict[str, int] = {}
    for choice in every:
        if choice.vouched and choice.state is ChoiceState.GRANTED:
            vouched.setdefault(choice.purpose, choice.decided_at)
    refused = frozenset(
        choice.purpose
        for choice in every
        if choice.state is not ChoiceState.GRANTED and choice.decided_at >= vouched.get(choice.purpose, choice.decided_at)
    )
    granted = tuple(
        Grant(choice.purpose, None if choice.vouched else choice.digest, choice.entry, choice.decided_at, choice.notice)
        for choice in every
        if choice.state is ChoiceState.GRANTED and choice.purpose not in refused
    )
    return Standing(refused, granted)


class Choices:
    """Reads through a bounded cache. `follow` must be called in the transaction that relies on it, if others committed.

    `any`: somebody in the region chose; `suppress_any`: somebody's events are kept out.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._standings: dict[int, Standing] = {}
        self._suppressed: dict[bytes, int | None] = {}
        self.forget()

    def follow(self, changed: Sequence[bytes] | None) -> None:
        """Others committed: forget what the feed says they changed; None: anything."""
        if changed is None:
            self.forget()
            return
        self.any = self._somebody_chose()
        if changed:
            self._standings.clear()
            for digest in changed:
                self._suppressed.pop(digest, None)
            statement = "SELECT digest, until FROM suppression WHERE digest IN"
            self._suppressed.update(select_among(self._connection, statement, changed))
            self.suppress_any = bool(self._suppressed)

    def forget(self) -> None:
        self._standings.clear()
        self.any = self._somebody_chose()
        self._suppressed = dict(self._connection.execute("SELECT digest, until FROM suppression"))
        self.suppress_any = bool(self._suppressed)

    def _somebody_chose(self) -> bool:
        return self._connection.execute("SELECT 1 FROM choice LIMIT 1").fetchone() is not None

    def standing(self, subject: int) -> Standing:
        if not self.any:
            return NO_STANDING
        found = self._standings.get(subject)
        if found is None:
            found = keep(self._standings, subject, standing_of(read_choices(self._connection, subject)), CACHED)
        return found

    def is_suppressed(self, digest: bytes | None, now: int) -> bool:
        if digest is None or digest not in self._suppressed:
            return False
        until = self._suppressed[digest]
        return until is None or now < until

    def refusal(self, subject: int, purpose: str) -> Reason | None:
        return Reason.WITHDRAWN if purpose in self.standing(subject).refused else None

    def merge(self, loser: int, winner: int, now: int) -> None:
        """Two subjects became one person: every identity's choice stays its own. Of one identity's two, refusal and then time decide.

        Where the loser had chosen anything, all the winner's identities may stand otherwise, which is announced. What one of them refused
        reaches what is stored of the other.
        """
        before = [standing_of(read_choices(self._connection, subject)).refused for subject in (loser, winner)]
        moved = self._connection.execute(
            "INSERT INTO choice SELECT ?1, purpose, digest, state, vouched, decided_at, entry, notice FROM choice WHERE subject = ?2 "
            "ON CONFLICT DO UPDATE SET state = excluded.state, vouched = excluded.vouched, decided_at = excluded.decided_at, "
            "entry = excluded.entry, notice = excluded.notice "
            "WHERE excluded.state <> 'granted' OR (state = 'granted' AND excluded.decided_at > decided_at)",
            (winner, loser),
        ).rowcount
        if moved:
            _announce(self._connection, winner, now)
        self._connection.execute("DELETE FROM choice WHERE subject = ?", (loser,))
        self._connection.execute("UPDATE choice_proof SET subject = ? WHERE subject = ?", (winner, loser))
        self._connection.execute(
            "INSERT INTO withdrawal SELECT ?1, purpose, until FROM withdrawal WHERE subject = ?2 "
            "ON CONFLICT DO UPDATE SET until = max(until, excluded.until)",
            (winner, loser),
        )
        self._connection.execute("DELETE FROM withdrawal WHERE subject = ?", (loser,))
        if any(before):
            for purpose in standing_of(read_choices(self._connection, winner)).refused - (before[0] & before[1]):
                note_refusal(self._connection, winner, purpose, now)
        self._standings.pop(winner, None)

    def bring(self, digest: bytes, giver: int, taker: int, now: int) -> None:
        """A device of one person is another's from now on: what was refused on it counts for them, unless they chose otherwise on it since.

        What is stored of the taker stays: it is not theirs that was refused then.
        """
        if not self.any:
            return
        brought = self._connection.execute(
            "INSERT INTO choice SELECT ?1, purpose, digest, state, vouched, decided_at, entry, notice FROM choice "
            "WHERE subject = ?2 AND digest = ?3 AND state <> 'granted' "
            "ON CONFLICT DO UPDATE SET state = excluded.state, vouched = excluded.vouched, decided_at = excluded.decided_at, "
            "entry = excluded.entry, notice = excluded.notice WHERE excluded.decided_at >= decided_at",
            (taker, giver, digest),
        ).rowcount
        if brought:
            _announce(self._connection, taker, now)
            self._standings.pop(taker, None)


def read_choices(connection: sqlite3.Connection, subject: int) -> list[Choice]:
    rows = connection.execute(
        "SELECT purpose, digest, state, vouched, decided_at, entry, notice FROM choice WHERE subject = ? ORDER BY purpose, digest",
        (subject,),
    )
    return [Choice(purpose, digest, ChoiceState(state), bool(vouched), *rest) for purpose, digest, state, vouched, *rest in rows]


def write_choice(connection: sqlite3.Connection, subject: int, choice: Choice) -> None:
    """Record an identity's newest choice, and tell other processes. Call within a transaction, then `forget` this connection's caches."""
    connection.execute(
        "INSERT INTO choice (subject, purpose, digest, state, vouched, decided_at, entry, notice) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET state = excluded.state, vouched = excluded.vouched, decided_at = excluded.decided_at, "
        "entry = excluded.entry, notice = excluded.notice",
        (
            subject,
            choice.purpose,
            choice.digest,
            choice.state,
            choice.vouched,
            choice.decided_at,
            choice.entry,
            choice.notice,
        ),
    )
    _announce(connection, subject, choice.decided_at)


def _announce(connection: sqlite3.Connection, subject: int, now: int) -> None:
    """Every identity of the subject may stand otherwise."""
    connection.execute("INSERT INTO change (digest, created_at) SELECT digest, ? FROM identity WHERE subject = ?", (now, subject))
