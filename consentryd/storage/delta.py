"""A lake on disk: Parquet files by month and bucket under one Delta table, `events`.

A commit's bytes are on the disk before anything is deleted because of it (`storage/delta_log.py`), and old files and old log entries go
only while no reader holds the lease.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from consentryd.model.error import CorruptStore
from consentryd.storage import rollup as rollups
from consentryd.storage.coded import constants
from consentryd.storage.delta_log import DeltaLog
from consentryd.storage.duck import duck
from consentryd.storage.durable import sync_folder
from consentryd.storage.exchange import described, exchange, groups_with
from consentryd.storage.lake import BATCH_ROWS, ROW_GROUP_ROWS, Change, LakeFile, LakeState, Subjects, describe
from consentryd.storage.lease import Lease
from consentryd.storage.parquet import columns_of, read_parquet, write_parquet
from consentryd.storage.promoted import events_sql, pointer_of, pointers_in
from consentryd.storage.rollup import Rollup
from consentryd.storage.seek import Seeker

if TYPE_CHECKING:
    import duckdb

REWRITE_ROWS: Final = 32_768
_ABREAST: Final = 2  # files whose digests are taken at once


class DeltaLake:
    """The lake of the region kept in the folder `region`. One object may be shared by threads."""

    def __init__(
        self, region: Path, *, promoted: Sequence[str] = (), new_name: Callable[[], str] = lambda: uuid.uuid4().hex
    ) -> None:
        self.folder = region / "lake"
        self.scratch: Path | None = region / "spill"
        self._log = DeltaLog(self.folder)
        self._promote = tuple(dict.fromkeys(map(pointer_of, promoted)))
        self._promoted: dict[str, tuple[str, ...]] = {}
        self._constants: dict[str, dict[str, str]] = {}
        self._seeker = Seeker()
        self._new_name = new_name
        self._lease = Lease(region)
        self._version = -1
        self._verified: set[str] = set()

    def state(self) -> LakeState:
        state = self._log.state()
        if state.version != self._version:
            listed = {file.path for file in state.files}
            self._seeker.keep({self.folder / path for path in listed})
            self._promoted = {path: found for path, found in self._promoted.items() if path in listed}
            self._constants = {path: found for path, found in self._constants.items() if path in listed}
            self._verified &= listed | set(map(_rollup_of, listed))
            self._version = state.version
        return state

    def heal(self) -> None:
        self._log.heal()

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
        pa.default_memory_pool().release_unused()  # what was freed lies between what the gateway keeps, and would stay
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
        self._make_folders(self._log.folder)
        self._log.append(added, removed, sealed)
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
            if self.scratch is not None:
                shutil.rmtree(self.scratch, ignore_errors=True)
            deleted = self._delete_unlisted()
            self._log.trim()  # last: on a full disk a checkpoint finds no room before something went
            return deleted

    def writing(self, wait_s: float = 0.0) -> AbstractContextManager[None]:
        return self._lease.writing(wait_s)

    def reading(self) -> AbstractContextManager[None]:
        return self._lease.reading()

    def _make_folders(self, folder: Path) -> None:
        if not folder.is_dir():
            self._make_folders(folder.parent)
            folder.mkdir(exist_ok=True)
            sync_folder(folder.parent)

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


def _union(parts: Sequence[LakeFile], size: int) -> LakeFile:
    """The parts of one file as one, with the bounds that its table entry can hold: whole milliseconds around its times."""
    return parts[0]._replace(
        events=sum(part.events for part in parts),
        size=size,
        first=min(part.first for part in parts) // 1000 * 1000,
        last=(max(part.last for part in parts) + 999) // 1000 * 1000,
        sites=(min(part.sites[0] for part in parts), max(part.sites[1] for part in parts)),
    )


def _digest(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=8)).hexdigest()
