"""What an operator is told of a database that cannot be used."""

import sqlite3

import pytest

from consentryd.storage.damage import explain, forget_opened
from consentryd.storage.database import open_database


def test_a_database_that_cannot_be_opened_is_named(tmp_path):
    forget_opened()
    open_database(tmp_path / "other.db", "control").close()
    with pytest.raises(sqlite3.OperationalError) as raised:
        open_database(tmp_path / "gone" / "control.db", "control", readonly=True)
    assert explain(raised.value) == (
        f"{tmp_path / 'gone' / 'control.db'}: unable to open database file. SQLite has to write in {tmp_path / 'gone'}, even to read."
    )
