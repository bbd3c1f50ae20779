"""Everything the region's database holds about one person besides events: who they are in it, and taking it out."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import orjson

from consentryd.storage.change import announce
from consentryd.storage.ledger import Ledger
from consentryd.storage.subject import check_free


class Person(NamedTuple):
    """A data subject as the region knows them. `subjects`: the number they have and those that were merged into it. `digests`: the named
    identities and all others of these subjects.
    """

    subjects: tuple[int, ...]
    digests: tuple[bytes, ...]


#: Tables that hold a person's rows, by what ties them to the person. A choice spoken on a shared device stays with whose choice it was.
_BY_SUBJECT: Final = ("choice", "choice_proof", "withdrawal", "email", "restriction", "cohort_spell")
_BY_DIGEST: Final = ("identity", "subject_key", "personal_use")


def find_person(connection: sqlite3.Connection, named: Iterable[bytes], *, themself: bool = False) -> Person:
    """Who the identities stand for, by the subject index and the e-mail addresses they named; nobody if they are unknown.

    Anybody who sends events can tie an address to somebody else's user id. So where people ask for `themself` an address leads to nobody
    who has a user id, unless another of the identities names them too.
    """
    digests = list(dict.fromkeys(named))
    subjects = dict.fromkeys(_behind(connection, "identity", digests))
    for subject in _behind(connection, "email", digests):
        if not (themself and _has_user_id(connection, subject)):
            subjects[subject] = None
    for subject in list(subjects):
        subjects.update(
            (merged, None) for (merged,) in connection.execute("SELECT subject FROM alias WHERE becomes = ?", (subject,))
        )
    found = [
        digest
        for subject in subjects
        for (digest,) in connection.execute(
            "SELECT digest FROM identity WHERE subject = ?1 UNION SELECT digest FROM email WHERE subject = ?1", (subject,)
        )
    ]
    return Person(tuple(subjects), tuple(dict.fromkeys([*digests, *found])))


def without_shared(connection: sqlite3.Connection, person: Person, named: Iterable[bytes]) -> Person:
    """The person without the e-mail addresses that somebody else has named too, as a household may, unless they are among `named`."""
    own, subjects = set(named), set(person.subjects)

    def is_shared(digest: bytes) -> bool:
        return digest not in own and not subjects.issuperset(_behind(connection, "email", [digest]))

    return person._replace(digests=tuple(digest for digest in person.digests if not is_shared(digest)))


def _behind(connection: sqlite3.Connection, table: str, digests: Iterable[bytes]) -> Iterator[int]:
    for digest in digests:
        for (subject,) in connection.execute(f"SELECT subject FROM {table} WHERE digest = ?", (digest,)).fetchall():  # noqa: S608 - our own names
            yield _resolved(connection, subject)


def _has_user_id(connection: sqlite3.Connection, subject: int) -> bool:
    return connection.execute("SELECT 1 FROM identity WHERE subject = ? AND known LIMIT 1", (subject,)).fetchone() is not None


def unknown(connection: sqlite3.Connection, identities: Iterable[bytes]) -> list[bytes]:
    """Those of the identities that stand for nobody."""
    return [digest for digest in dict.fromkeys(identities) if not list(_behind(connection, "identity", [digest]))]


def register(
    connection: sqlite3.Connection,
    identities: Sequence[bytes],
    emails: Sequence[bytes],
    subject: int,
    now: int,
    *,
    known: bool,
    since: int,
) -> Person:
    """Somebody of whom nothing is stored gets a subject, so that what they chose holds when they come. `known`: a user id is among them.
    `since` is the same in every region, so that none of them is the person's home for it.

    Raises `SubjectTaken`. Call within a transaction.
    """
    check_free(connection, [subject])
    connection.executemany(
        "INSERT INTO identity (digest, subject, known, created_at) VALUES (?, ?, ?, ?)",
        [(digest, subject, known, since) for digest in identities],
    )
    for digest in emails:
        note_email(connection, digest, subject, now)
    announce(connection, identities, now)
    return Person((subject,), (*identities, *emails))


def _resolved(connection: sqlite3.Connection, subject: int) -> int:
    row = connection.execute("SELECT becomes FROM alias WHERE subject = ?", (subject,)).fetchone()
    return subject if row is None else int(row[0])


def identities_of(connection: sqlite3.Connection, subject: int) -> list[bytes]:
    """The identities of whoever the subject is by now."""
    rows = connection.execute("SELECT digest FROM identity WHERE subject = ?", (_resolved(connection, subject),))
    return [digest for (digest,) in rows]


def count_people(connection: sqlite3.Connection, person: Person) -> int:
    """How many different people the identities stand for: of an address there may be several."""
    return len({_resolved(connection, subject) for subject in person.subjects})


def count_rows(connection: sqlite3.Connection, person: Person) -> dict[str, int]:
    """How many rows of each table are about the person."""
    counts = dict.fromkeys((*_BY_SUBJECT, *_BY_DIGEST), 0)
    for table in _BY_SUBJECT:
        for subject in person.subjects:
            counts[table] += _count(connection, f"SELECT count(*) FROM {table} WHERE subject = ?", subject)  # noqa: S608 - our own names
    for table in _BY_DIGEST:
        for digest in person.digests:
            counts[table] += _count(connection, f"SELECT count(*) FROM {table} WHERE digest = ?", digest)  # noqa: S608 - our own names
    return counts


def _count(connection: sqlite3.Connection, statement: str, value: int | bytes) -> int:
    return int(connection.execute(statement, (value,)).fetchone()[0])


def delete_rows(connection: sqlite3.Connection, person: Person, now: int) -> None:
    """Take the person out of every table, and tell other processes to forget them. Call within the transaction that buries the subjects."""
    for subject in person.subjects:
        for table in _BY_SUBJECT:
            connection.execute(f"DELETE FROM {table} WHERE subject = ?", (subject,))  # noqa: S608 - our own names
        connection.execute("DELETE FROM alias WHERE subject = ?1 OR becomes = ?1", (subject,))
    for digest in person.digests:
        for table in _BY_DIGEST:
            connection.execute(f"DELETE FROM {table} WHERE digest = ?", (digest,))  # noqa: S608 - our own names
    announce(connection, person.digests, now)


def suppress(connection: sqlite3.Connection, digests: Iterable[bytes], until: int | None, now: int) -> list[bytes]:
    """Refuse future events of these identities, until then (UTC microseconds) or for ever; never shorter than before. Those that are new."""
    new = []
    for digest in digests:
        cursor = connection.execute(
            "INSERT INTO suppression (digest, until, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (digest, until, now)
        )
        if cursor.rowcount:
            new.append(digest)
        else:
            connection.execute(
                "UPDATE suppression SET until = CASE WHEN ?2 IS NULL THEN NULL ELSE max(until, ?2) END "
                "WHERE digest = ?1 AND until IS NOT NULL",
                (digest, until),
            )
        announce(connection, [digest], now)
    return new


def release(connection: sqlite3.Connection, digests: Iterable[bytes], now: int) -> None:
    """Let the identities in again."""
    for digest in digests:
        connection.execute("DELETE FROM suppression WHERE digest = ?", (digest,))
        announce(connection, [digest], now)


def restrict(connection: sqlite3.Connection, person: Person, now: int) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO restriction (subject, created_at) VALUES (?, ?)", [(subject, now) for subject in person.subjects]
    )


def unrestrict(connection: sqlite3.Connection, person: Person) -> None:
    connection.executemany("DELETE FROM restriction WHERE subject = ?", [(subject,) for subject in person.subjects])


def restricted_since(connection: sqlite3.Connection, person: Person) -> int | None:
    """Since when the person's data is shown to nobody else, UTC microseconds."""
    found = [
        since
        for subject in person.subjects
        for (since,) in connection.execute("SELECT created_at FROM restriction WHERE subject = ?", (subject,))
    ]
    return min(found, default=None)


def delete_letters(connection: sqlite3.Connection, sites: Iterable[str], texts: Sequence[str]) -> int:
    """Delete dead letters of the sites that mention one of `texts`; how many."""
    deleted = 0
    for site in sites:
        for text in texts:
            written = orjson.dumps(text).decode()[1:-1]
            statement = "DELETE FROM rejected WHERE site = ?1 AND (instr(event, ?2) OR instr(event, ?3))"
            deleted += connection.execute(statement, (site, text, written)).rowcount
    return deleted


def key_hashes(connection: sqlite3.Connection, person: Person) -> list[str]:
    """SHA-256 of the person's wrapped encryption keys, which name them once they are destroyed."""
    return [hashlib.sha256(wrapped).hexdigest() for wrapped in wrapped_keys(connection, person)]


def wrapped_keys(connection: sqlite3.Connection, person: Person) -> list[bytes]:
    return [
        wrapped
        for digest in person.digests
        for (wrapped,) in connection.execute("SELECT wrapped FROM subject_key WHERE digest = ? ORDER BY created_at", (digest,))
    ]


def consent_entries(connection: sqlite3.Connection, person: Person) -> list[tuple[int, bytes]]:
    """Ledger entries that record the person's choices, with the nonces that tie them to the person."""
    return [
        row
        for subject in person.subjects
        for row in connection.execute("SELECT entry, nonce FROM choice_proof WHERE subject = ? ORDER BY entry", (subject,))
    ]


def uses(connection: sqlite3.Connection, person: Person) -> list[dict[str, Any]]:
    """The ledger entries that record a use of the person's data, in order, with the nonce of each; once, however many ids they have."""
    rows = {
        row
        for digest in person.digests
        for row in connection.execute("SELECT entry, nonce FROM personal_use WHERE digest = ?", (digest,))
    }
    ledger = Ledger(connection)
    found = ((ledger.entry(number), nonce) for number, nonce in sorted(rows))
    return [
        {"entry": entry.number, "nonce": nonce.hex(), **orjson.loads(entry.body)} for entry, nonce in found if entry is not None
    ]


def note_email(connection: sqlite3.Connection, digest: bytes, subject: int, now: int) -> None:
    """Remember that the subject named this e-mail address."""
    connection.execute("INSERT OR IGNORE INTO email (digest, subject, created_at) VALUES (?, ?, ?)", (digest, subject, now))


def forget_emails(connection: sqlite3.Connection, person: Person) -> None:
    """No e-mail address finds the person any more."""
    connection.executemany("DELETE FROM email WHERE subject = ?", [(subject,) for subject in person.subjects])


def note_use(connection: sqlite3.Connection, digests: Iterable[bytes], entry: int, nonce: bytes) -> None:
    """Tie a ledger entry about a use of their data to the identities it commits to."""
    connection.executemany(
        "INSERT OR IGNORE INTO personal_use (digest, entry, nonce) VALUES (?, ?, ?)",
        [(digest, entry, nonce) for digest in digests],
    )


def requests_of(connection: sqlite3.Connection, person: Person) -> list[str]:
    """Ids of the requests that name one of the person's identities."""
    return list(
        dict.fromkeys(
            request
            for digest in person.digests
            for (request,) in connection.execute("SELECT request FROM request_identity WHERE digest = ?", (digest,))
        )
    )
