"""Members of saved cohorts, now and before. They are kept in their region, as everything is that tells one person from another."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import attrgetter
from typing import Final, NamedTuple

from consentryd.storage.alias import load_aliases
from consentryd.storage.database import transaction
from consentryd.storage.subject import IS_SOMEBODY

#: Rows of one transaction, so that events that arrive meanwhile wait for milliseconds only.
CHUNK: Final = 2_000


class Spell(NamedTuple):
    """A subject was a member from `entered_at` until just before `left_at` (UTC microseconds); None: still is."""

    subject: int
    entered_at: int
    left_at: int | None


class Reckoning(NamedTuple):
    """A cohort's members were looked up at an instant by a version of its definition."""

    at: int
    version: int


def record_members(connection: sqlite3.Connection, cohort: str, version: int, subjects: Iterable[int], at: int) -> None:
    """The members of a cohort in this region are these from `at` on: others leave, new ones enter, the rest stay.

    Who was erased meanwhile does not come back. Written in parts; after a crash the next reckoning completes it.
    """
    wanted = set(subjects)
    aliases = load_aliases(connection)
    open_now = connection.execute("SELECT subject FROM cohort_spell WHERE cohort = ? AND left_at IS NULL", (cohort,)).fetchall()
    known = {subject: aliases.resolve(subject) for (subject,) in open_now}
    _leave(connection, cohort, sorted(subject for subject, now in known.items() if now not in wanted), at)
    _enter(connection, cohort, sorted(wanted - set(known.values())), at)
    connection.execute(
        "INSERT INTO cohort_reckoning (cohort, at, version) VALUES (?, ?, ?) "
        "ON CONFLICT DO UPDATE SET version = max(version, excluded.version)",
        (cohort, at, version),
    )


def forget_cohort(connection: sqlite3.Connection, cohort: str) -> None:
    """The cohort was deleted: nobody was ever in it."""
    _in_one(
        connection,
        [
            ("DELETE FROM cohort_spell WHERE cohort = ?", [(cohort,)]),
            ("DELETE FROM cohort_reckoning WHERE cohort = ?", [(cohort,)]),
        ],
    )


def read_members(connection: sqlite3.Connection, cohort: str) -> set[int]:
    """The members of now, merged ones as the subject they are by now."""
    aliases = load_aliases(connection)
    rows = connection.execute("SELECT subject FROM cohort_spell WHERE cohort = ? AND left_at IS NULL", (cohort,))
    return {aliases.resolve(subject) for (subject,) in rows}


def read_spells(connection: sqlite3.Connection, cohort: str) -> list[Spell]:
    """Everybody who ever was a member, by subject and time. Spells of subjects that are merged by now are united where they touch."""
    aliases = load_aliases(connection)
    rows = connection.execute("SELECT subject, entered_at, left_at FROM cohort_spell WHERE cohort = ?", (cohort,))
    spells = sorted(
        (Spell(aliases.resolve(subject), *times) for subject, *times in rows), key=attrgetter("subject", "entered_at")
    )
    return [spell for _, own in groupby(spells, key=attrgetter("subject")) for spell in _united(own)]


def spells_of(connection: sqlite3.Connection, subjects: Iterable[int]) -> list[tuple[str, Spell]]:
    """The cohorts, by id, that these subjects are or were in, as it is stored."""
    statement = "SELECT cohort, subject, entered_at, left_at FROM cohort_spell WHERE subject = ? ORDER BY cohort, entered_at"
    return [(cohort, Spell(*spell)) for subject in subjects for cohort, *spell in connection.execute(statement, (subject,))]


def read_reckonings(connection: sqlite3.Connection, cohort: str) -> list[Reckoning]:
    """When the members were looked up, oldest first."""
    rows = connection.execute("SELECT at, version FROM cohort_reckoning WHERE cohort = ? ORDER BY at", (cohort,))
    return [Reckoning(*row) for row in rows]


def _united(spells: Iterable[Spell]) -> Iterator[Spell]:
    current: Spell | None = None
    for spell in spells:
        if current is None:
            current = spell
        elif current.left_at is None or spell.entered_at <= current.left_at:
            ends = (current.left_at, spell.left_at)
            current = current._replace(left_at=None if None in ends else max(end for end in ends if end is not None))
        else:
            yield current
            current = spell
    if current is not None:
        yield current


def _leave(connection: sqlite3.Connection, cohort: str, subjects: Sequence[int], at: int) -> None:
    """Whoever leaves in the instant of entering was never in it."""
    for part in _parts(subjects):
        rows = [(at, cohort, subject) for subject in part]
        _in_one(
            connection,
            [
                ("DELETE FROM cohort_spell WHERE entered_at >= ? AND cohort = ? AND subject = ?", rows),
                ("UPDATE cohort_spell SET left_at = ? WHERE cohort = ? AND subject = ? AND left_at IS NULL", rows),
            ],
        )


def _enter(connection: sqlite3.Connection, cohort: str, subjects: Sequence[int], at: int) -> None:
    """The index of subjects knows who was erased since the members were looked up."""
    for part in _parts(subjects):
        statement = (
            f"INSERT INTO cohort_spell (subject, cohort, entered_at) SELECT ?1, ?2, ?3 WHERE {IS_SOMEBODY} "  # noqa: S608 - our own names
            "AND NOT EXISTS (SELECT 1 FROM cohort_spell WHERE subject = ?1 AND cohort = ?2 AND left_at IS NULL) "
            "ON CONFLICT DO UPDATE SET left_at = NULL"
        )
        _in_one(connection, [(statement, [(subject, cohort, at) for subject in part])])


def _parts(subjects: Sequence[int]) -> Iterator[list[int]]:
    each = iter(subjects)
    while part := list(islice(each, CHUNK)):
        yield part


def _in_one(connection: sqlite3.Connection, work: Iterable[tuple[str, Sequence[tuple[object, ...]]]]) -> None:
    with transaction(connection):
        for statement, rows in work:
            connection.executemany(statement, rows)
