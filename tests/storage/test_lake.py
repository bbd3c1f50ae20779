"""The contract of a lake, over both implementations."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pyarrow as pa
import pytest

from consentryd.model.error import CorruptStore
from consentryd.storage.lake import EMPTY, Lake, LakeFile, partition
from consentryd.storage.lease import Busy
from consentryd.storage.order import Source, merge, sort
from tests.storage.rows import JANUARY, event, table


def some(start: int, count: int) -> pa.Table:
    return sort(table([event(number, days=31) for number in range(start, start + count)]))


def put(lake: Lake, start: int = 0, count: int = 10) -> LakeFile:
    file = lake.write("2026-01", 3, [some(start, count)])
    assert file is not None
    return file


def test_a_lake_not_yet_made_is_empty(lake: Lake) -> None:
    assert lake.state() == EMPTY


def test_a_commit_is_seen_with_its_files_and_its_sealed_row(lake: Lake) -> None:
    one, two = put(lake), put(lake, 10)
    lake.commit([one, two], sealed=7)
    assert (lake.state().sealed, set(lake.state().files)) == (7, {one, two})


def test_a_file_that_was_only_written_belongs_to_no_version(lake: Lake) -> None:
    put(lake)
    assert lake.state().files == ()


def test_files_are_replaced_in_one_commit_and_the_sealed_row_stays(lake: Lake) -> None:
    old, new = put(lake), put(lake)
    lake.commit([old], sealed=7)
    version = lake.state().version
    state = lake.commit([new], [old])
    assert (state.sealed, state.files, state.version) == (7, (new,), version + 1)
    assert lake.state() == state


def test_a_file_says_how_many_events_it_holds_between_which_times_and_of_which_sites(lake: Lake) -> None:
    rows = [event(number, days=31, site=site) for number, site in enumerate(["b", "a", "c"])]
    times = sorted(row[4] for row in rows)
    file = lake.write("2026-01", 3, [table(rows)])
    assert file is not None
    assert (file.events, file.sites) == (3, ("a", "c"))
    assert times[0] - 1000 < file.first <= times[0]
    assert times[-1] <= file.last < times[-1] + 1000


def test_writing_no_events_makes_no_file(lake: Lake) -> None:
    assert lake.write("2026-01", 3, [some(0, 1).slice(1)]) is None
    assert lake.vacuum() == []


def test_events_come_back_as_they_were_written(lake: Lake) -> None:
    written = some(0, 700)
    file = lake.write("2026-01", 3, [written.slice(0, 300), written.slice(300)])
    assert file is not None
    parts = list(lake.read(file, rows=100))
    assert len(parts) == 7
    assert pa.concat_tables(parts).equals(written)
    assert next(lake.read(file, ["time", "site"])).column_names == ["time", "site"]


def test_vacuum_deletes_what_the_newest_version_does_not_hold(lake: Lake) -> None:
    old, new, orphan = put(lake), put(lake), put(lake)
    lake.commit([old], sealed=1)
    lake.commit([new], [old])
    assert sorted(lake.vacuum()) == sorted([old.path, orphan.path])
    assert sum(part.num_rows for part in lake.read(new)) == 10
    with pytest.raises(CorruptStore, match=old.path):
        lake.check([old])


def test_nothing_is_deleted_while_somebody_reads(lake: Lake) -> None:
    old = put(lake)
    lake.commit([old], sealed=1)
    with lake.reading():
        lake.commit([], [old])
        with pytest.raises(Busy):
            lake.vacuum(0.02)
        lake.check([old], deep=True)
    assert lake.vacuum() == [old.path]


def test_only_one_may_write(lake: Lake) -> None:
    with lake.writing(), pytest.raises(Busy), lake.writing(0.02):
        pass
    with lake.writing():
        pass


def test_events_are_split_by_month_and_bucket_of_their_subject() -> None:
    rows = [event(number) for number in range(400)]
    parts = dict(partition(table(rows)))
    assert sum(part.num_rows for part in parts.values()) == 400
    for (month, bucket), part in parts.items():
        for time, subject in zip(part["time"].to_pylist(), part["subject"].to_pylist(), strict=True):
            assert month == f"{time:%Y-%m}"
            assert bucket == (16 if subject is None else subject >> 59)


@pytest.mark.parametrize("month", ["1969-12", "2026-01", "2026-02"])
def test_an_event_at_the_edge_of_a_month_stays_in_it(month: str) -> None:
    starts = {"1969-12": -1, "2026-01": JANUARY, "2026-02": JANUARY + 31 * 86_400_000_000}
    assert next(iter(partition(table([event(0, time=starts[month])]))))[0][0] == month


@pytest.mark.parametrize("seed", range(6))
def test_merging_sorted_sources_gives_the_sorted_whole(seed: int) -> None:
    rng = random.Random(seed)
    rows = [event(n, subject=rng.choice([None, 1, 2, 2**62]), time=JANUARY + rng.randrange(4)) for n in range(900)]
    rng.shuffle(rows)
    sources = [sort(table(rows[start : start + 150])) for start in range(0, 900, 150)]
    batches = [
        Source(iter([source.slice(i, step) for i in range(0, 150, step)]), promised)
        for source, step, promised in zip(sources, [1, 7, 50, 150, 200, 33], [150, 151, 400, 150, 150, 155], strict=True)
    ]
    merged = pa.concat_tables(merge(batches))
    assert merged.num_rows == 900
    found = [
        (-1 if s is None else s, t, e)
        for s, t, e in zip(*(merged[n].to_pylist() for n in ("subject", "time", "event_id")), strict=True)
    ]
    assert found == sorted(found)
    assert len(set(found)) == 900


def test_merging_reads_on_only_where_it_has_come_to_the_end_of_what_it_read() -> None:
    rows = [event(number, subject=number) for number in range(400)]
    read: list[int] = []

    def batches(start: int) -> Iterator[pa.Table]:
        for at in range(start, start + 200, 50):
            read.append(at)
            yield table(rows[at : at + 50])

    merging = merge([Source(batches(0), 200), Source(batches(200), 200)])
    assert next(merging).num_rows == 50
    assert read == [0, 200]
    assert sum(part.num_rows for part in merging) == 350


def test_sources_of_one_batch_each_are_merged_at_once() -> None:
    rows = [event(number, subject=number) for number in range(400)]
    parts = list(merge([Source(iter([table(rows[start::4])]), 100) for start in range(4)]))
    assert [part.num_rows for part in parts] == [400]


def test_sorting_holds_what_it_sorts_and_the_result_and_no_third_copy() -> None:
    parts = [table([event(number, subject=number % 7) for number in range(part, 2000, 4)]) for part in range(4)]
    events, own = pa.concat_tables(parts * 4), pa.default_memory_pool()
    watched = pa.proxy_memory_pool(own)
    pa.set_memory_pool(watched)
    try:
        size = sort(events).nbytes
    finally:
        pa.set_memory_pool(own)
    assert watched.max_memory() < 1.5 * size
