"""A lake on disk: Parquet files by month and bucket under one Delta table, `events`.

The Delta library neither syncs its commits nor keeps readers from losing files, so both are done here: a commit's bytes are on the disk
before anything is deleted because of it, and old files and old log entries go only while no reader holds the lease.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from consentryd.model.error import CorruptStore
from consentryd.storage import rollup as rollups
from consentryd.storage.coded import constants
from consentryd.storage.duck import duck
from consentryd.storage.durable import sync_folder
from consentryd.storage.exchange import described, exchange, groups_with
from consentryd.storage.lake import BATCH_ROWS, EMPTY, ROW_GROUP_ROWS, Change, LakeFile, LakeState, Subjects, describe
from consentryd.storage.lease import Lease
from consentryd.storage.parquet import columns_of, read_parquet, write_parquet
from consentryd.storage.promoted import events_sql, pointer_of, pointers_in
from consentryd.storage.rollup import Rollup
from consentryd.storage.schema import EVENT_SCHEMA
from consentryd.storage.seek import Seeker

if TYPE_CHECKING:
    import duckdb

APPLICATION: Final = "consentry-log"
CHECKPOINT_EVERY: Final = 20
REWRITE_ROWS: Final = 32_768
_ABREAST: Final = 2  # files whose digests are taken at once

_PARTITION: Final = ["month", "bucket"]
_TABLE_SCHEMA: Final = EVENT_SCHEMA.append(pa.field("month", pa.string())).append(pa.field("bucket", pa.int32()))
_CONFIGURATION: Final = {
    "delta.dataSkippingStatsColumns": "time,site",
    "delta.logRetentionDuration": "interval 0 days",
    "delta.deletedFileRetentionDuration": "interval 0 hours",
}
_NO_HOOKS: Final = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_ENTRY: Final = re.compile(r"(\d{20})\.(json|checkpoint\.parquet)")


class DeltaLake:
    """The lake of the region kept in the folder `region`. One object may be shared by threads."""

    def __init__(
        self, region: Path, *, promoted: Sequence[str] = (), new_name: Callable[[], str] = lambda: uuid.uuid4().hex
    ) -> None:
        self.folder = region / "lake"
        self.scratch: Path | None = region / "spill"
        self._log = self.folder / "_delta_log"
        self._promote = tuple(dict.fromkeys(map(pointer_of, promoted)))
        self._promoted: dict[str, tuple[str, ...]] = {}
        self._constants: dict[str, dict[str, str]] = {}
        self._seeker = Seeker()
        self._new_name = new_name
        self._lease = Lease(region)
        self._cached = EMPTY
        self._verified: set[str] = set()

    def state(self) -> LakeState:
        version = self._newest()
        if version != self._cached.version:
            self._cached = EMPTY if version < 0 else self._load(self._open(), version)
            listed = {file.path for file in self._cached.files}
            self._seeker.keep({self.folder / path for path in listed})
            self._promoted = {path: found for path, found in self._promoted.items() if path in listed}
            self._constants = {path: found for path, found in self._constants.items() if path in listed}
            self._verified &= listed | set(map(_rollup_of, listed))
        return self._cached

    def heal(self) -> None:
        """A newest commit that is not whole was never acted upon (see `commit`): forget it."""
        newest = self._log / f"{self._newest():020}.json"
        if newest.exists() and not _is_whole(newest):
            newest.unlink()
            sync_folder(self._log)
        for entry in self._log.glob("*"):
            if not _ENTRY.fullmatch(entry.name) and entry.name != "_last_checkpoint":
                entry.unlink()

    def write(self, month: str, bucket: int, tables: Iterable[pa.Table]) -> LakeFile | None:
        return self._write(month, bucket, tables, self._promote)

    def _write(self, month: str, bucket: int, tables: Iterable[pa.Table], promoted: Sequence[str]) -> LakeFile | None:
        seen: list[LakeFile] = []
        name = f"month={month}/bucket={bucket:02}/{self._new_name()}"

        def noted(table: pa.Table) -> pa.Table:
            seen.append(describe(name, month, bucket, [table]))
            return table

        draft = self.folder / f"{name}.draft"
        self._make_folders(draft.parent)
        size = write_parquet(draft, map(noted, filter(len, tables)), ROW_GROUP_ROWS, promoted)
        if not seen:
            draft.unlink()
            return None
        return _union(seen, size)._replace(path=self._adopt(draft, name))

    def rewrite(self, file: LakeFile, subjects: Subjects, change: Change) -> LakeFile | None:
        path = self.folder / file.path
        groups = groups_with(path, subjects)
        if not groups:
            return file
        name = f"month={file.month}/bucket={file.bucket:02}/{self._new_name()}"
        draft = self.folder / f"{name}.draft"
        if not exchange(path, draft, groups, change):
            events = map(change, self.read(file, rows=REWRITE_ROWS))
            return self._write(file.month, file.bucket, events, self.promoted(file))
        fresh = described(draft, name, file)
        if fresh is None:
            draft.unlink()
            return None
        return fresh._replace(path=self._adopt(draft, name))

    def _adopt(self, draft: Path, name: str) -> str:
        """Give a complete file the name that tells its digest."""
        path = f"{name}-{_digest(draft)}.parquet"
        draft.rename(self.folder / path)
        sync_folder(draft.parent)
        return path

    def commit(self, added: Sequence[LakeFile], removed: Sequence[LakeFile] = (), *, sealed: int | None = None) -> LakeState:
        table = self._open() if self._newest() >= 0 else self._create()
        actions: list[AddAction | RemoveAction] = [
            *(_add(file, not removed) for file in added),
            *(_remove(file, not added) for file in removed),
        ]
        transactions = None if sealed is None else [Transaction(APPLICATION, sealed)]
        table.create_write_transaction(
            actions,
            "append",
            table.schema(),
            _PARTITION,
            commit_properties=CommitProperties(app_transactions=transactions, max_commit_retries=0),
            post_commithook_properties=_NO_HOOKS,
        )
        self._sync(f"{table.version() + 1:020}.json")
        return self.state()

    def read(
        self, file: LakeFile, columns: Sequence[str] | None = None, *, rows: int = BATCH_ROWS, coded: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        return read_parquet(self.folder / file.path, columns, rows, coded)

    def scan(
        self, connection: duckdb.DuckDBPyConnection, files: Sequence[LakeFile], promoted: Sequence[str] = ()
    ) -> duckdb.DuckDBPyRelation:
        self.verify(files)
        alike: dict[frozenset[str], list[LakeFile]] = {}
        for file in files:
            alike.setdefault(frozenset(self.promoted(file)), []).append(file)
        found = [
            connection.read_parquet(self.paths(each), hive_partitioning=False).project(events_sql(promoted, held))
            for held, each in alike.items()
        ]
        return reduce(duck().DuckDBPyRelation.union, found)

    def pick(self, file: LakeFile, subjects: Sequence[int], columns: Sequence[str]) -> pa.Table:
        return self._seeker.pick(self.folder / file.path, subjects, columns, self.constants(file))

    def promoted(self, file: LakeFile) -> tuple[str, ...]:
        known = self._promoted.get(file.path)
        if known is None:
            known = self._promoted[file.path] = pointers_in(columns_of(self.folder / file.path))
        return known

    def constants(self, file: LakeFile) -> Mapping[str, str]:
        known = self._constants.get(file.path)
        if known is None:
            known = self._constants[file.path] = constants(str(self.folder / file.path))
        return known

    def verify(self, files: Sequence[LakeFile]) -> None:
        self._check_digests([file for file in files if file.path not in self._verified])

    def paths(self, files: Sequence[LakeFile]) -> list[str]:
        return [str(self.folder / file.path) for file in files]

    def rollup(self, file: LakeFile) -> Rollup | None:
        name = _rollup_of(file.path)
        found = rollups.read(self.folder / name, verify=name not in self._verified)
        if found is not None:
            self._verified.add(name)
        return found

    def lay(self, file: LakeFile, rollup: Rollup) -> None:
        path = self.folder / _rollup_of(file.path)
        draft = path.with_suffix(f".{self._new_name()}.draft")
        rollups.write(draft, rollup)
        draft.replace(path)
        self._verified.discard(_rollup_of(file.path))

    def check(self, files: Sequence[LakeFile], *, deep: bool = False) -> None:
        for file in files:
            path = self.folder / file.path
            size = path.stat().st_size if path.exists() else None
            if size is None:
                raise CorruptStore(f"lake file {path} is missing; the table lists it with {file.events} events")
            if size != file.size:
                raise CorruptStore(f"lake file {path} has {size} bytes; {file.size} were written")
        if deep:
            self._check_digests(files)

    def _check_digests(self, files: Sequence[LakeFile]) -> None:
        """Compare each file with the digest in its name. DuckDB does not look at page checksums: of 300 flipped bits it served 260."""
        paths = [self.folder / file.path for file in files]
        with ThreadPoolExecutor(_ABREAST, "digest") as pool:
            for path, digest in zip(paths, pool.map(_digest, paths), strict=True):
                if not path.name.endswith(f"-{digest}.parquet"):
                    raise CorruptStore(f"lake file {path} is not what was written: its digest differs from its name")
        self._verified |= {file.path for file in files}

    def vacuum(self, wait_s: float = 0.0) -> list[str]:
        with self._lease.deleting(wait_s):
            self._trim_log()
            if self.scratch is not None:
                shutil.rmtree(self.scratch, ignore_errors=True)
            return self._delete_unlisted()

    def writing(self, wait_s: float = 0.0) -> AbstractContextManager[None]:
        return self._lease.writing(wait_s)

    def reading(self) -> AbstractContextManager[None]:
        return self._lease.reading()

    def _create(self) -> DeltaTable:
        self._make_folders(self.folder)
        table = DeltaTable.create(
            self.folder, _TABLE_SCHEMA, name="events", partition_by=_PARTITION, configuration=_CONFIGURATION
        )
        self._sync(f"{0:020}.json")
        return table

    def _open(self) -> DeltaTable:
        try:
            return DeltaTable(self.folder)
        except (DeltaError, OSError, ValueError) as error:
            raise CorruptStore(f"the lake's table log {self._log} cannot be read: {_first_line(error)}") from error

    def _load(self, table: DeltaTable, wanted: int) -> LakeState:
        try:
            files = tuple(map(_file, _rows(pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)))))
            state = LakeState(table.version(), table.transaction_version(APPLICATION) or 0, files)
        except (DeltaError, KeyError, pa.ArrowException, OSError, ValueError, TypeError) as error:
            raise CorruptStore(f"the lake's table log {self._log} cannot be read: {_first_line(error)}") from error
        if state.version < wanted:
            raise CorruptStore(f"the lake's table log {self._log} reads as version {state.version}, but has an entry {wanted}")
        return state

    def _entries(self) -> list[tuple[int, str]]:
        """Versions with the kind of their entry, in order."""
        try:
            names = [entry.name for entry in self._log.iterdir()]
        except FileNotFoundError:
            return []
        return sorted((int(found[1]), found[2]) for found in map(_ENTRY.fullmatch, names) if found)

    def _newest(self) -> int:
        entries = self._entries()
        return entries[-1][0] if entries else -1

    def _sync(self, entry: str) -> None:
        with (self._log / entry).open("rb") as handle:
            os.fsync(handle.fileno())
        sync_folder(self._log)

    def _make_folders(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make_folders(folder.parent)
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)

    def _trim_log(self) -> None:
        """Checkpoint a log that grew, and drop the entries before the newest checkpoint. Only under the deletion lease."""
        entries = self._entries()
        last = max((version for version, kind in entries if kind != "json"), default=-1)
        if entries and entries[-1][0] - max(last, 0) >= CHECKPOINT_EVERY:
            table = self._open()
            table.create_checkpoint()
            last = table.version()
            self._sync(f"{last:020}.checkpoint.parquet")
            self._sync("_last_checkpoint")
        for version, kind in entries:
            if version < last:
                (self._log / f"{version:020}.{kind}").unlink()

    def _delete_unlisted(self) -> list[str]:
        """Delete files of no version: those a crash left behind and those that a later version replaced. A file's rollup goes first."""
        listed = {file.path for file in self.state().files}
        listed |= set(map(_rollup_of, listed))
        deleted = []
        for path in sorted(self.folder.glob("month=*/bucket=*/*"), key=lambda path: (path.suffix != rollups.SUFFIX, path)):
            name = str(path.relative_to(self.folder))
            if name not in listed:
                path.unlink()
                deleted.append(name)
        for folder in {(self.folder / name).parent for name in deleted}:
            sync_folder(folder)
        return [name for name in deleted if not name.endswith(rollups.SUFFIX)]


def _rollup_of(path: str) -> str:
    return path.removesuffix(".parquet") + rollups.SUFFIX


def _add(file: LakeFile, changes: bool) -> AddAction:
    low, high = file.sites
    stats = {
        "numRecords": file.events,
        "minValues": {"time": _timestamp(file.first), "site": low},
        "maxValues": {"time": _timestamp(file.last), "site": high},
        "nullCount": {"time": 0, "site": 0},
    }
    partition = {"month": file.month, "bucket": str(file.bucket)}
    return AddAction(file.path, file.size, partition, time.time_ns() // 1_000_000, changes, json.dumps(stats))


def _remove(file: LakeFile, changes: bool) -> RemoveAction:
    partition: dict[str, str | None] = {"month": file.month, "bucket": str(file.bucket)}
    return RemoveAction(file.path, changes, time.time_ns() // 1_000_000, file.size, partition)


def _rows(actions: pa.RecordBatchReader) -> list[dict[str, Any]]:
    """Times as microseconds: `pa.table` of foreign data, and a time as a Python value, import pandas where it is installed (0.7 s)."""
    table = actions.read_all()
    for name in ("min.time", "max.time"):
        micros = table[name].cast(_TABLE_SCHEMA.field("time").type).cast(pa.int64())
        table = table.set_column(table.schema.get_field_index(name), name, micros)
    return table.to_pylist()  # type: ignore[no-any-return]


def _file(action: dict[str, Any]) -> LakeFile:
    return LakeFile(
        action["path"],
        action["partition.month"],
        action["partition.bucket"],
        action["num_records"],
        action["size_bytes"],
        action["min.time"],
        action["max.time"],
        (action["min.site"], action["max.site"]),
    )


def _union(parts: Sequence[LakeFile], size: int) -> LakeFile:
    """The parts of one file as one, with the bounds that its table entry can hold: whole milliseconds around its times."""
    return parts[0]._replace(
        events=sum(part.events for part in parts),
        size=size,
        first=min(part.first for part in parts) // 1000 * 1000,
        last=(max(part.last for part in parts) + 999) // 1000 * 1000,
        sites=(min(part.sites[0] for part in parts), max(part.sites[1] for part in parts)),
    )


def _timestamp(microseconds: int) -> str:
    return datetime.fromtimestamp(microseconds // 1000 / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_whole(entry: Path) -> bool:
    try:
        lines = [json.loads(line) for line in entry.read_bytes().splitlines()]
    except ValueError:
        return False
    return bool(lines)


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]
