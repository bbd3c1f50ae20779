"""What a lake is to the rest of the store: immutable sorted files by month and bucket, changed by atomic commits.

`DeltaLake` keeps one on disk (`storage/delta.py`), `MemoryLake` in memory; both pass one contract suite.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.model.error import CorruptStore
from consentryd.model.identity import BUCKETS
from consentryd.storage.lease import Busy
from consentryd.storage.promoted import events_sql
from consentryd.storage.rollup import Rollup

if TYPE_CHECKING:
    import duckdb

ANONYMOUS_BUCKET: Final = BUCKETS
BATCH_ROWS: Final = 8_192
ROW_GROUP_ROWS: Final = 65_536


Subjects = npt.NDArray[np.int64]

#: What becomes of some events of a file, in its order. Their texts may be dictionaries, but for `event_id` and `properties`.
Change = Callable[[pa.Table], pa.Table]


class LakeFile(NamedTuple):
    """One file. `month` (YYYY-MM, UTC) and `bucket` (0..15 by subject, 16 anonymous) are its partition; `first` and `last` bound its
    events' `time` (UTC microseconds); `sites` bounds the site names in it, so equal ends mean a single site. `size` is in bytes.
    """

    path: str
    month: str
    bucket: int
    events: int
    size: int
    first: int
    last: int
    sites: tuple[str, str]


class LakeState(NamedTuple):
    """One version: its files, and the last log row they hold (`sealed`; 0 before the first seal). Version -1 is a lake not yet made."""

    version: int
    sealed: int
    files: tuple[LakeFile, ...]


EMPTY: Final = LakeState(-1, 0, ())


class Lake(Protocol):
    """A lake of one region. Changes are made by whoever holds `writing()`."""

    @property
    def scratch(self) -> Path | None:
        """A folder within the region for what queries spill; None if there is no disk."""
        ...

    def state(self) -> LakeState:
        """The newest version. Raises `CorruptStore`."""
        ...

    def heal(self) -> None:
        """Undo what a power failure left half-written. Call within `writing()`."""
        ...

    def write(self, month: str, bucket: int, tables: Iterable[pa.Table]) -> LakeFile | None:
        """Write sorted events as one durable file, not yet part of any version; None if there are none."""
        ...

    def rewrite(self, file: LakeFile, subjects: Subjects, change: Change) -> LakeFile | None:
        """Write a file as `file` is, with whatever holds `subjects` passed through `change`, which keeps the order and may be given more
        than that; not yet part of any version. `file` itself if it holds none of them, None if nothing is left.
        """
        ...

    def commit(self, added: Sequence[LakeFile], removed: Sequence[LakeFile] = (), *, sealed: int | None = None) -> LakeState:
        """Make the next version, durably and at once. `sealed` is the last log row now in the lake, if it moved."""
        ...

    def read(
        self, file: LakeFile, columns: Sequence[str] | None = None, *, rows: int = BATCH_ROWS, coded: Collection[str] = ()
    ) -> Iterator[pa.Table]:
        """A file's events in its order, a few thousand at a time; texts `coded` as dictionaries. Raises `CorruptStore`."""
        ...

    def scan(
        self, connection: duckdb.DuckDBPyConnection, files: Sequence[LakeFile], promoted: Sequence[str] = ()
    ) -> duckdb.DuckDBPyRelation:
        """The events of `files` (one or more), to query, with the columns of promoted properties (`storage/promoted.py`) appended,
        taken out of the JSON where a file has none."""
        ...

    def pick(self, file: LakeFile, subjects: Sequence[int], columns: Sequence[str]) -> pa.Table:
        """Some columns of the events of some subjects, in the order of the file, reading little else. Raises `CorruptStore`."""
        ...

    def promoted(self, file: LakeFile) -> tuple[str, ...]:
        """The properties, by pointer, of which the file has columns."""
        ...

    def constants(self, file: LakeFile) -> Mapping[str, str]:
        """Columns of which the file is known to have one value in all rows, as far as that can be told without reading them."""
        ...

    def verify(self, files: Sequence[LakeFile]) -> None:
        """Files are what was written; looked at once a process. Raises `CorruptStore`."""
        ...

    def paths(self, files: Sequence[LakeFile]) -> list[str]:
        """Where `files` are on disk; nothing of a lake in memory."""
        ...

    def rollup(self, file: LakeFile) -> Rollup | None:
        """What a file says about the days of its subjects, if that was worked out and is whole. Use it within `reading()`."""
        ...

    def lay(self, file: LakeFile, rollup: Rollup) -> None:
        """Keep a rollup beside its file, and no longer than that. Call within `writing()`."""
        ...

    def check(self, files: Sequence[LakeFile], *, deep: bool = False) -> None:
        """Files are there with their size; `deep` reads all of them. Raises `CorruptStore`."""
        ...

    def vacuum(self, wait_s: float = 0.0) -> list[str]:
        """Delete what the newest version does not hold, once no reader is left; the paths. Call within `writing()`. Raises `Busy`."""
        ...

    def writing(self, wait_s: float = 0.0) -> AbstractContextManager[None]:
        """Be the only one who writes. Raises `Busy`."""
        ...

    def reading(self) -> AbstractContextManager[None]:
        """Keep the files of versions seen within from being deleted."""
        ...


class MemoryLake:
    """A lake that lives and dies with its process."""

    scratch: Path | None = None

    def __init__(self) -> None:
        self._state = EMPTY
        self._tables: dict[str, pa.Table] = {}
        self._rollups: dict[str, Rollup] = {}
        self._writer = threading.Lock()
        self._readers = 0
        self._names = itertools.count(1)

    def state(self) -> LakeState:
        return self._state

    def heal(self) -> None:
        """Memory is never half-written."""

    def write(self, month: str, bucket: int, tables: Iterable[pa.Table]) -> LakeFile | None:
        parts = list(tables)
        events = sum(part.num_rows for part in parts)
        if not events:
            return None
        table = pa.concat_tables(parts).combine_chunks()
        file = describe(f"month={month}/bucket={bucket:02}/{next(self._names)}", month, bucket, [table])._replace(
            size=table.nbytes
        )
        self._tables[file.path] = table
        return file

    def rewrite(self, file: LakeFile, subjects: Subjects, change: Change) -> LakeFile | None:
        if not holds(self._table(file), subjects).any():
            return file
        return self.write(file.month, file.bucket, map(change, self.read(file)))

    def commit(self, added: Sequence[LakeFile], removed: Sequence[LakeFile] = (), *, sealed: int | None = None) -> LakeState:
        old = self._state
        gone = {file.path for file in removed}
        kept = tuple(file for file in old.files if file.path not in gone)
        self._state = LakeState(old.version + 1, old.sealed if sealed is None else sealed, (*kept, *added))
        return self._state

    def read(
        self,
        file: LakeFile,
        columns: Sequence[str] | None = None,
        *,
        rows: int = BATCH_ROWS,
        coded: Collection[str] = (),  # noqa: ARG002 - tables in memory stay as they are
    ) -> Iterator[pa.Table]:
        table = self._table(file)
        chosen = table if columns is None else table.select(list(columns))
        for start in range(0, table.num_rows, rows):
            yield chosen.slice(start, rows)

    def scan(
        self, connection: duckdb.DuckDBPyConnection, files: Sequence[LakeFile], promoted: Sequence[str] = ()
    ) -> duckdb.DuckDBPyRelation:
        events = connection.from_arrow(pa.concat_tables([self._table(file) for file in files]))
        return events.project(events_sql(promoted, ()))

    def pick(self, file: LakeFile, subjects: Sequence[int], columns: Sequence[str]) -> pa.Table:
        table = self._table(file)
        return table.filter(pc.is_in(table["subject"], pa.array(subjects, pa.int64()))).select(list(columns))

    def promoted(self, file: LakeFile) -> tuple[str, ...]:  # noqa: ARG002 - tables in memory have none
        return ()

    def constants(self, file: LakeFile) -> Mapping[str, str]:  # noqa: ARG002 - it takes no time to ask rows in memory
        return {}

    def verify(self, files: Sequence[LakeFile]) -> None:
        """Memory is what was written."""

    def paths(self, files: Sequence[LakeFile]) -> list[str]:  # noqa: ARG002 - memory has none
        return []

    def rollup(self, file: LakeFile) -> Rollup | None:
        return self._rollups.get(file.path)

    def lay(self, file: LakeFile, rollup: Rollup) -> None:
        self._rollups[file.path] = rollup

    def check(self, files: Sequence[LakeFile], *, deep: bool = False) -> None:  # noqa: ARG002 - memory needs no reading
        for file in files:
            self._table(file)

    def vacuum(self, wait_s: float = 0.0) -> list[str]:
        deadline = time.monotonic() + wait_s
        while self._readers and time.monotonic() < deadline:
            time.sleep(0.005)
        if self._readers:
            raise Busy(Path("memory/lake.readers.lock"))
        held = {file.path for file in self._state.files}
        unheld = [path for path in self._tables if path not in held]
        for path in unheld:
            del self._tables[path]
            self._rollups.pop(path, None)
        return unheld

    @contextmanager
    def writing(self, wait_s: float = 0.0) -> Iterator[None]:
        if not self._writer.acquire(timeout=wait_s):
            raise Busy(Path("memory/lake.writer.lock"))
        try:
            yield
        finally:
            self._writer.release()

    @contextmanager
    def reading(self) -> Iterator[None]:
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    def _table(self, file: LakeFile) -> pa.Table:
        try:
            return self._tables[file.path]
        except KeyError:
            raise CorruptStore(f"lake file {file.path} is missing") from None


def holds(events: pa.Table, subjects: Subjects) -> npt.NDArray[np.bool_]:
    """Which of the events are of any of the subjects."""
    found: npt.NDArray[np.bool_] = pc.is_in(events["subject"], pa.array(subjects)).to_numpy()
    return found


def describe(path: str, month: str, bucket: int, tables: Sequence[pa.Table]) -> LakeFile:
    """What a file of these events says of itself; its size is not known here."""
    bounds = [pc.min_max(table["time"].cast(pa.int64())).as_py() for table in tables if table.num_rows]
    sites = [pc.min_max(table["site"].cast(pa.string())).as_py() for table in tables if table.num_rows]
    return LakeFile(
        path,
        month,
        bucket,
        sum(table.num_rows for table in tables),
        0,
        min(each["min"] for each in bounds),
        max(each["max"] for each in bounds),
        (min(each["min"] for each in sites), max(each["max"] for each in sites)),
    )


def partition(table: pa.Table) -> Iterator[tuple[tuple[str, int], pa.Table]]:
    """Split events by (month, bucket), order kept."""
    months = table["time"].cast(pa.int64()).to_numpy().astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    buckets = pc.fill_null(pc.shift_right(table["subject"], pa.scalar(59, pa.int64())), ANONYMOUS_BUCKET).to_numpy()
    keys = months * 32 + buckets
    order = np.argsort(keys, kind="stable")
    ordered = table.take(pa.array(order))
    found, starts = np.unique(keys[order], return_index=True)
    for key, start, end in zip(found.tolist(), starts, [*starts[1:], len(order)], strict=True):
        yield (str(np.datetime64(key // 32, "M")), key % 32), ordered.slice(start, end - start)
