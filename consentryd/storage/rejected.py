"""Dead letters: what was refused, scrubbed, with its reason, for a while and up to a number."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from operator import itemgetter
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


def latest(regions: Mapping[str, Sequence[Letter]], limit: int) -> list[tuple[str, Letter]]:
    """The last `limit` to come of several regions' letters (of each oldest first), in order of `received_at`, with their regions.

    Where only the hour was kept, a letter came no earlier than the one before it in its region.
    """
    came = [
        (at, region, letter)
        for region, letters in regions.items()
        for at, letter in zip(accumulate((letter.received_at for letter in letters), max), letters, strict=True)
    ]
    came.sort(key=itemgetter(0))
    return sorted(((region, letter) for _, region, letter in came[-limit:]), key=lambda entry: entry[1].received_at)


def trim(connection: sqlite3.Connection, keep: int, before: int, most: int) -> int:
    """Delete all but the newest `keep` letters, and those received before `before`: `most` at a time, for a million take seconds. How
    many it were."""
    return connection.execute(
        "DELETE FROM rejected WHERE id IN (SELECT id FROM rejected "
        "WHERE received_at < ? OR id <= (SELECT coalesce(max(id), 0) FROM rejected) - ? LIMIT ?)",
        (before, keep, most),
    ).rowcount


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
