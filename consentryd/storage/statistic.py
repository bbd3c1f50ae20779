"""Counts of choices by day: never by person."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple


class Count(NamedTuple):
    """How often a state was chosen on a UTC day at a site, by who and where. Empty text: not known."""

    day: str
    site: str
    purpose: str
    country: str
    device: str
    notice: str
    source: str
    state: str
    times: int


def count_choice(
    connection: sqlite3.Connection,
    day: str,
    site: str,
    purpose: str,
    state: str,
    traits: tuple[str, str, str, str],
    times: int = 1,
) -> None:
    """`traits` are country, device, notice and source. Call within a transaction."""
    connection.execute(
        "INSERT INTO consent_statistic (day, site, purpose, country, device, notice, source, state, count) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count",
        (day, site, purpose, *traits, state, times),
    )


def read_counts(connection: sqlite3.Connection, site: str, since: str, until: str) -> list[Count]:
    """Of days since <= day <= until, as `YYYY-MM-DD`."""
    rows = connection.execute(
        "SELECT day, site, purpose, country, device, notice, source, state, count FROM consent_statistic "
        "WHERE site = ? AND day BETWEEN ? AND ? ORDER BY day",
        (site, since, until),
    )
    return [Count(*row) for row in rows]
