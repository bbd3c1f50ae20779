"""Sealing: each event exactly once, whatever happens in between."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from consentryd.config.settings import Storage
from consentryd.model.chance import Chance
from consentryd.model.clock import ManualClock
from consentryd.model.error import CorruptStore
from consentryd.storage.alias import NO_ALIASES, Aliases
from consentryd.storage.compaction import compact
from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.keys import open_region_keys
from consentryd.storage.lake import Lake, LakeFile, LakeState
from consentryd.storage.lease import Busy
from consentryd.storage.master import MasterKey
from consentryd.storage.order import SORT_KEYS, sort
from consentryd.storage.reader import Reader, verify
from consentryd.storage.region import RegionStore
from consentryd.storage.seal import Sealer, check_continuity
from consentryd.storage.seen import seen_upto
from tests.storage.conftest import Append
from tests.storage.rows import JANUARY, append_rows, event, hash_of, ids, table

ROWS = [*(event(number, days=31) for number in range(290)), *(event(number) for number in range(290, 300))]


def lake_ids(lake: Lake) -> list[str]:
    return sorted(
        each for file in lake.state().files for part in lake.read(file, ["event_id"]) for each in part["event_id"].to_pylist()
    )


def seen_ids(region: Path, lake: Lake) -> list[str]:
    reader = Reader(region, lake)
    try:
        with reader.snapshot() as snapshot:
            return sorted(snapshot.query("SELECT event_id FROM events")["event_id"].to_pylist())
    finally:
        reader.close()


def log_rows(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM log").fetchone()[0])


def test_sealing_moves_every_event_into_the_lake_once(
    region: Path, lake: Lake, append: Append, database: sqlite3.Connection
) -> None:
    append(ROWS)
    report = Sealer(region, lake).run()
    assert (report.events, report.upto, report.files) == (300, 6, len(lake.state().files))
    assert lake_ids(lake) == ids(ROWS)
    assert (log_rows(database), lake.state().sealed) == (0, 6)


def test_sealed_events_are_unchanged_sorted_and_in_their_partition(region: Path, lake: Lake, append: Append) -> None:
    append(ROWS)
    Sealer(region, lake).run()
    parts = []
    for file in lake.state().files:
        part = pa.concat_tables(lake.read(file))
        assert part.equals(sort(part))
        assert {subject if subject is None else subject >> 59 for subject in part["subject"].to_pylist()} == {
            file.bucket if file.bucket < 16 else None
        }
        assert {f"{time:%Y-%m}" for time in part["time"].to_pylist()} == {file.month}
        parts.append(part)
    assert sort(pa.concat_tables(parts)).equals(sort(table(ROWS)))


def test_sealing_nothing_makes_no_version(region: Path, lake: Lake, database: sqlite3.Connection) -> None:
    assert Sealer(region, lake).run().events == 0
    assert lake.state().version == -1


def test_a_long_log_is_sealed_in_slices(region: Path, lake: Lake, append: Append) -> None:
    append(ROWS)
    Sealer(region, lake, slice_events=150).run()
    assert len({file.path for file in lake.state().files}) == len(lake.state().files)
    assert (lake.state().sealed, lake_ids(lake)) == (6, ids(ROWS))


def test_slices_are_of_one_size(region: Path, lake: Lake, append: Append) -> None:
    """A short last one would be as many files as a whole one."""
    append([event(number) for number in range(240)], commit=20)
    Sealer(region, lake, slice_events=100).run()
    assert lake.state().version == 1
    assert sum(file.events for file in lake.state().files) == 240


def test_hashes_of_sealed_events_become_one_sorted_run(
    region: Path, lake: Lake, append: Append, database: sqlite3.Connection
) -> None:
    append(ROWS, at=JANUARY + 5)
    Sealer(region, lake).run()
    rows = database.execute("SELECT run, newest_at, hashes FROM seen ORDER BY first").fetchall()
    stored = np.frombuffer(b"".join(row[2] for row in rows), "<u8").tolist()
    assert stored == sorted(hash_of(row) for row in ROWS)
    assert {row[:2] for row in rows} == {(6, JANUARY + 5)}


def test_merged_subjects_are_sealed_as_who_they_are_now(
    region: Path, lake: Lake, append: Append, database: sqlite3.Connection
) -> None:
    database.executemany("INSERT INTO alias VALUES (?, ?, 0)", [(1, 2), (2, 2**61), (7, 8)])
    append([event(0, subject=1), event(1, subject=2), event(2, subject=3), event(4)])
    Sealer(region, lake).run()
    found = {
        file.bucket: [s for part in lake.read(file, ["subject"]) for s in part["subject"].to_pylist()]
        for file in lake.state().files
    }
    assert found == {0: [3], 4: [2**61, 2**61], 16: [None]}


def test_a_cycle_of_aliases_is_named_and_never_followed_for_ever() -> None:
    with pytest.raises(CorruptStore, match="cycle of 3 subjects"):
        Aliases({1: 2, 2: 3, 3: 1})
    assert NO_ALIASES.resolve(5) == 5


def test_a_second_sealer_is_told_that_one_is_at_work(region: Path, lake: Lake, append: Append) -> None:
    append(ROWS)
    with lake.writing(), pytest.raises(Busy):
        Sealer(region, lake).run()
    assert Sealer(region, lake).run().events == 300


def test_commits_go_on_while_sealing(region: Path, lake: Lake, append: Append) -> None:
    append(ROWS)
    stop = threading.Event()
    waits: list[float] = []
    added: list[int] = []

    def commit() -> None:
        connection = open_database(region / "region.db", "region")
        while not stop.is_set():
            started = time.perf_counter()
            append_rows(connection, [event(1000 + len(added))])
            waits.append(time.perf_counter() - started)
            added.append(1)
        connection.close()

    writer = threading.Thread(target=commit)
    writer.start()
    for _ in range(2):
        Sealer(region, lake).run()
    stop.set()
    writer.join()
    Sealer(region, lake).run()
    assert len(added) > 10
    assert lake_ids(lake) == ids([*ROWS, *(event(1000 + number) for number in range(len(added)))])


class Crash(BaseException):
    """Stands for the process's death at a step: nothing after it runs, nothing is undone."""


class DyingLake(DeltaLake):
    def __init__(self, region: Path, step: str) -> None:
        super().__init__(region)
        self._step = step
        self._writes = 0

    def write(self, month: str, bucket: int, tables: Iterable[pa.Table]) -> LakeFile | None:
        self._writes += 1
        if self._step == "in the middle of writing" and self._writes == 9:
            self._make_folders(self.folder / f"month={month}/bucket={bucket:02}")
            (self.folder / f"month={month}/bucket={bucket:02}/half.parquet").write_bytes(b"PAR1")
            raise Crash
        return super().write(month, bucket, tables)

    def commit(self, added: Sequence[LakeFile], removed: Sequence[LakeFile] = (), *, sealed: int | None = None) -> LakeState:
        if self._step == "before the commit":
            raise Crash
        state = super().commit(added, removed, sealed=sealed)
        if self._step == "after the commit":
            raise Crash
        return state


@pytest.mark.parametrize("step", ["in the middle of writing", "before the commit", "after the commit"])
@pytest.mark.parametrize("first", [True, False])
def test_a_crash_while_sealing_loses_and_doubles_nothing(region: Path, append: Append, step: str, first: bool) -> None:
    before = [] if first else [event(number) for number in range(5000, 5100)]
    if before:
        append(before)
        Sealer(region, DeltaLake(region)).run()
    append(ROWS)
    with pytest.raises(Crash):
        Sealer(region, DyingLake(region, step)).run()
    lake = DeltaLake(region)
    assert seen_ids(region, lake) == ids([*before, *ROWS])
    Sealer(region, lake).run()
    assert seen_ids(region, lake) == lake_ids(lake) == ids([*before, *ROWS])
    files = {str(path.relative_to(lake.folder)) for path in lake.folder.glob("month=*/*/*")}
    assert files == {file.path for file in lake.state().files}
    verify(region, lake, deep=True)


def test_a_crash_between_hashes_and_deletion_is_finished_by_the_next_run(
    region: Path, append: Append, database: sqlite3.Connection
) -> None:
    append(ROWS)
    database.execute("CREATE TRIGGER die BEFORE DELETE ON log WHEN old.seq = 3 BEGIN SELECT raise(ABORT, 'dead'); END")
    lake = DeltaLake(region)
    with pytest.raises(sqlite3.IntegrityError, match="dead"):
        Sealer(region, lake).run()
    assert (log_rows(database), seen_upto(database)) == (6, 6)
    assert seen_ids(region, lake) == ids(ROWS)
    database.execute("DROP TRIGGER die")
    assert Sealer(region, lake).run().events == 0
    assert (log_rows(database), lake_ids(lake)) == (0, ids(ROWS))


def test_a_database_older_than_its_lake_is_refused(region: Path, append: Append, database: sqlite3.Connection) -> None:
    append(ROWS)
    lake = DeltaLake(region)
    Sealer(region, lake).run()
    database.execute("UPDATE sqlite_sequence SET seq = 3 WHERE name = 'log'")
    with pytest.raises(CorruptStore, match=r"ends at log row 3, but its lake .* holds rows up to 6"):
        Sealer(region, lake).run()
    with pytest.raises(CorruptStore, match="ends at log row 3"):
        verify(region, lake)


def test_nothing_is_taken_into_a_database_older_than_its_lake(region: Path, append: Append, database: sqlite3.Connection) -> None:
    """Rows would have the numbers of rows in the lake, and sealing would delete them for those."""
    append(ROWS)
    Sealer(region, DeltaLake(region)).run()
    keys = open_region_keys(region / "elsewhere", region.name, MasterKey.generate())
    store = RegionStore(region, keys, Storage(min_free_bytes=0), ManualClock(JANUARY), Chance().number)
    store.open()
    store.close()
    database.execute("UPDATE sqlite_sequence SET seq = 3 WHERE name = 'log'")
    with pytest.raises(CorruptStore, match=r"the end of the database was lost\. Stop the gateway and put a backup in its place"):
        store.open()
    store.close()
    (DeltaLake(region).folder / "_delta_log" / f"{0:020}.json").write_text("{")
    store.open()
    store.close()


def test_a_lake_older_than_its_database_is_refused(region: Path, append: Append) -> None:
    append(ROWS)
    lake = DeltaLake(region)
    Sealer(region, lake).run()
    append([event(9000)])
    Sealer(region, lake).run()
    newest = max((lake.folder / "_delta_log").glob("*.json"))
    newest.unlink()
    for door in (Sealer(region, lake).run, lambda: verify(region, lake)):
        with pytest.raises(CorruptStore, match=r"begins at log row 8, but its lake .* ends at 6"):
            door()


class Interrupted:
    """A connection beside which another one does something after so many of its statements."""

    def __init__(self, connection: sqlite3.Connection, statements: int, other: Callable[[], None]) -> None:
        self._connection, self._left, self._other = connection, statements, other

    def execute(self, statement: str) -> sqlite3.Cursor:
        self._left -= 1
        if self._left < 0:
            self._other()
        return self._connection.execute(statement)


@pytest.mark.parametrize("statements", range(4))
def test_an_event_that_comes_while_the_log_is_looked_at_is_no_gap(
    region: Path, append: Append, database: sqlite3.Connection, statements: int
) -> None:
    append(ROWS)
    lake = DeltaLake(region)
    Sealer(region, lake).run()
    busy: Any = Interrupted(database, statements, lambda: append([event(9000 + database.total_changes)]))
    check_continuity(busy, region / "region.db", lake.state())


def test_housekeeping_looks_at_the_log_by_a_connection_of_its_own(region: Path, append: Append) -> None:
    append(ROWS)
    keys = open_region_keys(region / "elsewhere", region.name, MasterKey.generate())
    store = RegionStore(region, keys, Storage(min_free_bytes=0), ManualClock(JANUARY), Chance().number)
    store.open()
    store.reader.close()  # as the event loop may while housekeeping looks
    assert store.depth()[0] == len(ROWS)
    store.close()


def churn(region: Path, start: int) -> None:
    """Append, seal and compact for ever; each acknowledged event's number goes to a file first fsynced by the database."""
    connection = open_database(region / "region.db", "region")
    lake = DeltaLake(region)
    handle = os.open(region / "acknowledged", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for number in range(start, start + 1_000_000, 40):
        append_rows(connection, [event(n) for n in range(number, number + 40)], commit=20)
        os.write(handle, f"{number}\n".encode())
        Sealer(region, lake).run(wait_s=5)
        if number % 160 == 0:
            compact(region, lake, files=2, wait_s=5)


def kill_rounds(region: Path, rounds: int) -> None:
    context = multiprocessing.get_context("spawn")
    for round_ in range(rounds):
        child = context.Process(target=churn, args=(region, round_ * 1_000_000))
        child.start()
        deadline = time.monotonic() + 30
        size = (region / "acknowledged").stat().st_size if (region / "acknowledged").exists() else 0
        while time.monotonic() < deadline and not (
            (region / "acknowledged").exists() and (region / "acknowledged").stat().st_size > size
        ):
            time.sleep(0.01)
        time.sleep(0.05 + 0.11 * (round_ % 9))
        assert child.pid is not None
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        lake = DeltaLake(region)
        found = seen_ids(region, lake)
        wanted = [n for line in (region / "acknowledged").read_text().split() for n in range(int(line), int(line) + 40)]
        assert set(ids([event(n) for n in wanted])) <= set(found)
        assert len(found) == len(set(found))
        Sealer(region, lake).run(wait_s=5)
        assert lake_ids(lake) == found
    verify(region, DeltaLake(region), deep=True)


def test_killed_at_random_moments_each_event_is_there_once(region: Path) -> None:
    open_database(region / "region.db", "region").close()
    kill_rounds(region, 2)


@pytest.mark.slow
def test_killed_thirty_times_each_event_is_there_once(region: Path) -> None:
    open_database(region / "region.db", "region").close()
    kill_rounds(region, 30)


def test_sort_keys_are_the_order_that_queries_rely_on() -> None:
    assert [key[0] for key in SORT_KEYS] == ["subject", "time", "event_id"]
