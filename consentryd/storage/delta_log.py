"""The log of a lake's Delta table: one JSON entry a version, and checkpoints in Parquet (Delta transaction log protocol, reader version 1,
writer version 2; "Delta Log Entries", "Checkpoints", "Actions").

An entry is on the disk before it has its name, and gets it only where no other has it: a version is there whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from consentryd import __version__
from consentryd.model.clock import micros_of, moment_of
from consentryd.model.error import CorruptStore
from consentryd.storage.durable import place, replacing
from consentryd.storage.lake import EMPTY, LakeFile, LakeState
from consentryd.storage.schema import EVENT_SCHEMA

APPLICATION: Final = "consentry-log"
CHECKPOINT_EVERY: Final = 20
_LOOKS: Final = 10

_ENTRY: Final = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")
_LAST_CHECKPOINT: Final = "_last_checkpoint"
_PARTITION: Final = ["month", "bucket"]
_TYPES: Final = {"string": "string", "int64": "long", "int32": "integer", "int16": "short", "timestamp[us, tz=UTC]": "timestamp"}
_READER: Final = 1
_WRITER: Final = 2

#: What of a checkpoint is read, and the key in its footer under which stands the digest of that.
_READ: Final = ["protocol", "metaData", "add", "txn"]
_DIGEST: Final = b"digest"

_MAP: Final = pa.map_(pa.string(), pa.string())
_CHECKPOINT: Final = pa.schema(
    {
        "txn": pa.struct({"appId": pa.string(), "version": pa.int64(), "lastUpdated": pa.int64()}),
        "add": pa.struct(
            {
                "path": pa.string(),
                "partitionValues": _MAP,
                "size": pa.int64(),
                "modificationTime": pa.int64(),
                "dataChange": pa.bool_(),
                "stats": pa.string(),
            }
        ),
        "remove": pa.struct({"path": pa.string(), "deletionTimestamp": pa.int64(), "dataChange": pa.bool_()}),
        "metaData": pa.struct(
            {
                "id": pa.string(),
                "name": pa.string(),
                "description": pa.string(),
                "format": pa.struct({"provider": pa.string(), "options": _MAP}),
                "schemaString": pa.string(),
                "partitionColumns": pa.list_(pa.string()),
                "createdTime": pa.int64(),
                "configuration": _MAP,
            }
        ),
        "protocol": pa.struct({"minReaderVersion": pa.int32(), "minWriterVersion": pa.int32()}),
    }
)

Action = dict[str, Any]


class _Version(NamedTuple):
    """What the actions up to a version come to. `number` is -1, and `table` empty, before the first."""

    number: int
    table: Action
    sealed: int
    files: dict[str, LakeFile]


_NONE: Final = _Version(-1, {}, 0, {})


class DeltaLog:
    """The log of the table in the folder `table`. Threads may share it; one writer at a time (`storage/lease.py`)."""

    def __init__(self, table: Path) -> None:
        self.folder = table / "_delta_log"
        self._known = _NONE
        self._state = EMPTY

    def state(self) -> LakeState:
        """The newest version. Raises `CorruptStore`."""
        known, state = self._read(), self._state
        if state.version != known.number:
            state = self._state = LakeState(known.number, known.sealed, tuple(known.files.values()))
        return state

    def heal(self) -> None:
        """Delete what never got its name."""
        for entry in self.folder.glob("*"):
            if not _ENTRY.fullmatch(entry.name) and entry.name != _LAST_CHECKPOINT:
                entry.unlink()

    def append(self, added: Sequence[LakeFile], removed: Sequence[LakeFile], sealed: int | None) -> None:
        """Make the next version, durably; the first makes the table. Raises `FileExistsError` where another was made meanwhile."""
        number = self._read().number + 1
        now = _now()
        actions: list[Action] = []
        if not number:
            actions += [{"protocol": _protocol()}, {"metaData": _metadata(now)}]
        actions += [{"add": _add(file, now, changes=not removed)} for file in added]
        actions += [{"remove": _remove(file, now, changes=not added)} for file in removed]
        if sealed is not None:
            actions.append({"txn": {"appId": APPLICATION, "version": sealed, "lastUpdated": now}})
        written = b"".join(orjson.dumps(action) + b"\n" for action in actions)
        place(self.folder / f"{number:020}.json", orjson.dumps(_commit_info(number, _digest(written), now)) + b"\n" + written)

    def trim(self) -> None:
        """Write a checkpoint if the log grew, and drop the entries before the newest. Only while nobody reads."""
        entries = self._entries()
        last = _last_checkpoint(entries)
        if entries and entries[-1][0] - max(last, 0) >= CHECKPOINT_EVERY:
            last = self._checkpoint()
        for version, kind in entries:
            if version < last:
                (self.folder / f"{version:020}.{kind}").unlink()

    def _checkpoint(self) -> int:
        known = self._read()
        actions: list[Action] = [{"protocol": _protocol()}, {"metaData": known.table}]
        actions += [{"add": _add(file, _now(), changes=False)} for file in known.files.values()]
        actions.append({"txn": {"appId": APPLICATION, "version": known.sealed}})
        path = self.folder / f"{known.number:020}.checkpoint.parquet"
        table = pa.Table.from_pylist(actions, _CHECKPOINT)
        table = table.replace_schema_metadata({_DIGEST: _digest_of(_rows(table.select(_READ)))})
        with replacing(path) as sink:
            pq.write_table(table, sink, compression="zstd", write_statistics=False, write_page_checksum=True)
        told = {
            "version": known.number,
            "size": len(actions),
            "sizeInBytes": path.stat().st_size,
            "numOfAddFiles": len(known.files),
        }
        with replacing(self.folder / _LAST_CHECKPOINT) as sink:
            sink.write(orjson.dumps(told))
        return known.number

    def _entries(self) -> list[tuple[int, str]]:
        """Versions with the kind of their entry, in order."""
        try:
            names = [entry.name for entry in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        return sorted((int(found[1]), found[2]) for found in map(_ENTRY.fullmatch, names) if found)

    def _read(self) -> _Version:
        known, entries = self._known, self._entries()
        if entries and entries[-1][0] == known.number:
            return known
        for _ in range(_LOOKS):
            try:
                known = self._read_on(known, entries)
            except FileNotFoundError as error:
                before, entries = entries, self._entries()
                if entries == before:
                    raise self._unreadable(error) from error
            except (OSError, ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
                raise self._unreadable(error) from error
            else:
                self._known = known
                return known
        raise CorruptStore(f"the lake's table log {self.folder} cannot be read: its entries go faster than they are read")

    def _read_on(self, known: _Version, entries: Sequence[tuple[int, str]]) -> _Version:
        """Raises `FileNotFoundError` also where entries were trimmed meanwhile, as happens to who looks without a lease."""
        newest, checkpoint = entries[-1][0] if entries else -1, _last_checkpoint(entries)
        if not checkpoint <= known.number <= newest:
            known = _NONE if checkpoint < 0 else self._from_checkpoint(checkpoint)
        for number in range(known.number + 1, newest + 1):
            known = _applied(known, number, self._actions(number))
        return known

    def _unreadable(self, error: BaseException) -> CorruptStore:
        return CorruptStore(f"the lake's table log {self.folder} cannot be read: {_said(error)}")

    def _from_checkpoint(self, number: int) -> _Version:
        path = self.folder / f"{number:020}.checkpoint.parquet"
        table = pq.read_table(path, columns=_READ, page_checksum_verification=True)
        rows = _rows(table)
        if (table.schema.metadata or {}).get(_DIGEST) not in {None, _digest_of(rows)}:
            raise ValueError(f"checkpoint {number} is not what was written")
        return _applied(_NONE, number, ({kind: told for kind, told in row.items() if told is not None} for row in rows))

    def _actions(self, number: int) -> list[Action]:
        """What an entry holds. Raises `ValueError` for one of ours that is not what was written."""
        first, _, rest = (self.folder / f"{number:020}.json").read_bytes().partition(b"\n")
        actions: list[Action] = [orjson.loads(line) for line in (first, *rest.splitlines())]
        told = actions[0].get("commitInfo", {}).get("digest")
        if told not in {None, _digest(rest)}:
            raise ValueError(f"entry {number} is not what was written")
        return actions


def _applied(before: _Version, number: int, actions: Iterable[Action]) -> _Version:
    """The version after some actions. Raises what Python does for what no table of ours holds, and `ValueError`."""
    table, sealed, files = before.table, before.sealed, dict(before.files)
    for action in actions:
        for kind, told in action.items():
            if kind == "add":
                files[told["path"]] = _file(told)
            elif kind == "remove":
                del files[told["path"]]
            elif kind == "txn" and told["appId"] == APPLICATION:
                sealed = told["version"]
            elif kind == "metaData":
                table = told
            elif kind == "protocol" and (told["minReaderVersion"] > _READER or told["minWriterVersion"] > _WRITER):
                raise ValueError(f"another program made it need version {told['minReaderVersion']} of the protocol")
    if not table:
        raise ValueError(f"it begins at entry {number}, which makes no table")
    return _Version(number, table, sealed, files)


def _rows(checkpoint: pa.Table) -> list[Action]:
    rows: list[Action] = checkpoint.to_pylist(maps_as_pydicts="strict")
    return rows


def _digest_of(rows: list[Action]) -> bytes:
    """Pages have checksums, but nothing guards their headers and the footer: they say how many rows there are, and of which type."""
    return _digest(orjson.dumps(rows, option=orjson.OPT_SORT_KEYS)).encode()


def _last_checkpoint(entries: Sequence[tuple[int, str]]) -> int:
    return max((version for version, kind in entries if kind != "json"), default=-1)


def _commit_info(number: int, digest: str, now: int) -> Action:
    return {
        "commitInfo": {
            "timestamp": now,
            "operation": "WRITE" if number else "CREATE TABLE",
            "operationParameters": {"mode": "Append", "partitionBy": json.dumps(_PARTITION)},
            "engineInfo": f"consentry/{__version__}",
            "digest": digest,
        }
    }


def _digest(written: bytes) -> str:
    return hashlib.blake2b(written, digest_size=16).hexdigest()


def _protocol() -> Action:
    return {"minReaderVersion": _READER, "minWriterVersion": _WRITER}


def _metadata(now: int) -> Action:
    schema = EVENT_SCHEMA.append(pa.field("month", pa.string())).append(pa.field("bucket", pa.int32()))
    fields = [{"name": field.name, "type": _type(field.type), "nullable": True, "metadata": {}} for field in schema]
    return {
        "id": str(uuid.uuid4()),
        "name": "events",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": _PARTITION,
        "createdTime": now,
        "configuration": {
            "delta.dataSkippingStatsColumns": "time,site",
            "delta.logRetentionDuration": "interval 0 days",
            "delta.deletedFileRetentionDuration": "interval 0 hours",
        },
    }


def _type(arrow: pa.DataType) -> str:
    return f"decimal({arrow.precision},{arrow.scale})" if pa.types.is_decimal(arrow) else _TYPES[str(arrow)]


def _add(file: LakeFile, now: int, *, changes: bool) -> Action:
    low, high = file.sites
    stats = {
        "numRecords": file.events,
        "minValues": {"time": _timestamp(file.first), "site": low},
        "maxValues": {"time": _timestamp(file.last), "site": high},
        "nullCount": {"time": 0, "site": 0},
    }
    return {
        "path": file.path,
        "partitionValues": _partition(file),
        "size": file.size,
        "modificationTime": now,
        "dataChange": changes,
        "stats": json.dumps(stats),
    }


def _remove(file: LakeFile, now: int, *, changes: bool) -> Action:
    return {
        "path": file.path,
        "deletionTimestamp": now,
        "dataChange": changes,
        "extendedFileMetadata": True,
        "partitionValues": _partition(file),
        "size": file.size,
    }


def _partition(file: LakeFile) -> dict[str, str]:
    return {"month": file.month, "bucket": str(file.bucket)}


def _file(add: Action) -> LakeFile:
    partition, stats = add["partitionValues"], orjson.loads(add["stats"])
    low, high = stats["minValues"], stats["maxValues"]
    return LakeFile(
        add["path"],
        partition["month"],
        int(partition["bucket"]),
        stats["numRecords"],
        add["size"],
        micros_of(datetime.fromisoformat(low["time"])),
        micros_of(datetime.fromisoformat(high["time"])),
        (low["site"], high["site"]),
    )


def _timestamp(microseconds: int) -> str:
    return moment_of(microseconds).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _now() -> int:
    return time.time_ns() // 1_000_000


def _said(error: BaseException) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error).partition("\n")[0]
