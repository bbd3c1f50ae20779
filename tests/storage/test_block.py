"""The log's rows as bytes, and as events again."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard

from consentryd.model.error import CorruptStore
from consentryd.storage import block
from consentryd.storage.schema import EVENT_SCHEMA
from consentryd.storage.tail import read_log
from tests.storage.conftest import Append
from tests.storage.rows import event, table

ROWS = [event(number) for number in range(40)]
STRANGE = [
    event(1, title='"quoted" \\ back\\slash \u2028 \x00 \x1f é 漢 🙂', properties='{"a":"\\u0000"}', session=-(2**63)),
    event(2, title="", path="\n", subject=2**63 - 1, session=2**63 - 1, revenue="-99999999999999.9999", browser_major=-(2**15)),
    event(3, title="[", path="null", revenue="0.0000", subject=0, browser_major=2**15 - 1),
    event(4, time=0, received_at=-1, revenue="12", event=None),
]


def unnamed(body: bytes) -> bytes:
    """The block as it was written before its columns had names."""
    return zstandard.compress(orjson.dumps(block.decode(body)))


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("commit", [1, 7, 100])
def test_events_are_read_as_they_were_written(database: sqlite3.Connection, append: Append, commit: int, old: bool) -> None:
    append([*ROWS, *STRANGE], commit=commit)
    if old:
        database.create_function("unnamed", 1, unnamed)
        database.execute("UPDATE log SET body = unnamed(body)")
    (events,) = read_log(database, Path("region.db"), 0, 1000)
    assert events.select(EVENT_SCHEMA.names).equals(table([*ROWS, *STRANGE]))
    assert events["seq"].to_pylist() == [1 + place // commit for place in range(len(ROWS) + len(STRANGE))]


def test_events_of_some_subjects_are_the_same_as_by_reading_all(database: sqlite3.Connection, append: Append) -> None:
    append(ROWS, commit=3)
    (events,) = read_log(database, Path("region.db"), 0, 1000)
    subjects = set(events["subject"].drop_null().to_pylist()[:3])
    (found,) = read_log(database, Path("region.db"), 0, 1000, subjects)
    assert found.to_pylist() == [row for row in events.to_pylist() if row["subject"] in subjects]
    assert not list(read_log(database, Path("region.db"), 0, 1000, {5}))


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"subject": ["1", "2"]}, id="a text for a number"),
        pytest.param({"title": [1, 2]}, id="a number for a text"),
        pytest.param({"subject": [2**63, 1]}, id="a number too large"),
        pytest.param({"revenue": ["much", None]}, id="no amount"),
        pytest.param({"revenue": ["1.00001", None]}, id="an amount of five places"),
        pytest.param({"browser_major": [2**15, 1]}, id="a version too large"),
        pytest.param({"time": ["2026-01-01", "2026-01-01"]}, id="a text for a time"),
        pytest.param({"title": ["one"]}, id="a value too few"),
        pytest.param({"title": ["one", "two", "three"]}, id="a value too many"),
        pytest.param({"title": None}, id="a column that is none"),
        pytest.param({"title": {}}, id="a column that is no list"),
        pytest.param({"address": ["192.0.2.1", None]}, id="a column that is not stored"),
    ],
)
def test_what_no_event_has_is_found(database: sqlite3.Connection, append: Append, value: dict[str, Any]) -> None:
    append(ROWS[:4], commit=2)
    body = database.execute("SELECT body FROM log WHERE seq = 2").fetchone()[0]
    columns = orjson.loads(block.line(body)) | value
    database.execute("UPDATE log SET body = ? WHERE seq = 2", (zstandard.compress(orjson.dumps(columns)),))
    with pytest.raises(CorruptStore, match=r"region\.db: log rows? seq "):
        list(read_log(database, Path("region.db"), 0, 1000))
