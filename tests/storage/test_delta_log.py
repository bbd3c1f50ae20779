"""The log of the table against the Delta library, which reads it and whose own it goes on with, and against what disks do to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.transaction import AddAction, RemoveAction

from consentryd.model.error import CorruptStore
from consentryd.storage.delta import DeltaLake
from consentryd.storage.delta_log import APPLICATION, CHECKPOINT_EVERY, DeltaLog
from consentryd.storage.lake import LakeFile, LakeState
from consentryd.storage.order import sort
from consentryd.storage.schema import EVENT_SCHEMA
from tests.storage.rows import event, table

SCHEMA = EVENT_SCHEMA.append(pa.field("month", pa.string())).append(pa.field("bucket", pa.int32()))


def put(lake: DeltaLake, start: int = 0) -> LakeFile:
    file = lake.write("2026-01", 3, [sort(table([event(number, days=31) for number in range(start, start + 10)]))])
    assert file is not None
    return file


def entry(lake: DeltaLake, version: int) -> Path:
    return lake.folder / "_delta_log" / f"{version:020}.json"


def actions(path: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def grown(lake: DeltaLake, commits: int) -> LakeState:
    """Every third commit replaces the oldest file."""
    for number in range(commits):
        files = lake.state().files
        lake.commit([put(lake, number * 10)], files[:1] if number % 3 == 2 else [], sealed=number + 1)
    return lake.state()


@pytest.mark.parametrize("commits", [1, 3, 2 * CHECKPOINT_EVERY + 5])
def test_the_delta_library_reads_the_table_as_we_do(tmp_path: Path, commits: int) -> None:
    lake = DeltaLake(tmp_path)
    for _ in range(0, commits, 7):
        state = grown(lake, min(7, commits))
        lake.vacuum()
    read = DeltaTable(lake.folder)
    assert (read.version(), read.transaction_version(APPLICATION)) == (state.version, state.sealed)
    assert read.protocol()[:2] == (1, 2)
    assert (read.metadata().name, read.metadata().partition_columns) == ("events", ["month", "bucket"])
    assert pa.schema(read.schema().to_arrow()).names == SCHEMA.names
    adds = pa.RecordBatchReader.from_stream(read.get_add_actions(flatten=True)).read_all().to_pylist()
    told = {
        (each["path"], each["partition.month"], each["partition.bucket"], each["num_records"], each["size_bytes"])
        for each in adds
    }
    assert told == {(file.path, file.month, file.bucket, file.events, file.size) for file in state.files}
    for each in adds:
        (file,) = (file for file in state.files if file.path == each["path"])
        assert (each["min.site"], each["max.site"]) == file.sites
        assert [int(each[name].timestamp() * 1e6) for name in ("min.time", "max.time")] == [file.first, file.last]
    connection = duckdb.connect()
    connection.register("events", read.to_pyarrow_dataset().to_table(columns=["event_id", "subject", "month", "bucket"]))
    assert connection.sql("SELECT count(*), min(month), max(bucket) FROM events").fetchall() == [
        (
            sum(file.events for file in state.files),
            "2026-01",
            3,
        )
    ]


def test_a_table_that_the_delta_library_made_is_gone_on_with(tmp_path: Path) -> None:
    lake = DeltaLake(tmp_path)
    one, two, three = put(lake), put(lake, 10), put(lake, 20)
    made = DeltaTable.create(lake.folder, SCHEMA, name="events", partition_by=["month", "bucket"])

    def commit(added: LakeFile, removed: LakeFile | None, sealed: int) -> None:
        stats = {
            "numRecords": added.events,
            "minValues": {"time": stamp(added.first), "site": added.sites[0]},
            "maxValues": {"time": stamp(added.last), "site": added.sites[1]},
        }
        partition = {"month": added.month, "bucket": str(added.bucket)}
        given: list[AddAction | RemoveAction] = [AddAction(added.path, added.size, partition, 0, True, json.dumps(stats))]
        if removed is not None:
            given.append(RemoveAction(removed.path, True, 0, removed.size, dict(partition)))
        made.update_incremental()
        made.create_write_transaction(
            given,
            "append",
            made.schema(),
            ["month", "bucket"],
            commit_properties=CommitProperties(app_transactions=[Transaction(APPLICATION, sealed)]),
            post_commithook_properties=PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False),
        )

    commit(one, None, 5)
    commit(two, one, 8)
    assert lake.state() == DeltaLake(tmp_path).state() == LakeState(2, 8, (two,))
    made.update_incremental()
    made.create_checkpoint()
    for version in range(3):
        entry(lake, version).unlink()
    assert DeltaLake(tmp_path).state() == LakeState(2, 8, (two,))
    assert DeltaLake(tmp_path).commit([three]) == LakeState(3, 8, (two, three))
    assert set(DeltaTable(lake.folder).file_uris()) == {str(lake.folder / file.path) for file in (two, three)}


def stamp(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_what_others_commit_is_read_on_from_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = DeltaLake(tmp_path), DeltaLake(tmp_path)
    grown(other, 5)
    assert mine.state() == other.state()
    read: list[int] = []
    plainly = DeltaLog._actions

    def noted(log: DeltaLog, number: int) -> list[dict[str, Any]]:
        read.append(number)
        return plainly(log, number)

    monkeypatch.setattr(DeltaLog, "_actions", noted)
    grown(other, 2)
    read.clear()
    assert mine.state() == other.state()
    assert read == [5, 6]
    for _ in range(CHECKPOINT_EVERY):
        grown(other, 1)
    other.vacuum()
    assert mine.state() == other.state() == DeltaLake(tmp_path).state()


def test_who_looks_without_a_lease_while_entries_go_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = DeltaLake(tmp_path)
    state = grown(lake, CHECKPOINT_EVERY + 2)
    plainly = DeltaLog._entries

    def before_they_went(log: DeltaLog) -> list[tuple[int, str]]:
        monkeypatch.setattr(DeltaLog, "_entries", plainly)
        seen = log._entries()
        lake.vacuum()
        assert log._entries() != seen
        return seen

    monkeypatch.setattr(DeltaLog, "_entries", before_they_went)
    assert DeltaLog(lake.folder).state() == state
    entry(lake, state.version - 1).touch()
    (lake.folder / "_delta_log" / f"{state.version:020}.checkpoint.parquet").unlink()
    with pytest.raises(CorruptStore, match="cannot be read"):
        DeltaLog(lake.folder).state()


def without(kind: str) -> Callable[[Path], None]:
    def drop(path: Path) -> None:
        path.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in actions(path) if kind not in each))

    return drop


def rewritten(old: bytes, new: bytes) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        path.write_bytes(path.read_bytes().replace(old, new))

    return rewrite


def halved(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("version", [0, 2, 4])
@pytest.mark.parametrize(
    "how",
    [
        without("add"),
        without("txn"),
        rewritten(b'"numRecords\\": 10', b'"numRecords\\": 70'),
        rewritten(b"2026-01", b"2026-02"),
        halved,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"[1]\n"),
    ],
)
def test_an_entry_that_is_not_what_was_written_is_an_error(tmp_path: Path, version: int, how: Callable[[Path], None]) -> None:
    lake = DeltaLake(tmp_path)
    grown(lake, 5)
    before = entry(lake, version).read_bytes()
    how(entry(lake, version))
    assert entry(lake, version).read_bytes() != before
    with pytest.raises(CorruptStore, match="_delta_log cannot be read"):
        DeltaLake(tmp_path).state()


def test_a_checkpoint_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    lake = DeltaLake(tmp_path)
    grown(lake, CHECKPOINT_EVERY + 2)
    lake.vacuum()
    (checkpoint,) = (lake.folder / "_delta_log").glob("*.parquet")
    whole = checkpoint.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 4
    for content in (flipped, whole[:-9], b""):
        checkpoint.write_bytes(content)
        with pytest.raises(CorruptStore, match="_delta_log cannot be read"):
            DeltaLake(tmp_path).state()


def test_a_checkpoint_is_what_was_written_whatever_its_pages_and_footer_say(tmp_path: Path) -> None:
    """A flipped bit in the footer, or in a page's header, gave fewer files, or said that nothing was sealed, and no checksum differed."""
    lake = DeltaLake(tmp_path)
    state = grown(lake, CHECKPOINT_EVERY + 2)
    lake.vacuum()
    (checkpoint,) = (lake.folder / "_delta_log").glob("*.parquet")
    whole = pq.read_table(checkpoint)
    actions = whole.to_pylist()
    assert DeltaLake(tmp_path).state() == state
    for fewer in (actions[:-1], [*actions[:3], *actions[4:]], [*actions[:-1], {"txn": {**actions[-1]["txn"], "version": 3}}]):
        pq.write_table(pa.Table.from_pylist(fewer, whole.schema), checkpoint, write_page_checksum=True)
        with pytest.raises(CorruptStore, match="is not what was written"):
            DeltaLake(tmp_path).state()
    pq.write_table(whole.replace_schema_metadata(None), checkpoint)  # as it was until there were digests
    assert DeltaLake(tmp_path).state() == state


@pytest.mark.parametrize("at", [-62_135_596_799_999, -1_500, -1, 0, 1_700_000_000_001, 16_725_225_600_123, 253_402_300_799_999])
def test_bounds_of_times_are_told_to_the_millisecond(tmp_path: Path, at: int) -> None:
    log = DeltaLog(tmp_path)
    log.folder.mkdir()
    file = LakeFile("one.parquet", "2026-01", 3, 1, 1, at * 1000, at * 1000, ("a", "a"))
    log.append([file], [], 1)
    assert DeltaLog(tmp_path).state().files == (file,)


def test_a_table_of_a_later_protocol_is_refused(tmp_path: Path) -> None:
    lake = DeltaLake(tmp_path)
    lake.commit([put(lake)])
    entry(lake, 1).write_bytes(b'{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"]}}\n')
    with pytest.raises(CorruptStore, match="need version 3 of the protocol"):
        DeltaLake(tmp_path).state()


def test_a_version_that_another_made_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = DeltaLake(tmp_path)
    lake.commit([put(lake)])
    late = DeltaLake(tmp_path)
    late.state()
    monkeypatch.setattr(DeltaLog, "_entries", lambda _: [(0, "json")])
    lake.commit([put(lake, 10)])
    first = entry(lake, 1).read_bytes()
    with pytest.raises(FileExistsError):
        late.commit([put(lake, 20)])
    assert entry(lake, 1).read_bytes() == first


def test_what_never_got_its_name_is_no_version_and_goes(tmp_path: Path) -> None:
    lake = DeltaLake(tmp_path)
    state = grown(lake, 2)
    draft = entry(lake, 2).with_name(f"{2:020}.json.0badcafe")
    draft.write_bytes(entry(lake, 1).read_bytes()[:50])
    assert DeltaLake(tmp_path).state() == state
    assert DeltaTable(lake.folder).version() == state.version
    lake.heal()
    assert not draft.exists()
    assert DeltaLake(tmp_path).state() == state


def test_a_full_disk_leaves_no_entry_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = DeltaLake(tmp_path)
    state = grown(lake, 2)
    file = put(lake, 90)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("consentryd.storage.durable.os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            lake.commit([file])
    assert sorted(path.name for path in (lake.folder / "_delta_log").iterdir()) == [f"{0:020}.json", f"{1:020}.json"]
    assert lake.state() == state
    assert lake.commit([file]).version == state.version + 1


def test_what_nothing_lists_goes_although_the_disk_is_too_full_for_a_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = DeltaLake(tmp_path)
    for number in range(CHECKPOINT_EVERY + 2):
        lake.commit([put(lake, number * 10)], lake.state().files, sealed=number + 1)
    state = lake.state()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("consentryd.storage.durable.os.fsync", full)
        with pytest.raises(OSError, match="No space left"):
            lake.vacuum()
    assert [str(path.relative_to(lake.folder)) for path in lake.folder.glob("month=*/*/*")] == [file.path for file in state.files]
    lake.vacuum()
    assert len(list((lake.folder / "_delta_log").glob("*.parquet"))) == 1
    assert DeltaLake(tmp_path).state() == state


def test_an_entry_tells_nothing_of_the_machine(tmp_path: Path) -> None:
    lake = DeltaLake(tmp_path)
    grown(lake, CHECKPOINT_EVERY + 3)
    lake.vacuum()
    assert not any(str(tmp_path).encode() in path.read_bytes() for path in (lake.folder / "_delta_log").iterdir())
