"""Keys of data subjects are durable with the first stored event that needs them, and never stored without one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from consentryd.storage.database import open_database
from consentryd.storage.subject_key import UNUSED_S, SqliteSubjectKeys, keys_of

NOW = 1_795_291_200_000_000
ANN, BOB = b"a" * 16, b"b" * 16
WRAP = b"w" * 32


class Stopwatch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    connection = open_database(tmp_path / "region.db", "region")
    yield connection
    connection.close()


@pytest.fixture
def watch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def keys(database: sqlite3.Connection, tmp_path: Path, watch: Stopwatch) -> Iterator[SqliteSubjectKeys]:
    made = SqliteSubjectKeys(tmp_path / "region.db", WRAP, monotonic=watch)
    yield made
    made.close()


def commit(keys: SqliteSubjectKeys, database: sqlite3.Connection, *stored: bytes) -> None:
    settle = keys.flush(database, NOW, lambda: set(stored))
    if settle is not None:
        settle()


def test_a_key_waits_for_the_commit_of_its_event(keys: SqliteSubjectKeys, database: sqlite3.Connection) -> None:
    key = keys.key_for(ANN)
    commit(keys, database)
    commit(keys, database, BOB)
    assert keys_of(database, [ANN], WRAP) == []
    assert keys.key_for(ANN) == key
    commit(keys, database, ANN, BOB)
    assert keys_of(database, [ANN, BOB], WRAP) == [key]
    commit(keys, database, ANN)
    assert keys_of(database, [ANN], WRAP) == [key]


def test_a_commit_that_fails_leaves_the_key_to_the_next(keys: SqliteSubjectKeys, database: sqlite3.Connection) -> None:
    key = keys.key_for(ANN)
    database.execute("BEGIN")
    keys.flush(database, NOW, lambda: {ANN})
    database.execute("ROLLBACK")
    commit(keys, database, ANN)
    assert keys_of(database, [ANN], WRAP) == [key]


def test_a_key_whose_events_are_refused_is_forgotten_once_none_can_be_on_its_way(
    keys: SqliteSubjectKeys, database: sqlite3.Connection, watch: Stopwatch
) -> None:
    ann, bob = keys.key_for(ANN), keys.key_for(BOB)
    watch.now = UNUSED_S
    assert keys.key_for(ANN) == ann
    watch.now = UNUSED_S + 1
    commit(keys, database)
    assert keys.key_for(ANN) == ann
    assert keys.key_for(BOB) != bob
    commit(keys, database, ANN, BOB)
    assert keys_of(database, [ANN], WRAP) == [ann]
