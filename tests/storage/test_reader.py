"""Reading back: log tail and lake as one, each event once, and nothing wrong served."""

from __future__ import annotations

import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from consentryd.model.clock import DAY
from consentryd.model.error import CorruptStore
from consentryd.storage.compaction import compact
from consentryd.storage.delta import DeltaLake
from consentryd.storage.lake import Lake
from consentryd.storage.lease import Busy, Lease
from consentryd.storage.order import sort
from consentryd.storage.reader import Reader, verify
from consentryd.storage.seal import Sealer
from tests.storage.conftest import Append
from tests.storage.rows import JANUARY, event, ids, table

ROWS = [event(number, days=45, site=["shop", "blog"][number % 2]) for number in range(300)]
TIME, RECEIVED, SUBJECT = 4, 5, 9


@pytest.fixture
def reader(region: Path, lake: Lake, database: sqlite3.Connection) -> Any:
    opened = Reader(region, lake)
    yield opened
    opened.close()


@pytest.fixture
def filled(region: Path, lake: Lake, append: Append) -> None:
    """Two thirds of the events in the lake, the rest in the log."""
    append(ROWS[:200])
    Sealer(region, lake).run()
    append(ROWS[200:])


def found(reader: Reader, **filters: Any) -> list[str]:
    with reader.snapshot() as snapshot:
        return sorted(snapshot.query("SELECT event_id FROM events", **filters)["event_id"].to_pylist())


def test_an_empty_region_reads_as_no_events(reader: Reader) -> None:
    with reader.snapshot() as snapshot:
        assert (snapshot.events, snapshot.newest(5).num_rows, list(snapshot.batches())) == (0, 0, [])


@pytest.mark.usefixtures("filled")
def test_log_and_lake_read_as_one(reader: Reader) -> None:
    with reader.snapshot() as snapshot:
        assert (snapshot.events, snapshot.tail.num_rows) == (300, 100)
        everything = pa.Table.from_batches(list(snapshot.batches(64)))
        assert sort(everything).equals(sort(table(ROWS)))


def test_an_event_is_seen_as_soon_as_it_is_committed(reader: Reader, append: Append) -> None:
    for number in range(5):
        append(ROWS[number : number + 1])
        assert found(reader) == ids(ROWS[: number + 1])


@pytest.mark.usefixtures("filled")
@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"site": "blog"}, lambda row: row[1] == "blog"),
        ({"since": JANUARY + 31 * DAY}, lambda row: row[TIME] >= JANUARY + 31 * DAY),
        ({"until": JANUARY + 10 * DAY, "site": "shop"}, lambda row: row[TIME] < JANUARY + 10 * DAY and row[1] == "shop"),
        ({"since": ROWS[7][TIME], "until": ROWS[7][TIME] + 1}, lambda row: row[TIME] == ROWS[7][TIME]),
        ({"bucket": 3}, lambda row: row[SUBJECT] is not None and row[SUBJECT] >> 59 == 3),
        ({"bucket": 16}, lambda row: row[SUBJECT] is None),
        ({"site": "o'brien"}, lambda _row: False),
    ],
)
def test_filters_give_exactly_the_events_asked_for(reader: Reader, filters: dict[str, Any], wanted: Any) -> None:
    assert found(reader, **filters) == ids([row for row in ROWS if wanted(row)])


@pytest.mark.usefixtures("filled")
def test_months_and_buckets_not_asked_for_are_not_opened(reader: Reader) -> None:
    with reader.snapshot() as snapshot:
        february = snapshot.files(since=JANUARY + 31 * DAY)
        assert {file.month for file in february} == {"2026-02"}
        assert {file.bucket for file in snapshot.files(bucket=3)} == {3}


@pytest.mark.usefixtures("filled")
def test_a_merged_subject_reads_as_who_it_is_now_also_by_bucket(reader: Reader, database: sqlite3.Connection) -> None:
    old = next(row[SUBJECT] for row in ROWS[:200] if row[SUBJECT] is not None and row[SUBJECT] >> 59 == 2)
    middle, new = 77, 9 << 59
    database.executemany("INSERT INTO alias VALUES (?, ?, 0)", [(old, middle), (middle, new)])
    own = ids([row for row in ROWS if row[SUBJECT] == old])
    with reader.snapshot() as snapshot:
        sql = f"SELECT event_id FROM events WHERE subject = {new}"
        assert sorted(snapshot.query(sql)["event_id"].to_pylist()) == own
        assert sorted(snapshot.query(sql, bucket=9)["event_id"].to_pylist()) == own
        assert set(snapshot.query("SELECT event_id FROM events", bucket=2)["event_id"].to_pylist()).isdisjoint(own)


@pytest.mark.usefixtures("filled")
def test_the_newest_events_come_first(reader: Reader) -> None:
    latest = sorted((row for row in ROWS if row[1] == "shop"), key=lambda row: -row[RECEIVED])[:7]
    with reader.snapshot() as snapshot:
        assert snapshot.newest(7, site="shop")["event_id"].to_pylist() == [row[0] for row in latest]


@pytest.mark.parametrize("limit", [0, 120, 10_000])
def test_the_tail_is_right_whatever_is_kept_of_it(region: Path, lake: Lake, append: Append, limit: int) -> None:
    reader = Reader(region, lake, tail_events=limit)
    for start in range(0, 240, 60):
        append(ROWS[start : start + 60], commit=7)
        if start == 120:
            Sealer(region, lake, slice_events=100).run()
        with reader.snapshot() as snapshot:
            assert snapshot.events == start + 60
        assert found(reader) == ids(ROWS[: start + 60])
    reader.release()
    assert found(reader) == ids(ROWS[:240])
    reader.close()


def test_every_snapshot_during_sealing_and_compaction_holds_each_event_once(
    region: Path, lake: Lake, reader: Reader, append: Append
) -> None:
    failures: list[object] = []
    looks: list[int] = []
    committed = [0]
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            least = committed[0]
            with reader.snapshot() as snapshot:
                row = snapshot.query("SELECT count(*) AS n, count(DISTINCT event_id) AS d FROM events").to_pylist()[0]
            looks.append(row["n"])
            if row["n"] != row["d"] or row["n"] < least:
                failures.append((row, least))

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    rows = [event(number, days=2, subject=number % 3 << 59) for number in range(320)]
    for start in range(0, 320, 80):
        append(rows[start : start + 80], commit=5)
        committed[0] = start + 80
        Sealer(region, lake, slice_events=40).run(wait_s=10)
        compact(region, lake, files=3, wait_s=10)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(looks) > 5


def test_a_waiting_deletion_goes_before_new_readers(region: Path) -> None:
    lease = Lease(region)
    order: list[str] = []
    waiting = threading.Event()

    def delete() -> None:
        waiting.set()
        with lease.deleting(10):
            order.append("deleted")

    with lease.reading():
        thread = threading.Thread(target=delete)
        thread.start()
        waiting.wait()
        while True:
            try:
                with lease.reading(0.0):
                    pass
            except Busy:
                break
    with lease.reading():
        order.append("read")
    thread.join()
    assert order == ["deleted", "read"]


def test_a_changed_log_row_is_named(region: Path, reader: Reader, append: Append, database: sqlite3.Connection) -> None:
    append(ROWS[:30], commit=10)
    body = database.execute("SELECT body FROM log WHERE seq = 2").fetchone()[0]
    for broken in (body[:-8] + bytes(8), body[:40], b"", body):
        database.execute("UPDATE log SET body = ?, events = 10 + ? WHERE seq = 2", (broken, broken == body))
        with pytest.raises(CorruptStore, match=r"region\.db: log row seq 2 "):
            found(reader)
        with pytest.raises(CorruptStore, match="log row seq 2 "):
            Sealer(region, DeltaLake(region)).run()
    assert DeltaLake(region).state().version == -1


@pytest.fixture
def stored(region: Path, append: Append) -> DeltaLake:
    lake = DeltaLake(region)
    for rows in (ROWS[:150], ROWS[150:]):
        append(rows)
        Sealer(region, lake).run()
    return lake


def damage(path: Path, how: str) -> None:
    if how == "missing":
        path.unlink()
    elif how == "cut":
        os.truncate(path, path.stat().st_size - 10)
    else:
        content = bytearray(path.read_bytes())
        content[200] ^= 0xFF
        path.write_bytes(content)


@pytest.mark.parametrize("how", ["missing", "cut", "changed"])
def test_a_damaged_lake_file_is_named(region: Path, stored: DeltaLake, how: str) -> None:
    name = stored.state().files[3].path
    damage(stored.folder / name, how)
    with pytest.raises(CorruptStore, match=name):
        verify(region, DeltaLake(region), deep=True)
    reader = Reader(region, DeltaLake(region))
    with pytest.raises(CorruptStore, match=name), reader.snapshot() as snapshot:
        snapshot.query("SELECT count(DISTINCT properties) FROM events")
    reader.close()


@pytest.mark.parametrize("entry", [0, 1])
@pytest.mark.parametrize("how", ["missing", "cut"])
def test_a_damaged_table_log_is_an_error_and_never_fewer_events(region: Path, stored: DeltaLake, entry: int, how: str) -> None:
    damage(sorted((stored.folder / "_delta_log").glob("*.json"))[entry], how)
    with pytest.raises(CorruptStore, match=r"_delta_log|lake"):
        verify(region, DeltaLake(region))


def test_a_file_that_is_no_database_is_named(region: Path) -> None:
    (region / "region.db").write_bytes(b"not a database, " * 300)
    with pytest.raises(CorruptStore, match=r"region\.db"):
        verify(region, DeltaLake(region))


def test_the_log_of_the_table_stays_small_and_says_the_same(region: Path, append: Append) -> None:
    lake = DeltaLake(region)
    for number in range(25):
        append([event(number, days=20, subject=1)])
        Sealer(region, lake).run()
    assert len(list((lake.folder / "_delta_log").iterdir())) < 15
    assert DeltaLake(region).state() == lake.state()
    assert (len(lake.state().files), lake.state().sealed) == (25, 25)
    verify(region, DeltaLake(region))


def test_no_subject_or_identifier_stands_in_statistics(region: Path, append: Append) -> None:
    lake = DeltaLake(region)
    append(
        [
            event(number, subject=0x0123_4567_89AB_CDEF, session=0x7654_3210_1234, properties='{"k":"canary"}')
            for number in range(50)
        ]
    )
    Sealer(region, lake).run()
    log = b"".join(path.read_bytes() for path in (lake.folder / "_delta_log").iterdir())
    for needle in (str(0x0123_4567_89AB_CDEF).encode(), b"e-0-", b"canary", str(0x7654_3210_1234).encode()):
        assert needle not in log
    for file in lake.state().files:
        footer = pa.parquet.read_metadata(lake.folder / file.path)
        group = footer.row_group(0)
        columns = [group.column(index) for index in range(group.num_columns)]
        assert {column.path_in_schema for column in columns if column.is_stats_set} == {
            "site",
            "time",
            "received_at",
            "lane",
            "purpose",
        }


def test_some_subjects_events_come_in_order_of_time_over_months_log_and_lake(
    region: Path, lake: Lake, append: Append, reader: Reader
) -> None:
    chosen = [3, 2**62 + 5]
    rows = [event(number, days=150, subject=[*chosen, 7][number % 3], lane="consented") for number in range(240)]
    append(rows[:120])
    Sealer(region, lake).run()
    append(rows[120:])
    wanted = sorted((row for row in rows if row[SUBJECT] in chosen), key=lambda row: (row[TIME], row[0]))
    with reader.snapshot(subjects=chosen) as snapshot:
        assert snapshot.tail.num_rows == sum(row[SUBJECT] in chosen for row in rows[120:])
        batches = list(snapshot.of_subjects(chosen, rows=10))
    assert [each for batch in batches for each in batch.column("event_id").to_pylist()] == [row[0] for row in wanted]
    assert max(batch.num_rows for batch in batches) <= 2048
    assert len({file.month for file in lake.state().files}) >= 5


@pytest.mark.usefixtures("filled")
def test_one_subjects_events_have_the_columns_asked_for_and_no_other(reader: Reader) -> None:
    row = next(row for row in ROWS if row[SUBJECT] is not None)
    own = sorted(each[TIME] for each in ROWS if each[SUBJECT] == row[SUBJECT] and each[1] == row[1])
    with reader.snapshot() as snapshot:
        found = snapshot.relation_of(row[SUBJECT], {"subject", "time", "site", "lane", "event_id"}, site=row[1]).to_arrow_table()
    assert found.column_names == ["site", "time", "lane", "subject", "event_id"]
    assert sorted(found["time"].cast(pa.int64()).to_pylist()) == own
    assert set(found["lane"].to_pylist()) == {"consented"}
