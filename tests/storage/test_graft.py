"""A grafted file reads as if it had been written so, for Arrow and for DuckDB, and what was not replaced is the same bytes."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consentryd.storage.delta import DeltaLake
from consentryd.storage.graft import NotGraftable, graft
from consentryd.storage.lake import LakeFile
from consentryd.storage.order import sort
from consentryd.storage.parquet import CODED, group_of, read_parquet, write_parquet
from consentryd.storage.thrift import decode, encode
from tests.storage.rows import event, table

ROWS, GROUP = 2_000, 200


@pytest.mark.parametrize("seed", range(6))
def test_replaced_groups_are_replaced_and_all_others_stay(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    whole = table([event(number, seed=seed) for number in range(ROWS)])
    write_parquet(tmp_path / "old", [whole], GROUP)
    replaced: dict[int, pa.Buffer | None] = {}
    expected = []
    for number in range(ROWS // GROUP):
        part = whole.slice(number * GROUP, GROUP)
        if rng.random() < 0.4:
            part = part.slice(0, rng.choice([0, 1, GROUP - 1]))
            replaced[number] = group_of(part, full=["time", "event"]) if part.num_rows else None
        expected.append(part)
    size = graft(tmp_path / "old", tmp_path / "new", replaced, replaced.__getitem__)
    assert size == (tmp_path / "new").stat().st_size
    found = pa.concat_tables(list(read_parquet(tmp_path / "new", None, 999)))
    assert (
        found.equals(pa.concat_tables(expected).combine_chunks()) or found.to_pylist() == pa.concat_tables(expected).to_pylist()
    )
    assert duckdb.sql(f"SELECT count(*), count(DISTINCT event_id) FROM read_parquet('{tmp_path}/new')").fetchall() == [
        (found.num_rows, found.num_rows)
    ]


def test_a_file_with_something_else_to_move_is_left_alone(tmp_path: Path) -> None:
    whole = table([event(number) for number in range(100)])
    pq.write_table(whole, tmp_path / "old", write_page_index=True)
    with pytest.raises(NotGraftable):
        graft(tmp_path / "old", tmp_path / "new", [], lambda _number: None)


def test_a_row_group_of_another_schema_is_not_taken_in(tmp_path: Path) -> None:
    whole = table([event(number) for number in range(100)])
    write_parquet(tmp_path / "old", [whole], 50)
    with pytest.raises(NotGraftable):
        graft(tmp_path / "old", tmp_path / "new", [1], lambda _number: group_of(whole))


def test_files_from_before_columns_were_declared_never_null_are_grafted_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = sort(table([event(number, subject=number % 70, lane="consented") for number in range(1_000)]))
    lake = DeltaLake(tmp_path)
    monkeypatch.setattr("consentryd.storage.delta.ROW_GROUP_ROWS", 250)
    with monkeypatch.context() as before:
        before.setattr("consentryd.storage.parquet._READ_MOST", ())
        before.setattr("consentryd.storage.parquet._UNPACKED", frozenset())
        old = lake.write("2026-01", 0, [rows])
    assert old is not None
    fresh = lake.rewrite(old, np.array([5], np.int64), leaving_out(5))
    assert fresh is not None
    path = lake.folder / fresh.path
    assert codecs(path, "subject") == ["UNCOMPRESSED", "ZSTD", "ZSTD", "ZSTD"]
    assert all(field.nullable for field in pq.read_schema(path))
    expected = rows.filter(pa.array(rows["subject"].to_numpy() != 5))
    assert pa.concat_tables(list(lake.read(fresh))).combine_chunks().equals(expected.combine_chunks())
    found = duckdb.sql(f"SELECT subject, epoch_us(time), event FROM read_parquet('{path}')").fetchall()
    columns = (expected["subject"], expected["time"].cast(pa.int64()), expected["event"])
    assert found == list(zip(*(column.to_pylist() for column in columns), strict=True))


def codecs(path: Path, name: str) -> list[str]:
    """By row group how a column is compressed."""
    metadata = pq.read_metadata(path)
    place = metadata.schema.names.index(name)
    return [metadata.row_group(number).column(place).compression for number in range(metadata.num_row_groups)]


def test_a_change_that_empties_a_column_declared_never_null_writes_the_file_anew(tmp_path: Path) -> None:
    rows = sort(table([event(number, subject=number % 70, lane="consented") for number in range(1_000)]))
    lake = DeltaLake(tmp_path)
    file = lake.write("2026-01", 0, [rows])
    assert file is not None
    place = rows.schema.get_field_index("event")

    def unnamed(part: pa.Table) -> pa.Table:
        return part.set_column(place, rows.schema.field("event"), pa.nulls(part.num_rows, pa.string()))

    fresh = lake.rewrite(file, np.array([5], np.int64), unnamed)
    assert fresh is not None
    assert declared(lake.folder / fresh.path) == {"subject", "time"}
    assert pa.concat_tables(list(lake.read(fresh))).combine_chunks().equals(unnamed(rows).combine_chunks())


@pytest.mark.parametrize(("nameless", "nobodys"), [(None, None), (0, None), (999, None), (None, 700), (700, 400), (400, 700)])
def test_columns_of_which_no_event_lacks_one_are_declared_never_null(
    tmp_path: Path, nameless: int | None, nobodys: int | None
) -> None:
    lacking = [{"event": None} if number == nameless else {} for number in range(1_000)]
    rows = table(
        [
            event(number, subject=None if number == nobodys else number, lane="consented", **values)
            for number, values in enumerate(lacking)
        ]
    )
    write_parquet(tmp_path / "file", [rows.slice(0, 333), rows.slice(333)], 150)
    assert declared(tmp_path / "file") == {
        "time",
        *(["event"] if nameless is None else []),
        *(["subject"] if nobodys is None else []),
    }
    assert pa.concat_tables(list(read_parquet(tmp_path / "file", None, 999))).combine_chunks().equals(rows.combine_chunks())
    assert pq.read_metadata(tmp_path / "file").num_row_groups == 7
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def declared(path: Path) -> set[str]:
    return {field.name for field in pq.read_schema(path) if not field.nullable}


@pytest.mark.parametrize("start", [-2_000_000, -61_555_507_200_000_000, 16_725_225_600_000_000])
def test_bounds_of_a_rewritten_file_hold_its_times_also_before_1970(tmp_path: Path, start: int) -> None:
    times = [start + number * 1_499 for number in range(1_000)]
    rows = sort(table([event(number, subject=number, lane="consented", time=time) for number, time in enumerate(times)]))
    lake = DeltaLake(tmp_path)
    file = lake.write("1969-12", 0, [rows])
    assert file is not None
    fresh = lake.rewrite(file, np.array([500], np.int64), leaving_out(500))
    assert fresh is not None
    assert (fresh.first, fresh.last) == (file.first, file.last) == (times[0], -(-times[-1] // 1000) * 1000)


def test_the_lake_rewrites_only_what_holds_the_subjects_and_says_what_the_new_file_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = sort(table([event(number, subject=number % 700, lane="consented", days=20) for number in range(4_000)]))
    lake = DeltaLake(tmp_path)
    monkeypatch.setattr("consentryd.storage.delta.ROW_GROUP_ROWS", 250)
    file = lake.write("2026-01", 0, [rows])
    assert isinstance(file, LakeFile)
    gone = np.array([5], np.int64)

    def drop(part: pa.Table) -> pa.Table:
        return part.filter(pa.array(part["subject"].to_numpy() != 5))

    assert lake.rewrite(file, np.array([9_999], np.int64), drop) is file
    fresh = lake.rewrite(file, gone, drop)
    assert fresh is not None
    left = pa.concat_tables(list(lake.read(fresh)))
    assert left.to_pylist() == drop(rows).to_pylist()
    assert (fresh.events, fresh.month, fresh.bucket, fresh.sites) == (left.num_rows, "2026-01", 0, ("shop", "shop"))
    times = left["time"].cast(pa.int64()).to_numpy()
    assert fresh.first == times.min() // 1000 * 1000
    assert fresh.last == (times.max() + 999) // 1000 * 1000
    lake.check([fresh], deep=True)
    lake.commit([fresh])
    assert lake.state().files == (fresh,)
    assert [path.name for path in (tmp_path / "lake" / "month=2026-01" / "bucket=00").iterdir() if "draft" in path.name] == []


def test_a_rewritten_file_holds_no_value_that_only_the_subject_had(tmp_path: Path) -> None:
    own = {name: pa.array([f"only-{name}-of-5"] * 3) for name in CODED if name not in {"site", "lane"}}
    others = table([event(number, subject=number % 5, lane="consented") for number in range(300)])
    theirs = table([event(number, subject=5, lane="consented") for number in range(3)])
    for name, values in own.items():
        theirs = theirs.set_column(theirs.schema.get_field_index(name), name, values)
    lake = DeltaLake(tmp_path)
    file = lake.write("2026-01", 0, [sort(pa.concat_tables([others, theirs]))])
    assert file is not None
    fresh = lake.rewrite(file, np.array([5], np.int64), leaving_out(5))
    assert fresh is not None
    assert dictionaries(lake.folder / file.path) & {f"only-{name}-of-5" for name in own}
    assert not [value for value in dictionaries(lake.folder / fresh.path) if value.startswith("only-")]


def dictionaries(path: Path) -> set[str]:
    """What a file has codes for, whether an event uses it or not."""
    found = pq.ParquetFile(path, read_dictionary=CODED).read(CODED)
    return {value for column in found.columns for chunk in column.chunks for value in chunk.dictionary.to_pylist()}


@pytest.mark.parametrize("name", ["path", "title", "session", "redactions"])
@pytest.mark.parametrize("kind", ["alone", "few", "none", "long"])
def test_whatever_a_column_holds_everybody_elses_values_stay_as_they_are(tmp_path: Path, name: str, kind: str) -> None:
    rows = sort(table([event(number, subject=number % 700, lane="consented") for number in range(9_000)]))
    field = rows.schema.field(name)
    values = {
        "alone": [str(number * 7_919) for number in range(9_000)],
        "few": [str(number % 7) if number % 3 else None for number in range(9_000)],
        "none": [None] * 9_000,
        "long": [str(number) * (1 if name == "session" else 60) for number in range(9_000)],
    }[kind]
    rows = rows.set_column(rows.schema.get_field_index(name), field, pa.array(values, pa.string()).cast(field.type))
    lake = DeltaLake(tmp_path)
    file = lake.write("2026-01", 0, [rows])
    assert file is not None
    for gone in (5, 6):
        rows = rows.filter(pa.array(rows["subject"].to_numpy() != gone))
        fresh = lake.rewrite(file, np.array([gone], np.int64), leaving_out(gone))
        assert fresh is not None
        assert pa.concat_tables(list(lake.read(fresh))).combine_chunks().equals(rows.combine_chunks())
        found = duckdb.sql(f"SELECT {name} FROM read_parquet('{lake.folder / fresh.path}')").fetchall()
        assert [value for (value,) in found] == rows[name].to_pylist()
        file = fresh


def leaving_out(gone: int) -> Callable[[pa.Table], pa.Table]:
    return lambda part: part.filter(pa.array(part["subject"].to_numpy() != gone))


def test_a_full_disk_is_not_told_as_damage_of_the_file_that_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = DeltaLake(tmp_path)
    file = lake.write("2026-11", 5, [table([event(number, subject=5) for number in range(50)])])
    assert file is not None

    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("consentryd.storage.graft.os.fsync", full)
    with pytest.raises(OSError, match="No space left on device"):
        lake.rewrite(file, np.array([5], np.int64), leaving_out(5))


def test_footers_survive_decoding_and_encoding(tmp_path: Path) -> None:
    for number, options in enumerate(({}, {"compression": "snappy"}, {"use_dictionary": False}, {"write_statistics": False})):
        path = tmp_path / str(number)
        pq.write_table(table([event(each) for each in range(50)]), path, row_group_size=20, **options)
        data = path.read_bytes()
        footer = data[-8 - int.from_bytes(data[-8:-4], "little") : -8]
        assert encode(decode(footer)) == footer
