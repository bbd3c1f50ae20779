"""Compaction: fewer files, the same events, merged subjects where they belong."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consentryd.storage.compaction import AT_ONCE, LARGE, MOST_FILES, choose, compact
from consentryd.storage.delta import DeltaLake
from consentryd.storage.lake import Lake, LakeFile
from consentryd.storage.lease import Busy
from consentryd.storage.order import sort
from consentryd.storage.parquet import regroup
from consentryd.storage.reader import Reader
from consentryd.storage.seal import Sealer
from tests.storage.conftest import Append
from tests.storage.rows import event, table

LOW, HIGH = 5, 2**62 + 5
ROWS = [event(number, days=20, subject=[None, LOW, LOW + 1, HIGH][number % 4]) for number in range(400)]


def seal_in_parts(region: Path, lake: Lake, append: Append, parts: int) -> None:
    size = -(-len(ROWS) // parts)
    for start in range(0, len(ROWS), size):
        append(ROWS[start : start + size])
        Sealer(region, lake).run()


def whole(lake: Lake) -> pa.Table:
    return sort(pa.concat_tables([part for file in lake.state().files for part in lake.read(file)]))


def test_small_files_become_one_sorted_file_per_month_and_bucket(region: Path, lake: Lake, append: Append) -> None:
    seal_in_parts(region, lake, append, 4)
    report = compact(region, lake, files=4)
    assert (report.merged, report.written, report.events) == (12, 3, 400)
    for file in lake.state().files:
        part = pa.concat_tables(lake.read(file))
        assert part.equals(sort(part))
    assert whole(lake).equals(sort(table(ROWS)))
    assert lake.state().sealed == 8


def test_fewer_files_than_the_setting_are_left_alone(region: Path, lake: Lake, append: Append) -> None:
    seal_in_parts(region, lake, append, 3)
    before = lake.state()
    assert compact(region, lake, files=4).merged == 0
    assert lake.state() == before


def test_merging_ends_after_a_file_where_something_else_is_due(region: Path, lake: Lake, append: Append) -> None:
    """A log that fills up meanwhile is sealed first: merging all there was to merge had kept it waiting for minutes."""
    seal_in_parts(region, lake, append, 4)
    merged, version = [], lake.state().version
    while (report := compact(region, lake, files=4, enough=lambda: True)).merged:
        merged.append((report.merged, report.written))
        assert whole(lake).equals(sort(table(ROWS)))
    assert merged == [(4, 1)] * 3
    assert lake.state().version == version + 3


def test_in_a_hurry_large_files_wait_until_they_are_very_many() -> None:
    large = [LARGE + number for number in range(MOST_FILES)]
    for count, waits in ((8, True), (MOST_FILES - 1, True), (MOST_FILES, False)):
        assert len(list(choose(files(large[:count]), 8))) == 1
        assert list(choose(files(large[:count]), 8, hurried=True)) == ([] if waits else [files(large[:AT_ONCE])])


@pytest.mark.parametrize("hurried", [False, True])
def test_no_more_files_than_memory_is_for_are_merged_at_once_the_smallest_first(hurried: bool) -> None:
    """Each that is read takes 2 MB. What is left is merged with what comes next."""
    waiting = [1_000 + number for number in range(3 * AT_ONCE)]
    merged = []
    while chosen := list(choose(files(waiting), 8, hurried=hurried)):
        (group,) = chosen
        merged.append(sorted(file.events for file in group))
        waiting = [each for each in waiting if each not in merged[-1]] + [sum(merged[-1])]
    assert merged == [[1_000 + number for number in range(start, start + AT_ONCE)] for start in range(0, 3 * AT_ONCE, AT_ONCE)]


@pytest.mark.parametrize("hurried", [False, True])
def test_a_setting_of_very_many_files_is_kept_to(hurried: bool) -> None:
    limit = 2 * MOST_FILES
    assert list(choose(files([7] * (limit - 1)), limit, hurried=hurried)) == []
    assert [len(chosen) for chosen in choose(files([7] * limit), limit, hurried=hurried)] == [limit]


def test_in_a_hurry_small_files_are_merged_and_large_ones_beside_them_left_alone() -> None:
    group = files([*[LARGE] * 3, *(LARGE // 8 + number for number in range(8))])
    assert [sorted(file.events for file in chosen) for chosen in choose(group, 8, hurried=True)] == [
        [LARGE // 8 + number for number in range(8)]
    ]
    assert [len(chosen) for chosen in choose([*group, *files([LARGE] * 5)], 8)] == [AT_ONCE]


def test_in_a_hurry_only_large_files_are_rolled_up(
    region: Path, lake: Lake, append: Append, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consentryd.storage.compaction.LARGE", 400)
    rows = [row for row in ROWS if row[9] == LOW]
    for number in range(4):
        append([[f"{number}-{row[0]}", *row[1:]] for row in rows])
        Sealer(region, lake).run()
    append([event(9000, days=20, subject=HIGH)])
    Sealer(region, lake).run()
    report = compact(region, lake, files=4, zone=ZoneInfo("UTC"), hurried=True)
    assert (report.merged, report.written) == (4, 1)
    assert {file.events: lake.rollup(file) is not None for file in lake.state().files} == {400: True, 1: False}


def test_everything_can_be_merged_at_once(region: Path, lake: Lake, append: Append) -> None:
    seal_in_parts(region, lake, append, 3)
    assert compact(region, lake, files=100, everything=True).merged == 9
    assert Counter((file.month, file.bucket) for file in lake.state().files) == {("2026-01", bucket): 1 for bucket in (0, 8, 16)}


def test_a_merged_subject_moves_to_its_new_bucket(region: Path, lake: Lake, append: Append, database: sqlite3.Connection) -> None:
    seal_in_parts(region, lake, append, 2)
    database.execute("INSERT INTO alias VALUES (?, ?, 0)", (LOW, HIGH))
    compact(region, lake, everything=True)
    found = {
        (file.bucket, s)
        for file in lake.state().files
        for part in lake.read(file, ["subject"])
        for s in part["subject"].to_pylist()
    }
    assert found == {(0, LOW + 1), (8, HIGH), (16, None)}
    moved = [[*row[:9], HIGH, *row[10:]] if row[9] == LOW else row for row in ROWS]
    assert whole(lake).equals(sort(table(moved)))


def test_a_file_holds_no_text_that_none_of_its_events_has(region: Path, append: Append, database: sqlite3.Connection) -> None:
    lake = DeltaLake(region)
    for number in range(2):
        append([event(number * 10 + each, days=20, subject=LOW + each, title=f"of {LOW + each}") for each in range(3)])
        Sealer(region, lake).run()
    database.execute("INSERT INTO alias VALUES (?, ?, 0)", (LOW, HIGH))
    compact(region, lake, everything=True)
    assert {file.bucket: titles_in(lake.folder / file.path) for file in lake.state().files} == {
        0: {f"of {LOW + 1}", f"of {LOW + 2}"},
        8: {f"of {LOW}"},
    }


def titles_in(path: Path) -> set[str]:
    """All that the dictionaries of a file hold, whether a row refers to it or not."""
    column = pq.ParquetFile(path, read_dictionary=["title"]).read(["title"])["title"]
    return {title for chunk in column.chunks for title in chunk.dictionary.to_pylist()}


def test_events_put_together_are_let_go_with_who_reads_them() -> None:
    own = pa.default_memory_pool()
    before = own.bytes_allocated()
    groups = regroup((pa.table({"n": np.arange(10_000)}).take(list(range(10_000))) for _ in range(10)), 20_000)
    for group in groups:
        size = group.nbytes
        del group
        assert own.bytes_allocated() - before < size


def test_a_reader_keeps_the_files_it_sees_and_the_next_run_deletes_them(region: Path, append: Append) -> None:
    lake = DeltaLake(region)
    seal_in_parts(region, lake, append, 2)
    reader = Reader(region, lake)
    with reader.snapshot() as snapshot:
        old = {file.path for file in snapshot.state.files}
        compact(region, DeltaLake(region), files=2)
        assert snapshot.query("SELECT count(DISTINCT event_id) AS n FROM events")["n"].to_pylist() == [400]
        assert all((lake.folder / path).exists() for path in old)
    Sealer(region, lake).run()
    assert not any((lake.folder / path).exists() for path in old)
    reader.close()


def test_compaction_waits_its_turn(region: Path, lake: Lake, append: Append) -> None:
    with lake.writing(), pytest.raises(Busy):
        compact(region, lake)


def files(sizes: list[int], bucket: int = 0) -> list[LakeFile]:
    return [LakeFile(f"{bucket}/{n}", "2026-01", bucket, size, size, 0, 0, ("a", "a")) for n, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ([10, 11, 12], []),
        ([10, 11, 12, 13], [10, 11, 12, 13]),
        ([1, 10, 11, 12, 13, 5000], [1, 10, 11, 12, 13]),
        ([10, 11, 12, 5000, 5001, 5002, 5003], [10, 11, 12, 5000, 5001, 5002, 5003]),
        ([], []),
    ],
)
def test_files_of_about_one_size_are_merged_with_all_smaller_ones(sizes: list[int], chosen: list[int]) -> None:
    assert [[file.events for file in group] for group in choose(files(sizes), 4)] == ([chosen] if chosen else [])


@given(st.lists(st.integers(1, 10**7), max_size=200))
def test_merging_until_nothing_is_chosen_ends_with_few_files(sizes: list[int]) -> None:
    for _ in range(len(sizes) + 1):
        groups = list(choose(files(sizes), 4))
        if not groups:
            break
        for group in groups:
            for file in group:
                sizes.remove(file.events)
            sizes.append(sum(file.events for file in group))
    assert not list(choose(files(sizes), 4))
    assert len(sizes) <= 3 * 16
