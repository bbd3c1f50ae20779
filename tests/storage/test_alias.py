"""Merged subjects lead to the same one however long the way is."""

from __future__ import annotations

import random
import sqlite3

import pytest

from consentryd.storage.alias import load_aliases
from tests.storage.rows import event, table


def end_of(pairs: dict[int, int], subject: int) -> int:
    while subject in pairs:
        subject = pairs[subject]
    return subject


@pytest.mark.parametrize("merged", [0, 1, 2, 700])
@pytest.mark.parametrize("longest", [1, 2, 300])
def test_each_merged_subject_is_found_at_the_end_of_its_chain(database: sqlite3.Connection, merged: int, longest: int) -> None:
    rng = random.Random(merged + longest)
    numbers = [2**63 - 1, *rng.sample(range(2**63 - 1), merged)]
    pairs = {subject: rng.choice(numbers[place + 1 : place + 1 + longest]) for place, subject in enumerate(numbers[:-1])}
    database.executemany("INSERT INTO alias VALUES (?, ?, 0)", pairs.items())
    aliases = load_aliases(database)
    assert [aliases.resolve(subject) for subject in numbers] == [end_of(pairs, subject) for subject in numbers]
    assert len(aliases) == merged
    assert aliases.resolve(5) == 5


@pytest.mark.parametrize("pairs", [{}, {7: 9}, {1: 3, 3: 9, 2**62: 9}])
def test_events_of_merged_subjects_are_those_of_whom_they_are_now(database: sqlite3.Connection, pairs: dict[int, int]) -> None:
    database.executemany("INSERT INTO alias VALUES (?, ?, 0)", pairs.items())
    subjects = [None, 1, 2, 3, 7, 9, 2**62, 2**63 - 1]
    events = table([event(number, subject=subject) for number, subject in enumerate(subjects)])
    aliases = load_aliases(database)
    assert aliases.mask(events).tolist() == [subject in pairs for subject in subjects]
    assert aliases.apply(events)["subject"].to_pylist() == [
        None if subject is None else end_of(pairs, subject) for subject in subjects
    ]
