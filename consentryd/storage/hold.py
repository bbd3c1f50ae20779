"""Legal holds: whom the law forbids to erase for now. Their data is kept from erasure, retention and withdrawal alike."""

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
    """Keep the identities from being erased, because of `reason`."""
    connection.executemany(
        "INSERT INTO legal_hold (digest, reason, created_at, site) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO UPDATE SET reason = excluded.reason",
        [(digest, reason, now, site) for digest in digests],
    )


def lift(connection: sqlite3.Connection, digests: Iterable[bytes]) -> None:
    connection.executemany("DELETE FROM legal_hold WHERE digest = ?", [(digest,) for digest in digests])


def holds(connection: sqlite3.Connection, sites: Sequence[str]) -> list[Hold]:
    """Those of the sites, newest first."""
    rows = connection.execute(
        "SELECT site, reason, created_at, count(*) FROM legal_hold GROUP BY site, reason, created_at ORDER BY created_at DESC"
    )
    return [Hold(*row) for row in rows if row[0] in sites]


def held(connection: sqlite3.Connection, person: Person) -> str | None:
    """Why the person must not be erased now, if so."""
    for digest in person.digests:
        row = connection.execute("SELECT reason FROM legal_hold WHERE digest = ?", (digest,)).fetchone()
        if row is not None:
            return str(row[0])
    return None


def held_subjects(connection: sqlite3.Connection) -> list[int]:
    """The subjects whose events must stay, those that were merged into them too."""
    rows = connection.execute(
        "WITH named AS (SELECT subject FROM legal_hold JOIN identity USING (digest) "
        "UNION SELECT subject FROM legal_hold JOIN email USING (digest)), "
        "whole AS (SELECT subject FROM named UNION SELECT becomes FROM alias JOIN named USING (subject)) "
        "SELECT subject FROM whole UNION SELECT alias.subject FROM alias JOIN whole ON alias.becomes = whole.subject"
    )
    return [subject for (subject,) in rows]
