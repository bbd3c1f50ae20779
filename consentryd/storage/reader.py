"""One consistent view of a region: every acknowledged event, each once, whether it is in the log or in the lake already."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.model.error import CorruptStore
from consentryd.model.identity import bucket_of
from consentryd.storage.alias import Aliases, load_aliases
from consentryd.storage.damage import explain
from consentryd.storage.database import open_database, roll_back
from consentryd.storage.duck import duck
from consentryd.storage.extent import Extent
from consentryd.storage.lake import ANONYMOUS_BUCKET, Lake, LakeFile, LakeState
from consentryd.storage.location import DATABASE
from consentryd.storage.pool import Pool
from consentryd.storage.promoted import events_sql
from consentryd.storage.rollup import Rollup
from consentryd.storage.schema import EVENT_SCHEMA
from consentryd.storage.seal import check_continuity, last_row, older
from consentryd.storage.stance import Stances, read_stances
from consentryd.storage.tail import Tail
from consentryd.storage.tombstone import Hidden, load_hidden
from consentryd.storage.withdrawal import Withdrawal, load_withdrawals, to_table

if TYPE_CHECKING:
    import duckdb

TAIL_EVENTS: Final = 250_000
_BATCH_ROWS: Final = 8_192
_ATTEMPTS: Final = 5  # a commit and its seal may fall between fixing the log and reading the lake's version


class Reader:
    """Opens snapshots of the region in the folder `region`. May be shared by threads.

    The log's tail is converted once per process and kept, at most `tail_events` of it. `memory` and `threads` are DuckDB's, a snapshot.
    """

    def __init__(
        self, region: Path, lake: Lake, *, tail_events: int = TAIL_EVENTS, memory: str = "256MB", threads: int = 2
    ) -> None:
        self._path = region / DATABASE
        self._lake = lake
        self._tail = Tail(self._path, tail_events)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._aliases: tuple[Any, Aliases] = ((0, None, 0.0), Aliases({}))
        config = {
            "memory_limit": memory,
            "threads": threads,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        self._pool = Pool(config, lake.scratch)

    def snapshot(self, *, restricted: bool = True, alone: bool = False, subjects: Collection[int] | None = None) -> Snapshot:
        """A view of now; use it in a `with` block and briefly: its files cannot be deleted meanwhile. Raises `CorruptStore`, `Busy`.

        `alone`: its DuckDB serves nobody before or after, so that it can be locked.

        Erased subjects are out of it, and unless `restricted` is False (for the person's own export) those whose processing is
        restricted. With `subjects` (merged ones too) the log's tail holds their events only: enough for `of_subjects`, and quicker.
        """
        with ExitStack() as stack:
            stack.enter_context(self._lake.reading())
            with self._lock:
                state, tail, aliases, hidden, withdrawn = self._look(restricted=restricted, subjects=subjects)
            self._lake.check(state.files)
            return Snapshot(
                self._lake,
                state,
                tail,
                aliases,
                hidden,
                withdrawn,
                self._pool.alone if alone else self._pool.cursor,
                stack.pop_all(),
                self._path,
            )

    def release(self) -> None:
        """Let go of the converted tail; worth calling after a seal, when it is in the lake (about 650 bytes an event)."""
        with self._lock:
            self._tail.clear()

    def close(self) -> None:
        self._pool.close()
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _look(
        self, *, restricted: bool, subjects: Collection[int] | None
    ) -> tuple[LakeState, pa.Table, Aliases, Hidden, list[Withdrawal]]:
        """Fix the log first, then the lake's version, then read the rows of that log which the version lacks.

        Rows sealed in between are in both; those deleted before the log was fixed are in the version, which is younger.
        """
        if self._connection is None:
            self._connection = open_database(self._path, "region", readonly=True)
        connection = self._connection
        for _ in range(_ATTEMPTS):
            connection.execute("BEGIN")
            try:
                goal = last_row(connection)
                state = self._lake.state()
                if state.sealed <= goal:
                    check_continuity(connection, self._path, state)
                    sealed = state.sealed
                    tail = (
                        self._tail.read(connection, sealed, goal)
                        if subjects is None
                        else self._tail.read_of(connection, sealed, goal, subjects)
                    )
                    hidden = load_hidden(connection, restricted=restricted)
                    withdrawn = load_withdrawals(connection) if restricted else []
                    return state, tail.drop_columns("seq"), self._known_aliases(connection), hidden, withdrawn
            finally:
                roll_back(connection)
        raise older(self._path, goal, state)

    def _known_aliases(self, connection: sqlite3.Connection) -> Aliases:
        mark = connection.execute("SELECT count(*), max(created_at), total(becomes) FROM alias").fetchone()
        if mark != self._aliases[0]:
            self._aliases = (mark, load_aliases(connection))
        return self._aliases[1]


class Snapshot:
    """What `Reader.snapshot` gives. `files` and `tail` are as stored; only `relation`, and what is made from it, resolves merged subjects,
    and leaves out hidden ones and events of withdrawn purposes."""

    def __init__(
        self,
        lake: Lake,
        state: LakeState,
        tail: pa.Table,
        aliases: Aliases,
        hidden: Hidden,
        withdrawn: Sequence[Withdrawal],
        connect: Callable[[], AbstractContextManager[duckdb.DuckDBPyConnection]],
        lease: ExitStack,
        path: Path,
    ) -> None:
        self.state = state
        self.tail = tail
        self.aliases = aliases
        self.hidden = hidden
        self.withdrawn = withdrawn
        self._lake = lake
        self._connect = connect
        self._cursors = threading.Lock()
        self._stack = lease
        self._path = path
        self._connection: duckdb.DuckDBPyConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    @property
    def events(self) -> int:
        """How many events there are, hidden ones too."""
        return sum(file.events for file in self.state.files) + int(self.tail.num_rows)

    @property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection of the snapshot's own. What it spills stays within the region and goes when the snapshot is closed."""
        if self._connection is None:
            self._connection = self._stack.enter_context(self._connect())
        return self._connection

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Another connection to the same DuckDB, for a thread of its own."""
        with self._cursors:
            connection = self.connection.cursor()
        with connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection

    def stances(self, purpose: str) -> Stances:
        """Who refuses a purpose by now and who grants it; younger than the snapshot's events, so that no refusal is missed."""
        with closing(open_database(self._path, "region", readonly=True)) as connection:
            return read_stances(connection, purpose, self.aliases)

    def lock(self) -> None:
        """From now on the connection reads no file but this snapshot's, reaches nothing else, and keeps its settings: for others' SQL.

        Of a snapshot that was taken `alone`.
        """
        allowed = ", ".join("'" + path.replace("'", "''") + "'" for path in self._lake.paths(self.state.files))
        self.connection.execute(f"SET allowed_paths = [{allowed}]")
        for setting in ("python_enable_replacements = false", "enable_external_access = false", "lock_configuration = true"):
            self.connection.execute(f"SET {setting}")

    def files(self, *, since: int | None = None, until: int | None = None, bucket: int | None = None) -> tuple[LakeFile, ...]:
        """Lake files that may hold events with since <= time < until (UTC microseconds) of subjects of `bucket`."""
        buckets = None if bucket is None else {bucket, *self._buckets_merged_into(bucket)}
        return tuple(
            file
            for file in self.state.files
            if (since is None or file.last >= since)
            and (until is None or file.first < until)
            and (buckets is None or file.bucket in buckets)
        )

    def promoted(self, files: Sequence[LakeFile]) -> frozenset[str]:
        """The properties, by pointer, of which any of the files has columns."""
        return frozenset().union(*map(self._lake.promoted, files))

    def paths(self, files: Sequence[LakeFile]) -> list[str]:
        """Where files are on disk, which are what was written; nothing of a lake in memory. Raises `CorruptStore`."""
        self._lake.verify(files)
        return self._lake.paths(files)

    def rollup(self, file: LakeFile) -> Rollup | None:
        """What one of the files says about the days of its subjects, merged and hidden ones as stored; not for longer than the snapshot."""
        return self._lake.rollup(file)

    def relation(
        self,
        *,
        site: str | None = None,
        since: int | None = None,
        until: int | None = None,
        bucket: int | None = None,
        files: Sequence[LakeFile] | None = None,
        tail: bool = True,
        promoted: Sequence[str] = (),
        lane: str | None = None,
        purposes: Sequence[str] | None = None,
    ) -> duckdb.DuckDBPyRelation:
        """Events as a DuckDB relation of the columns of `EVENT_SCHEMA`, merged subjects resolved, hidden ones out; filters as in `files`.

        A single file with no tail and no aliases streams in its order, (subject, time, event_id); otherwise there is no order. `files` are
        read in place of all; without `tail` the log's tail is left out. Columns of the properties `promoted`, by pointer, come last.
        """
        read = self.files(since=since, until=until, bucket=bucket) if files is None else files
        source = self._within(read, Extent(site, since, until, lane, purposes), promoted, tail=tail)
        visible = self._seen(source)
        return visible if bucket is None else visible.filter(_bucket_condition(bucket))

    def relation_of(
        self, subject: int, columns: Collection[str], *, site: str, since: int | None = None, until: int | None = None
    ) -> duckdb.DuckDBPyRelation:
        """The same, of one subject: found where it stands. Only these columns; `event_id` is null unless it settles an order."""
        subjects = [subject, *self.aliases.subjects[self.aliases.becomes == subject].tolist()]
        buckets = {bucket_of(each) for each in subjects}
        files = [file for file in self.files(since=since, until=until) if file.bucket in buckets]
        tail = self.tail.filter(pc.is_in(self.tail["subject"], pa.array(subjects, pa.int64())))
        wanted = [name for name in EVENT_SCHEMA.names if name in columns and name != "event_id"]

        def picked(names: Sequence[str]) -> pa.Table:
            return pa.concat_tables([*(self._lake.pick(file, subjects, names) for file in files), tail.select(list(names))])

        found = picked(wanted)
        if "event_id" in columns:
            settles = len(found["time"].unique()) < found.num_rows
            ids = picked(["event_id"])["event_id"] if settles else pa.nulls(found.num_rows, pa.string())
            found = found.append_column(EVENT_SCHEMA.field("event_id"), ids)
        return self._seen(self.connection.from_arrow(_of_extent(found, site, since, until)))

    def _seen(self, source: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        """Merged subjects resolved, hidden and withdrawn ones out."""
        resolved = self._resolve(source) if len(self.aliases) else source
        visible = self._visible(resolved) if len(self.hidden) else resolved
        return self._not_withdrawn(visible) if self.withdrawn else visible

    def query(self, sql: str, parameters: Sequence[Any] = (), **filters: Any) -> pa.Table:
        """Run SQL over the view `events` (of `relation(**filters)`); the result as Arrow. Raises `CorruptStore` if a file is at fault."""
        self.relation(**filters).create_view("events", replace=True)
        try:
            return self.connection.sql(sql, params=list(parameters)).to_arrow_table()
        except duck().IOException:
            self._lake.check(self.files(), deep=True)
            raise

    def newest(self, count: int, *, site: str | None = None) -> pa.Table:
        """The last events by `received_at`, newest first; of those that came together the last by their own time."""
        order = "received_at DESC, time DESC, event_id"
        return self.query(f"SELECT * FROM events ORDER BY {order} LIMIT {int(count)}", site=site)  # noqa: S608

    def batches(self, rows: int = _BATCH_ROWS, **filters: Any) -> Iterator[pa.RecordBatch]:
        """All events of `relation(**filters)`, some thousands at a time, in no order."""
        try:
            yield from self.relation(**filters).to_arrow_reader(rows)
        except duck().IOException:
            self._lake.check(self.files(), deep=True)
            raise

    def of_subjects(self, subjects: Collection[int], rows: int = _BATCH_ROWS) -> Iterator[pa.RecordBatch]:
        """All events of these subjects (merged ones are to be named too) in order of time, `rows` at a time; hidden ones left out.

        Found where they stand, without DuckDB. A month is put in order at a time, so that memory bounds a person's month, not their years.
        """
        seen = sorted(set(subjects).difference(self.hidden.subjects.tolist()))
        buckets = {bucket_of(subject) for subject in seen}
        files = [file for file in self.state.files if file.bucket in buckets]
        tail = self.tail.filter(pc.is_in(self.tail["subject"], pa.array(seen, pa.int64())))
        for start, end in _months([*((file.first, file.last) for file in files), *_span(tail)]):
            near = [file for file in files if file.last >= start and file.first < end]
            events = pa.concat_tables([*(self._lake.pick(file, seen, EVENT_SCHEMA.names) for file in near), tail])
            times = events["time"].cast(pa.int64())
            month = events.filter(pc.and_(pc.greater_equal(times, start), pc.less(times, end)))
            yield from month.sort_by([("time", "ascending"), ("event_id", "ascending")]).combine_chunks().to_batches(rows)

    def _within(
        self,
        files: Sequence[LakeFile],
        extent: Extent,
        promoted: Sequence[str],
        *,
        tail: bool,
    ) -> duckdb.DuckDBPyRelation:
        """Events of the extent. Files that hold no others are not asked row by row, which would take as long as to count them."""
        conditions = list(extent.conditions())
        whole = [file for file in files if extent.holds_all(file, self._lake.constants(file))] if conditions else list(files)
        if len(whole) == len(files) and files and not (tail and self.tail.num_rows):
            return self._union(whole, promoted, tail=False)
        rest = self._union([file for file in files if file not in whole], promoted, tail=tail)
        found = rest.filter(" AND ".join(conditions)) if conditions else rest
        return self._union(whole, promoted, tail=False).union(found) if whole else found

    def _union(self, files: Sequence[LakeFile], promoted: Sequence[str] = (), *, tail: bool = True) -> duckdb.DuckDBPyRelation:
        parts = [self._lake.scan(self.connection, files, promoted)] if files else []
        if (tail and self.tail.num_rows) or not parts:
            parts.append(self.connection.from_arrow(self.tail).project(events_sql(promoted, ())))
        return parts[0] if len(parts) == 1 else parts[0].union(parts[1])

    def _resolve(self, source: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        merged = self.connection.from_arrow(self.aliases.to_table()).set_alias("merged")
        return source.set_alias("event").join(merged, "event.subject = merged.subject", how="left").project(_RESOLVED)

    def _visible(self, source: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        hidden = self.connection.from_arrow(self.hidden.to_table()).set_alias("hidden")
        return source.set_alias("event").join(hidden, "event.subject = hidden.subject", how="anti").project("event.*")

    def _not_withdrawn(self, source: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
        gone = self.connection.from_arrow(to_table(self.withdrawn)).set_alias("gone")
        meant = "event.subject = gone.subject AND event.purpose = gone.purpose AND event.received_at <= gone.until"
        return source.set_alias("event").join(gone, meant, how="anti").project("event.*")

    def _buckets_merged_into(self, bucket: int) -> set[int]:
        if bucket == ANONYMOUS_BUCKET:
            return set()
        inside = self.aliases.becomes >> 59 == bucket
        return {bucket_of(int(subject)) for subject in self.aliases.subjects[inside]}


_RESOLVED: Final = "event.* REPLACE (coalesce(merged.becomes, event.subject) AS subject)"


def _of_extent(events: pa.Table, site: str, since: int | None, until: int | None) -> pa.Table:
    """Events of a site with since <= time < until. Of few events this is quicker than a condition that DuckDB binds first."""
    times = events["time"].cast(pa.int64())
    kept = pc.equal(events["site"], site)
    if since is not None:
        kept = pc.and_(kept, pc.greater_equal(times, since))
    if until is not None:
        kept = pc.and_(kept, pc.less(times, until))
    return events.filter(kept)


def _span(events: pa.Table) -> list[tuple[int, int]]:
    """The first and the last of the times, UTC microseconds; nothing if there are no events."""
    if not events.num_rows:
        return []
    bounds = pc.min_max(events["time"].cast(pa.int64())).as_py()
    return [(bounds["min"], bounds["max"])]


def _months(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The months, [start, end) in UTC microseconds and in order, that cover the spans."""
    months: set[int] = set()
    for span in spans:
        first, last = np.array(span, "datetime64[us]").astype("datetime64[M]").astype(np.int64).tolist()
        months.update(range(first, last + 1))
    for month in sorted(months):
        start, end = np.array([month, month + 1], "datetime64[M]").astype("datetime64[us]").astype(np.int64).tolist()
        yield start, end


def _bucket_condition(bucket: int) -> str:
    return "subject IS NULL" if bucket == ANONYMOUS_BUCKET else f"subject >> 59 = {int(bucket)}"


def verify(region: Path, lake: Lake, *, deep: bool = False) -> None:
    """Log and lake fit together and every file is there with its size; `deep` reads every event. Raises `CorruptStore`."""
    reader = Reader(region, lake, tail_events=0)
    try:
        with reader.snapshot() as snapshot:
            lake.check(snapshot.state.files, deep=deep)
    except sqlite3.DatabaseError as error:
        raise CorruptStore(explain(error, [region / DATABASE])) from error
    finally:
        reader.close()
