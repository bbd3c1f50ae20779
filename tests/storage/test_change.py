"""Processes forget what others changed, also when the feed no longer tells what that was."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from consentryd.model.clock import DAY
from consentryd.storage.change import KEPT, Feed, announce, trim
from consentryd.storage.choice import Choice, Choices, ChoiceState, write_choice
from consentryd.storage.database import open_database
from consentryd.storage.identity import SqliteIdentityTable
from consentryd.storage.index import Owner
from consentryd.storage.standing import Standings
from consentryd.storage.subject_key import SqliteSubjectKeys

NOW = 1_795_291_200_000_000
ANN, BOB = b"a" * 16, b"b" * 16


@pytest.fixture
def other(region: Path, database: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection = open_database(region / "region.db", "region")
    yield connection
    connection.close()


def test_a_reader_is_told_each_change_once_and_misses_none(database: sqlite3.Connection, other: sqlite3.Connection) -> None:
    feed = Feed()
    assert feed.read(other) == []
    announce(database, [ANN, BOB], NOW)
    announce(database, [ANN], NOW)
    assert feed.read(other) == [ANN, BOB, ANN]
    assert feed.read(other) == []
    late = Feed()
    late.skip(other)
    announce(database, [BOB], NOW)
    assert late.read(other) == [BOB]


def test_a_reader_who_was_away_for_too_long_is_told_to_forget_everything(database: sqlite3.Connection) -> None:
    feed = Feed()
    for day in range(5):
        announce(database, [ANN], NOW + day * DAY)
    assert trim(database, NOW + 4 * DAY - KEPT) == 3
    assert feed.read(database) is None
    assert feed.read(database) == []
    announce(database, [BOB], NOW)
    assert feed.read(database) == [BOB]
    assert trim(database, NOW + 99 * DAY) == 2
    assert trim(database, NOW + 99 * DAY) == 0
    assert feed.read(database) == []


@pytest.mark.parametrize("trimmed", [False, True])
def test_no_cache_outlives_a_change_of_another_process(
    database: sqlite3.Connection, other: sqlite3.Connection, region: Path, trimmed: bool
) -> None:
    """`trimmed`: the feed names the identity no longer."""
    database.execute("INSERT INTO identity VALUES (?, 1, 0, 0)", (ANN,))
    table, standings, keys = (
        SqliteIdentityTable(other, Choices(other)),
        Standings(other),
        SqliteSubjectKeys(region / "region.db", b"w" * 32),
    )
    write_choice(database, 2, Choice("analytics", BOB, ChoiceState.DENIED, True, NOW, 0, None))
    standings.look()
    assert (table.find(ANN), standings.of(ANN, None).refused) == (Owner(1, known=False), frozenset())
    first = keys.key_for(ANN)
    keys.flush(database, NOW, lambda: {ANN})()
    assert keys.key_for(ANN) == first

    database.execute("UPDATE identity SET subject = 2 WHERE digest = ?", (ANN,))
    database.execute("DELETE FROM subject_key")
    announce(database, [ANN], NOW)
    if trimmed:
        announce(database, [BOB], NOW + DAY)
        trim(database, NOW + DAY)
    table.refresh()
    standings.look()

    assert (table.find(ANN), standings.of(ANN, None).refused) == (Owner(2, known=False), frozenset({"analytics"}))
    assert keys.key_for(ANN) != first
    keys.close()
