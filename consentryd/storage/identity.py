"""The identity table in SQLite, behind a bounded cache that other processes' changes invalidate."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from consentryd.storage.change import Feed, announce
from consentryd.storage.choice import Choices
from consentryd.storage.database import select_among
from consentryd.storage.index import Owner

CACHED: Final = 10_000


class SqliteIdentityTable:
    """Used inside the append transaction by the one thread that owns `connection`.

    The cache has two generations: when the young one is full it becomes the old one and the old one is forgotten. New rows are
    written at `flush`, in bulk; a row that changes is announced in `change`, which other processes read before they trust a cache.
    """

    def __init__(self, connection: sqlite3.Connection, choices: Choices) -> None:
        self._connection = connection
        self._choices = choices
        self._young: dict[bytes, Owner] = {}
        self._old: dict[bytes, Owner] = {}
        self._new_digests: dict[bytes, tuple[bytes, int, int, int]] = {}
        self._feed = Feed()
        self._feed.skip(connection)
        self._new_subjects: dict[int, tuple[int, bool, int]] = {}
        self._absent: set[bytes] = set()

    def prepare(self, digests: Iterable[bytes]) -> None:
        """Ask in one go for all identities that a commit will ask for. Inside the transaction, what is not there by then is not there."""
        young, old = self._young, self._old
        wanted = [digest for digest in set(digests) if digest not in young and digest not in old]
        self._absent = set(wanted)
        statement = "SELECT digest, subject, known FROM identity WHERE digest IN"
        for digest, subject, known in select_among(self._connection, statement, wanted):
            self._absent.discard(digest)
            self._remember(digest, Owner(subject, bool(known)))

    def find(self, digest: bytes) -> Owner | None:
        owner = self._young.get(digest)
        if owner is None:
            if digest in self._absent:
                return None
            owner = self._old.get(digest) or self._read(digest)
            if owner is not None:
                self._remember(digest, owner)
        return owner

    def create(self, subject: int, *, known: bool, now: int) -> bool:
        """False if the id was given a moment ago. Were it given earlier (one in 10^12 at ten million), the commit fails whole."""
        if subject in self._new_subjects:
            return False
        self._new_subjects[subject] = (subject, known, now)
        return True

    def bind(self, digest: bytes, owner: Owner, now: int) -> None:
        if self.find(digest) is not None:
            self.flush()
            self._connection.execute(
                "UPDATE identity SET subject = ?, known = ? WHERE digest = ?", (owner.subject, owner.known, digest)
            )
            announce(self._connection, [digest], now)
        else:
            self._new_digests[digest] = (digest, owner.subject, owner.known, now)
            self._absent.discard(digest)
        self._remember(digest, owner)

    def claim(self, subject: int) -> None:
        self.flush()
        self._connection.execute("UPDATE subject SET known = 1 WHERE id = ?", (subject,))
        self._refresh_digests(subject, Owner(subject, known=True), now=0)

    def merge(self, loser: int, winner: Owner, now: int) -> None:
        self.flush()
        self._refresh_digests(loser, winner, now)
        self._choices.merge(loser, winner.subject)
        self._connection.execute("UPDATE alias SET becomes = ? WHERE becomes = ?", (winner.subject, loser))
        self._connection.execute(
            "INSERT INTO alias (subject, becomes, created_at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET becomes = excluded.becomes",
            (loser, winner.subject, now),
        )

    def flush(self) -> None:
        """Write the subjects made and the identities bound since the last flush. Raises `sqlite3.IntegrityError` for an id given before."""
        if self._new_subjects:
            self._connection.executemany(
                "INSERT INTO subject (id, known, created_at) VALUES (?, ?, ?)", list(self._new_subjects.values())
            )
            self._new_subjects.clear()
        if self._new_digests:
            self._connection.executemany(
                "INSERT INTO identity (digest, subject, known, created_at) VALUES (?, ?, ?, ?)", list(self._new_digests.values())
            )
            self._new_digests.clear()

    def refresh(self) -> None:
        """Forget what other connections changed since the last look."""
        changed = self._feed.read(self._connection)
        if changed is None:
            self._young.clear()
            self._old.clear()
        for digest in changed or ():
            self._young.pop(digest, None)
            self._old.pop(digest, None)

    def forget(self) -> None:
        """Drop the whole cache: its transaction was rolled back."""
        self._young.clear()
        self._old.clear()
        self._new_digests.clear()
        self._new_subjects.clear()
        self._absent.clear()

    def _read(self, digest: bytes) -> Owner | None:
        if digest in self._new_digests:
            _, subject, known, _ = self._new_digests[digest]
            return Owner(subject, bool(known))
        row = self._connection.execute("SELECT subject, known FROM identity WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else Owner(row[0], bool(row[1]))

    def _remember(self, digest: bytes, owner: Owner) -> None:
        if len(self._young) >= CACHED:
            self._young, self._old = {}, self._young
        self._young[digest] = owner

    def _refresh_digests(self, subject: int, owner: Owner, now: int) -> None:
        digests = [row[0] for row in self._connection.execute("SELECT digest FROM identity WHERE subject = ?", (subject,))]
        self._connection.execute(
            "UPDATE identity SET subject = ?, known = ? WHERE subject = ?", (owner.subject, owner.known, subject)
        )
        for digest in digests:
            self._remember(digest, owner)
        announce(self._connection, digests, now)
