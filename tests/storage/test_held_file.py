"""Searching the bytes of a database leaves it SQLite's: no other process takes it for unused."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from consentryd.storage import held_file
from consentryd.storage.scan import Needles, scan_files

OPEN_AND_CLOSE = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print(c.execute('SELECT count(*) FROM t').fetchone()[0]); c.close()"
)


def seen_by_another_process(path: Path) -> int:
    return int(subprocess.run([sys.executable, "-c", OPEN_AND_CLOSE, str(path)], capture_output=True, check=True).stdout)


def test_what_is_committed_after_a_search_is_there_for_other_processes(tmp_path: Path) -> None:
    path = tmp_path / "region.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (x TEXT)")
        connection.execute("INSERT INTO t VALUES ('distinctive')")
        report = scan_files(tmp_path, Needles([], ["distinctive"]))
        assert (report.files, report.of("text")) == (3, ["region.db-wal"])
        assert seen_by_another_process(path) == 1
        connection.execute("INSERT INTO t VALUES ('after')")
        assert (tmp_path / "region.db-wal").exists()
        assert seen_by_another_process(path) == 2


def test_a_file_is_read_in_parts_that_overlap_and_opened_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(held_file, "_PART", 10)
    path = tmp_path / "a.db"
    path.write_bytes(bytes(range(25)))
    assert list(held_file.parts(path, 3)) == [bytes(range(10)), bytes(range(7, 20)), bytes(range(17, 25))]
    before = len(list(Path("/proc/self/fd").iterdir()))
    path.write_bytes(b"other")
    assert list(held_file.parts(path, 3)) == [b"other"]
    assert len(list(Path("/proc/self/fd").iterdir())) == before
