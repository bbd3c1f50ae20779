"""Legal holds: whom the law forbids to erase for now. Their data is kept from erasure, rectification, retention and withdrawal alike.

Each matter holds for itself: what one reason no longer asks for another may.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from consentryd.storage.person import Person


class Hold(NamedTuple):
    """What was set at once: `identities` counts whom it names, at how many sites each. `since` is UTC microseconds."""

    site: str
    reason: str
    since: int
    identities: int


def hold(connection: sqlite3.Connection, site: str, digests: Iterable[bytes], reason: str, now: int) -> None:
    """Keep the identities from being erased, because of `reason`, since the first time that it was said."""
    connection.executemany(
        "INSERT INTO legal_hold (digest, reason, created_at, site) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(digest, reason, now, site) for digest in digests],
    )


def is_held(connection: sqlite3.Connection, digests: Iterable[bytes], reason: str) -> bool:
    """Whether one of the identities is held for this reason."""
    statement = "SELECT 1 FROM legal_hold WHERE digest = ? AND reason = ?"
    return any(connection.execute(statement, (digest, reason)).fetchone() for digest in digests)


def hold_back(connection: sqlite3.Connection, subjects: Iterable[int], request: str) -> None:
    """Show subjects to nobody but themselves while their erasure is on hold."""
    connection.executemany(
        "INSERT OR IGNORE INTO held_back (subject, request) VALUES (?, ?)", [(subject, request) for subject in subjects]
    )


def hold_back_no_more(connection: sqlite3.Connection, request: str) -> None:
    """The erasure goes on, or is taken back."""
    connection.execute("DELETE FROM held_back WHERE request = ?", (request,))


def lift(connection: sqlite3.Connection, digests: Iterable[bytes], reason: str) -> None:
    """End what is held for this reason."""
    connection.executemany("DELETE FROM legal_hold WHERE digest = ? AND reason = ?", [(digest, reason) for digest in digests])


def holds(connection: sqlite3.Connection, sites: Sequence[str]) -> list[Hold]:
    """Those of the sites, newest first."""
    rows = connection.execute(
        "SELECT site, reason, created_at, count(*) FROM legal_hold GROUP BY site, reason, created_at ORDER BY created_at DESC"
    )
    return [Hold(*row) for row in rows if row[0] in sites]


def held(connection: sqlite3.Connection, person: Person) -> str | None:
    """Why the person must not be erased now, if so: every reason."""
    reasons = {
        str(reason)
        for digest in person.digests
        for (reason,) in connection.execute("SELECT reason FROM legal_hold WHERE digest = ?", (digest,))
    }
    return "; ".join(sorted(reasons)) or None


def held_subjects(connection: sqlite3.Connection) -> list[int]:
    """The subjects whose events must stay, those that were merged into them too."""
    rows = connection.execute(
        "WITH named AS (SELECT subject FROM legal_hold JOIN identity USING (digest) "
        "UNION SELECT subject FROM legal_hold JOIN email USING (digest)), "
        "whole AS (SELECT subject FROM named UNION SELECT becomes FROM alias JOIN named USING (subject)) "
        "SELECT subject FROM whole UNION SELECT alias.subject FROM alias JOIN whole ON alias.becomes = whole.subject"
    )
    return [subject for (subject,) in rows]
