"""Frozen members of saved cohorts. They are kept in their region, as everything is that tells one person from another."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from consentryd.storage.alias import load_aliases


def write_members(connection: sqlite3.Connection, cohort: str, subjects: Iterable[int]) -> None:
    """The members of a cohort in this region are these and no others, in one transaction."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("DELETE FROM cohort_member WHERE cohort = ?", (cohort,))
        rows = ((subject, cohort) for subject in subjects)
        connection.executemany("INSERT OR IGNORE INTO cohort_member (subject, cohort) VALUES (?, ?)", rows)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def read_members(connection: sqlite3.Connection, cohort: str) -> set[int]:
    """The members that are left, merged ones as the subject they are now."""
    aliases = load_aliases(connection)
    rows = connection.execute("SELECT subject FROM cohort_member WHERE cohort = ?", (cohort,))
    return {aliases.resolve(subject) for (subject,) in rows}
