"""What an operator is told of a database that cannot be used."""

import shutil
import sqlite3
from contextlib import closing
from types import SimpleNamespace

import pytest

from consentryd.storage.damage import explain, forget_opened
from consentryd.storage.database import open_database, transaction


def test_a_database_that_cannot_be_opened_is_named(tmp_path):
    forget_opened()
    open_database(tmp_path / "other.db", "control").close()
    with pytest.raises(sqlite3.OperationalError) as raised:
        open_database(tmp_path / "gone" / "control.db", "control", readonly=True)
    assert explain(raised.value) == (
        f"{tmp_path / 'gone' / 'control.db'}: unable to open database file. SQLite has to write in {tmp_path / 'gone'}, even to read."
    )


def test_of_a_full_disk_the_database_and_what_is_free_are_told(tmp_path, monkeypatch):
    forget_opened()
    with closing(open_database(tmp_path / "control.db", "control")) as connection:
        connection.execute(f"PRAGMA max_page_count = {connection.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(sqlite3.OperationalError) as raised:
            connection.execute("CREATE TABLE more AS SELECT zeroblob(100000)")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=3 * 2**19 if folder == tmp_path else None))
    assert explain(raised.value) == f"{tmp_path / 'control.db'}: database or disk is full. 1.5 MiB are free on its disk."


def test_what_sqlite_undoes_itself_is_told_by_its_own_error_and_the_next_goes_on(tmp_path):
    with closing(open_database(tmp_path / "control.db", "control")) as connection:
        connection.execute("INSERT INTO region (name, since) VALUES ('eu', 1)")
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):  # it ends as where a disk is full
            connection.execute("INSERT OR ROLLBACK INTO region (name, since) VALUES ('eu', 1)")
        with transaction(connection):
            connection.execute("INSERT INTO region (name, since) VALUES ('us', 1)")
