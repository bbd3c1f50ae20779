"""Dead letters: what was refused, scrubbed, with its reason, for a while and up to a number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from consentryd.model.outcome import Outcome, Reason


class Letter(NamedTuple):
    """One refused event. `event` is JSON text of what scrubbing left of it; times are UTC microseconds."""

    site: str
    received_at: int
    outcome: Outcome
    reason: Reason
    event: str


def write(connection: sqlite3.Connection, letters: Sequence[Letter]) -> None:
    connection.executemany("INSERT INTO rejected (site, received_at, outcome, reason, event) VALUES (?, ?, ?, ?, ?)", letters)


def newest(connection: sqlite3.Connection, limit: int, site: str | None = None) -> list[Letter]:
    """The last `limit` letters, oldest of them first."""
    rows = connection.execute(
        "SELECT site, received_at, outcome, reason, event FROM rejected WHERE ?1 IS NULL OR site = ?1 ORDER BY id DESC LIMIT ?2",
        (site, limit),
    ).fetchall()
    return [Letter(row[0], row[1], Outcome(row[2]), Reason(row[3]), row[4]) for row in reversed(rows)]


def trim(connection: sqlite3.Connection, keep: int, before: int) -> None:
    """Delete all but the newest `keep` letters, and those received before `before`."""
    connection.execute(
        "DELETE FROM rejected WHERE received_at < ? OR id <= (SELECT coalesce(max(id), 0) FROM rejected) - ?", (before, keep)
    )


def pages(connection: sqlite3.Connection, rows: int = 500) -> Iterator[list[Letter]]:
    """All letters, oldest first, `rows` at a time. No statement outlives its page."""
    after = 0
    while True:
        page = connection.execute(
            "SELECT site, received_at, outcome, reason, event, id FROM rejected WHERE id > ? ORDER BY id LIMIT ?", (after, rows)
        ).fetchall()
        if not page:
            return
        yield [Letter(row[0], row[1], Outcome(row[2]), Reason(row[3]), row[4]) for row in page]
        after = page[-1][5]


def count(connection: sqlite3.Connection) -> int:
    found: tuple[int] = connection.execute("SELECT count(*) FROM rejected").fetchone()
    return found[0]
