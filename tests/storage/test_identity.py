"""Who is who comes out the same however events are grouped into commits, and other processes hear of what they may remember."""

from __future__ import annotations

import itertools
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consentryd.config.settings import Storage
from consentryd.model.clock import ManualClock
from consentryd.model.event import COLUMNS, CleanEvent
from consentryd.model.outcome import Outcome, Reason
from consentryd.storage.choice import Choices
from consentryd.storage.database import open_database
from consentryd.storage.identity import SqliteIdentityTable
from consentryd.storage.index import MemoryIdentityTable, Owner, SubjectIndex
from consentryd.storage.person import release, suppress
from consentryd.storage.subject import SubjectTaken
from consentryd.storage.writer import Task, Writer

NOW = 1_790_000_000_000_000
STEPS = 24


def open_writer(path: Path) -> Writer:
    numbers = itertools.count(1)
    return Writer(path, Storage(min_free_bytes=0), ManualClock(NOW), lambda: next(numbers))


@pytest.fixture
def writer(region: Path) -> Iterator[Writer]:
    made = open_writer(region / "region.db")
    yield made
    made.close()


def digest(name: str) -> bytes:
    return name.encode().ljust(16, b".")


def event(number: int, user: bytes | None, anonymous: bytes | None, previous: bytes | None = None) -> CleanEvent:
    row: list[Any] = [None] * len(COLUMNS)
    row[0] = str(number)
    return CleanEvent("eu", number, user, anonymous, previous, row)


def steps(seed: int) -> list[CleanEvent]:
    """Few people and devices, so that they meet in every way."""
    rng = random.Random(seed)
    users, devices = [digest(f"u{n}") for n in range(3)], [digest(f"a{n}") for n in range(4)]
    found = []
    for number in range(STEPS):
        user, device = rng.choice([*users, None]), rng.choice(devices)
        previous = rng.choice([*devices, *users]) if user is not None and rng.random() < 0.2 else None
        found.append(event(number + 1, user, rng.choice([device, None]) if user else device, previous))
    return found


def subjects_of(events: list[CleanEvent]) -> list[int]:
    return [each.row[9] for each in events]


def by_the_rules(events: list[CleanEvent]) -> tuple[list[int], MemoryIdentityTable]:
    numbers = itertools.count(1)
    table = MemoryIdentityTable()
    index = SubjectIndex(table, lambda: next(numbers))
    found = []
    for each in events:
        index.forget()
        if each.previous is not None and each.user is not None:
            found.append(index.alias(each.previous, each.user, NOW))
        else:
            found.append(index.resolve(each.user, each.anonymous, NOW))
    return found, table


@pytest.mark.parametrize("group", [1, 5, STEPS])
@pytest.mark.parametrize("seed", range(12))
def test_commits_of_any_size_tell_the_same_people_apart(writer: Writer, region: Path, seed: int, group: int) -> None:
    events = steps(seed)
    for start in range(0, STEPS, group):
        writer.commit([Task(events=[each]) for each in events[start : start + group]])
    subjects, table = by_the_rules(events)
    assert subjects_of(events) == subjects
    reader = open_database(region / "region.db", "region", readonly=True)
    assert dict(reader.execute("SELECT digest, subject FROM identity")) == table.identities
    assert dict(reader.execute("SELECT subject, becomes FROM alias")) == table.aliases
    owners = reader.execute("SELECT subject, known FROM identity").fetchall()
    assert all(bool(flag) == table.subjects[subject] for subject, flag in owners)
    reader.close()


def test_two_processes_agree_on_people_they_see_in_turns(region: Path) -> None:
    events = steps(99)
    numbers = itertools.count(1)
    both = [Writer(region / "region.db", Storage(min_free_bytes=0), ManualClock(NOW), lambda: next(numbers)) for _ in "ab"]
    for start in range(0, STEPS, 2):
        both[start % 4 // 2].commit([Task(events=events[start : start + 2])])
    assert subjects_of(events) == by_the_rules(events)[0]
    for each in both:
        each.close()


def test_a_commit_hears_of_suppression_that_others_set_and_lifted(writer: Writer, database: sqlite3.Connection) -> None:
    person, other = digest("a1"), digest("a2")

    def verdicts(number: int) -> list[Any]:
        return writer.commit([Task(events=[event(number, None, person), event(number + 1, None, other)])])[0]  # type: ignore[no-any-return]

    assert verdicts(1) == [Outcome.STORED, Outcome.STORED]
    suppress(database, [person], None, NOW)
    assert verdicts(3) == [Reason.SUPPRESSED, Outcome.STORED]
    suppress(database, [other], None, NOW)
    assert verdicts(5) == [Reason.SUPPRESSED, Reason.SUPPRESSED]
    release(database, [person], NOW)
    assert verdicts(7) == [Outcome.STORED, Reason.SUPPRESSED]


@pytest.mark.parametrize("flushed", [False, True])
def test_an_identity_that_was_bound_anew_stays_when_its_first_subject_is_merged(
    database: sqlite3.Connection, flushed: bool
) -> None:
    table = SqliteIdentityTable(database, Choices(database))
    first, second, third = (Owner(number, known=number > 1) for number in (1, 2, 3))
    for owner in (first, second, third):
        table.create(owner.subject)
    table.bind(digest("a"), first, NOW)
    table.bind(digest("b"), first, NOW)
    if flushed:
        table.flush(NOW)
    table.bind(digest("a"), second, NOW)
    table.merge(1, third, NOW)
    table.flush(NOW)
    assert (table.find(digest("a")), table.find(digest("b"))) == (second, third)
    stored = database.execute("SELECT digest, subject, known FROM identity ORDER BY digest").fetchall()
    assert stored == [(digest("a"), 2, 1), (digest("b"), 3, 1)]


@pytest.mark.parametrize("count", [0, 1, 64, 1500])
def test_all_that_is_new_is_written_whatever_its_number(database: sqlite3.Connection, count: int) -> None:
    table = SqliteIdentityTable(database, Choices(database))
    people = [Owner(2**63 - 1 - number, known=number % 3 == 0) for number in range(count)]
    for number, owner in enumerate(people):
        table.create(owner.subject)
        table.bind(digest(str(number)), owner, NOW)
    table.flush(NOW)
    stored = database.execute("SELECT digest, subject, known, created_at FROM identity").fetchall()
    assert set(stored) == {(digest(str(number)), *owner, NOW) for number, owner in enumerate(people)}


SOMEBODY_SEVEN = {
    "identity": "INSERT INTO identity VALUES (x'00', 7, 0, 0)",
    "email": "INSERT INTO email VALUES (x'00', 7, 0)",
    "alias": "INSERT INTO alias VALUES (7, 8, 0)",
    "merge": "INSERT INTO alias VALUES (6, 7, 0)",
}


@pytest.mark.parametrize("taken", SOMEBODY_SEVEN)
def test_no_newcomer_gets_the_subject_of_another(region: Path, database: sqlite3.Connection, taken: str) -> None:
    database.execute(SOMEBODY_SEVEN[taken])
    numbers = iter([7, 9])
    writer = Writer(region / "region.db", Storage(min_free_bytes=0), ManualClock(NOW), lambda: next(numbers))
    with pytest.raises(SubjectTaken):
        writer.commit([Task(events=[event(1, None, digest("a"))])])
    assert database.execute("SELECT count(*) FROM log").fetchone() == (0,)
    assert writer.commit([Task(events=[event(1, None, digest("a"))])]) == [[Outcome.STORED]]
    writer.close()


@pytest.mark.parametrize("taken", SOMEBODY_SEVEN)
def test_nobody_is_merged_because_a_newcomer_drew_their_subject(region: Path, database: sqlite3.Connection, taken: str) -> None:
    database.execute(SOMEBODY_SEVEN[taken])
    numbers = iter([5, 7, 9])
    writer = Writer(region / "region.db", Storage(min_free_bytes=0), ManualClock(NOW), lambda: next(numbers))
    writer.commit([Task(events=[event(1, digest("u"), None)])])
    before = database.execute("SELECT * FROM alias").fetchall()
    met = [event(2, None, digest("a")), event(3, digest("u"), digest("a"))]
    with pytest.raises(SubjectTaken):
        writer.commit([Task(events=met)])
    assert database.execute("SELECT * FROM alias").fetchall() == before
    assert writer.commit([Task(events=met)]) == [[Outcome.STORED, Outcome.STORED]]
    assert (9, 5) in database.execute("SELECT subject, becomes FROM alias").fetchall()
    writer.close()
