"""The identity table in SQLite, behind a bounded cache that other processes' changes invalidate."""

from __future__ import annotations

import sqlite3
from collections.abc import Set as AbstractSet
from typing import Final

import orjson

from consentryd.storage.change import Feed, announce
from consentryd.storage.choice import Choices
from consentryd.storage.index import Owner
from consentryd.storage.subject import check_free

CACHED: Final = 10_000


def wanted(digests: str = "?1") -> str:
    """SQL for the places of digests which stand one behind the other in a parameter, 16 bytes each. Lists are asked for and written by one
    statement and answered by one text: the driver gives the interpreter to another thread for each row and column too, and waits to have it
    back."""
    next_one = f"SELECT place + 1 FROM wanted WHERE place + 1 < length({digests}) / 16"  # noqa: S608 - a parameter's name
    return f"WITH RECURSIVE wanted (place) AS (SELECT 0 UNION ALL {next_one})"


def there(digests: str = "?1", identities: str = "identity") -> str:
    """And for those of them which the identities have."""
    return f"wanted CROSS JOIN {identities} ON digest = substr({digests}, place * 16 + 1, 16)"


#: The number that changes with other connections' commits, and of the digests that are there place, subject, known.
_FIND: Final = f"""
{wanted()}
SELECT (SELECT data_version FROM pragma_data_version) || coalesce(group_concat(',' || place || ',' || subject || ',' || known, ''), '')
FROM {there()}
"""  # noqa: S608 - our own names
#: Digests one behind the other, and the subject of each as a JSON number, below zero where no user id belongs to it.
_BIND: Final = """
INSERT INTO identity (digest, subject, known, created_at)
SELECT substr(?1, key * 16 + 1, 16), abs(value), value > 0, ?3 FROM json_each(?2)
"""
_NAME: Final = (
    "INSERT OR IGNORE INTO email (digest, subject, created_at) SELECT substr(?1, key * 16 + 1, 16), value, ?3 FROM json_each(?2)"
)


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
        self._new_digests: dict[bytes, Owner] = {}
        self._new_by_subject: dict[int, list[bytes]] = {}
        self._feed = Feed()
        self._feed.skip(connection)
        self._new_subjects: set[int] = set()
        self._new_emails: set[tuple[bytes, int]] = set()
        self._absent: set[bytes] = set()

    def prepare(self, digests: AbstractSet[bytes]) -> int:
        """Ask in one go for all identities that a commit will ask for. Inside the transaction, what is not there by then is not there.

        Returns the data version: if it is not that of the last time, others committed, and it is to be called again after `refresh`.
        """
        young, old = self._young, self._old
        wanted = [digest for digest in digests if digest not in young and digest not in old]
        self._absent = set(wanted)
        (found,) = self._connection.execute(_FIND, (b"".join(wanted),)).fetchone()
        numbers = map(int, found.split(","))
        version = next(numbers)
        for place, subject, known in zip(numbers, numbers, numbers, strict=True):
            self._absent.discard(wanted[place])
            self._remember(wanted[place], Owner(subject, bool(known)))
        return version

    def doubt(self) -> None:
        """What was not there may be there now."""
        self._absent.clear()

    def find(self, digest: bytes) -> Owner | None:
        owner = self._young.get(digest)
        if owner is None:
            if digest in self._absent:
                return None
            owner = self._old.get(digest) or self._read(digest)
            if owner is not None:
                self._remember(digest, owner)
        return owner

    def create(self, subject: int) -> bool:
        """False if the id was given a moment ago. Were it given earlier (one in 10^12 at ten million), the commit fails whole."""
        if subject in self._new_subjects:
            return False
        self._new_subjects.add(subject)
        return True

    def bind(self, digest: bytes, owner: Owner, now: int) -> None:
        before = None if digest in self._absent or digest in self._new_digests else self.find(digest)
        if before is None:
            self._put(digest, owner)
        else:
            self._admit(owner.subject)
            self._connection.execute(
                "UPDATE identity SET subject = ?, known = ? WHERE digest = ?", (owner.subject, owner.known, digest)
            )
            announce(self._connection, [digest], now)
            self._choices.bring(digest, before.subject, owner.subject, now)
        self._remember(digest, owner)

    def note_email(self, digest: bytes, subject: int) -> None:
        """The subject named this e-mail address."""
        self._new_emails.add((digest, subject))

    def claim(self, subject: int) -> None:
        self._hand_over(subject, Owner(subject, known=True), now=0)

    def merge(self, loser: int, winner: Owner, now: int) -> None:
        self._admit(winner.subject)
        self._hand_over(loser, winner, now)
        self._admit(loser)
        self._choices.merge(loser, winner.subject, now)
        self._connection.execute("UPDATE alias SET becomes = ? WHERE becomes = ?", (winner.subject, loser))
        self._connection.execute(
            "INSERT INTO alias (subject, becomes, created_at) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET becomes = excluded.becomes",
            (loser, winner.subject, now),
        )

    def flush(self, now: int) -> None:
        """Write the identities bound and the addresses named since the last flush. Raises `SubjectTaken`."""
        if self._new_subjects:
            check_free(self._connection, self._new_subjects)
            self._new_subjects.clear()
        if self._new_digests:
            digests = sorted(self._new_digests)
            subjects = orjson.dumps([_signed(*self._new_digests[digest]) for digest in digests])
            self._connection.execute(_BIND, (b"".join(digests), subjects.decode(), now))
            self._new_digests.clear()
            self._new_by_subject.clear()
        if self._new_emails:
            named = sorted(self._new_emails)
            subjects = orjson.dumps([subject for _, subject in named])
            self._connection.execute(_NAME, (b"".join(digest for digest, _ in named), subjects.decode(), now))
            self._new_emails.clear()

    def refresh(self) -> list[bytes] | None:
        """Forget what other connections changed since the last look; what it was, None if anything may have been."""
        changed = self._feed.read(self._connection)
        if changed is None:
            self._young.clear()
            self._old.clear()
        for digest in changed or ():
            self._young.pop(digest, None)
            self._old.pop(digest, None)
        return changed

    def forget(self) -> None:
        """Drop the whole cache: its transaction was rolled back."""
        self._young.clear()
        self._old.clear()
        self._new_digests.clear()
        self._new_by_subject.clear()
        self._new_subjects.clear()
        self._new_emails.clear()
        self._absent.clear()

    def _read(self, digest: bytes) -> Owner | None:
        if digest in self._new_digests:
            return self._new_digests[digest]
        row = self._connection.execute("SELECT subject, known FROM identity WHERE digest = ?", (digest,)).fetchone()
        return None if row is None else Owner(row[0], bool(row[1]))

    def _remember(self, digest: bytes, owner: Owner) -> None:
        if len(self._young) >= CACHED:
            self._young, self._old = {}, self._young
        self._young[digest] = owner

    def _admit(self, subject: int) -> None:
        """Rows may name the subject before the next flush. Raises `SubjectTaken`."""
        if subject in self._new_subjects:
            check_free(self._connection, [subject])
            self._new_subjects.discard(subject)

    def _put(self, digest: bytes, owner: Owner) -> None:
        """The identity is new, and written at the next flush."""
        before = self._new_digests.get(digest)
        if before is not None:
            self._new_by_subject[before.subject].remove(digest)
        self._new_digests[digest] = owner
        self._new_by_subject.setdefault(owner.subject, []).append(digest)
        self._absent.discard(digest)

    def _hand_over(self, subject: int, owner: Owner, now: int) -> None:
        """All the subject's identities are the owner's from now on. Nobody else knows yet of those that are not written."""
        for digest in self._new_by_subject.get(subject, [])[:]:
            self._put(digest, owner)
            self._remember(digest, owner)
        if subject in self._new_subjects:
            return
        updated = self._connection.execute(
            "UPDATE identity SET subject = ?, known = ? WHERE subject = ? RETURNING digest", (owner.subject, owner.known, subject)
        )
        digests = [digest for (digest,) in updated.fetchall()]
        for digest in digests:
            self._remember(digest, owner)
        announce(self._connection, digests, now)


def _signed(subject: int, known: bool) -> int:
    return subject if known else -subject
