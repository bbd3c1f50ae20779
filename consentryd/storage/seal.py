"""Moving the log into the lake. A crash between any two steps is finished by the next run; each event stays exactly once.

Files -> one commit that names the last log row they hold -> the rows' hashes as a run for deduplication -> the rows are deleted.
"""

from __future__ import annotations

import math
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from consentryd.model.error import CorruptStore
from consentryd.storage.alias import load_aliases
from consentryd.storage.damage import CURE
from consentryd.storage.database import joined, open_database, transaction
from consentryd.storage.lake import Lake, LakeFile, LakeState
from consentryd.storage.lease import Busy
from consentryd.storage.location import DATABASE
from consentryd.storage.parquet import regroup
from consentryd.storage.rollup_keep import roll_up
from consentryd.storage.seen import add_run, merge_small_runs, seen_upto
from consentryd.storage.spill import Spill
from consentryd.storage.tail import read_log

SLICE_EVENTS: Final = 100_000
_DELETE_BYTES: Final = 512 * 1024
_DELETE_ROWS: Final = 1024
#: The first row at which a slice has enough events, null if none has.
_ENOUGH: Final = """
SELECT min(seq) FROM (SELECT seq, sum(events) OVER (ORDER BY seq) AS total FROM log WHERE seq > ? AND seq <= ?) WHERE total >= ?
"""
#: The hashes of rows, one behind the other, and the time of the last commit.
_HASHES: Final = f"SELECT {joined('hashes')}, max(committed_at) FROM log WHERE seq > ? AND seq <= ?"  # noqa: S608 - our own names
#: The last of some of the first rows: so many that they are enough bytes, or one.
_SOME: Final = """
SELECT max(seq) FROM (
    SELECT seq, sum(size) OVER (ORDER BY seq) - size AS before
    FROM (SELECT seq, length(body) + length(hashes) AS size FROM log WHERE seq <= ? ORDER BY seq LIMIT ?)
) WHERE before < ?
"""
#: Events sorted at once. Every run is cut by month and bucket, at a fixed price a piece; and more at once is more memory: 32,768 cost 20 MB.
_RUN_EVENTS: Final = 12_288


@dataclass(frozen=True, slots=True)
class SealReport:
    """What a run moved. `upto` is the last log row now in the lake, `seconds` its duration."""

    events: int
    files: int
    upto: int
    seconds: float


class Sealer:
    """Seals the region in the folder `region`. Any thread or process may run it; `Busy` tells that another one is at it.

    With a `zone`, files get their rollups by its days.
    """

    def __init__(self, region: Path, lake: Lake, *, slice_events: int = SLICE_EVENTS, zone: ZoneInfo | None = None) -> None:
        self._path = region / DATABASE
        self._lake = lake
        self._slice_events = slice_events
        self._zone = zone

    def run(self, *, wait_s: float = 0.0) -> SealReport:
        """Seal what the log holds now. Raises `Busy`, `CorruptStore`, `OSError` (disk) and `sqlite3.OperationalError`."""
        started = time.perf_counter()
        with self._lake.writing(wait_s):
            connection = open_database(self._path, "region")
            connection.execute("PRAGMA busy_timeout = 0")
            try:
                events, files, upto = self._run(connection)
                if self._zone is not None:
                    roll_up(self._lake, self._zone)
            finally:
                connection.close()
                pa.default_memory_pool().release_unused()
        return SealReport(events, files, upto, time.perf_counter() - started)

    def _run(self, connection: sqlite3.Connection) -> tuple[int, int, int]:
        self._lake.heal()
        state = self._lake.state()
        check_continuity(connection, self._path, state)
        finish(connection, state.sealed)
        remove_orphans(self._lake)
        goal = last_row(connection)
        slice_events = self._slice_of(connection, state.sealed, goal)
        events = files = 0
        while state.sealed < goal:
            upto = self._upto(connection, state.sealed, goal, slice_events)
            added = self._write(connection, state.sealed, upto)
            state = self._lake.commit(added, sealed=upto)
            finish(connection, state.sealed)
            events += sum(file.events for file in added)
            files += len(added)
        return events, files, state.sealed

    def _slice_of(self, connection: sqlite3.Connection, sealed: int, goal: int) -> int:
        """Events of a slice, so that all are of about one size: what a short one leaves is as many files."""
        asked = "SELECT coalesce(sum(events), 0) FROM log WHERE seq > ? AND seq <= ?"
        events: int = connection.execute(asked, (sealed, goal)).fetchone()[0]
        slices = max(1, round(events / self._slice_events))
        return math.ceil(events / slices)

    def _upto(self, connection: sqlite3.Connection, sealed: int, goal: int, slice_events: int) -> int:
        """The last row of the next slice."""
        (enough,) = connection.execute(_ENOUGH, (sealed, goal, slice_events)).fetchone()
        return goal if enough is None else int(enough)

    def _write(self, connection: sqlite3.Connection, sealed: int, upto: int) -> list[LakeFile]:
        aliases = load_aliases(connection)
        with closing(Spill(self._lake.scratch)) as spill:
            for table in regroup(read_log(connection, self._path, sealed, upto), _RUN_EVENTS):
                spill.add(aliases.apply(table.drop_columns("seq")))
            written = [self._lake.write(month, bucket, tables) for month, bucket, tables in spill.partitions()]
        return [file for file in written if file is not None]


def finish(connection: sqlite3.Connection, sealed: int) -> None:
    """Let the log forget rows up to `sealed`, which are in the lake: first their hashes move, then they go. Idempotent."""
    done = seen_upto(connection)
    if done < sealed:
        _move_hashes(connection, done, sealed)
    merge_small_runs(connection)
    while _delete_some(connection, sealed):
        time.sleep(0.001)  # lets a waiting commit in; SQLite's busy handler polls and would lose to a tight loop


def _move_hashes(connection: sqlite3.Connection, done: int, sealed: int) -> None:
    packed, newest_at = connection.execute(_HASHES, (done, sealed)).fetchone()
    if packed is None:
        return
    hashes = np.sort(np.frombuffer(packed, "<u8")).astype(np.uint64)
    with transaction(connection):
        add_run(connection, sealed, hashes, newest_at)


def _delete_some(connection: sqlite3.Connection, sealed: int) -> bool:
    """Delete about half a megabyte of rows, in one transaction; whether there was any."""
    (last,) = connection.execute(_SOME, (sealed, _DELETE_ROWS, _DELETE_BYTES)).fetchone()
    if last is None:
        return False
    with transaction(connection):
        connection.execute("DELETE FROM log WHERE seq <= ?", (last,))
    return True


def check_continuity(connection: sqlite3.Connection, path: Path, state: LakeState) -> None:
    """The log begins where the lake ends. If not, one of them is older than the other (a restored backup, a lost table log)."""
    check_newer(connection, path, state)
    newest = last_row(connection)  # before the rows are looked at: a commit in between is no gap
    first = connection.execute("SELECT min(seq) FROM log").fetchone()[0] or newest + 1
    if first > state.sealed + 1:
        raise CorruptStore(f"{path} begins at log row {first}, but its lake (version {state.version}) ends at {state.sealed}")


def check_newer(connection: sqlite3.Connection, path: Path, state: LakeState) -> None:
    """The database is no older than the lake, as it is where its write-ahead log was lost: rows written now would have the numbers of rows
    in the lake, and sealing would delete them for those."""
    last = last_row(connection)
    if state.sealed > last:
        raise older(path, last, state)


def older(path: Path, last: int, state: LakeState) -> CorruptStore:
    """What is to be said of a database that ends at the log row `last`, before its lake does."""
    return CorruptStore(
        f"{path} ends at log row {last}, but its lake (version {state.version}) holds rows up to {state.sealed}: "
        f"the end of the database was lost. {CURE} If there is none, `consentry repair {path.parent.name}` tells what can be done."
    )


def last_row(connection: sqlite3.Connection) -> int:
    """The number of the newest log row there ever was."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'log'").fetchone()
    return int(row[0]) if row else 0


def remove_orphans(lake: Lake) -> None:
    """Delete what no version holds, unless a reader is at work: then a later run will."""
    try:
        lake.vacuum()
    except Busy:
        return
