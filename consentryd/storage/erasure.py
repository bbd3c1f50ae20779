"""Taking subjects' events out of the lake, and what SQLite keeps of deleted rows out of its files. Each step may be repeated."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from consentryd.model.identity import bucket_of
from consentryd.storage.lake import Change, Lake, LakeFile, holds
from consentryd.storage.lease import Busy

_SCAN_ROWS: Final = 65_536
_POLL_S: Final = 0.02
_ABREAST: Final = 2  # files rewritten at once


class Rewritten(NamedTuple):
    """What a rewrite did: files that held the subjects, files in their place, events in both."""

    removed: int
    written: int
    events_before: int
    events_after: int


def candidates(lake: Lake, subjects: Collection[int]) -> list[LakeFile]:
    """The files of the subjects' buckets: none other can hold them."""
    buckets = {bucket_of(subject) for subject in subjects}
    return [file for file in lake.state().files if file.bucket in buckets]


def count_events(lake: Lake, subjects: Collection[int]) -> dict[str, Counter[int]]:
    """Events of each subject in each file that holds any, by the file's path. Raises `CorruptStore`."""
    wanted = _sorted(subjects)
    found = {}
    for file in candidates(lake, subjects):
        counts: Counter[int] = Counter()
        for table in lake.read(file, ["subject"], rows=_SCAN_ROWS):
            counts.update(table["subject"].filter(pa.array(holds(table, wanted))).to_pylist())
        if counts:
            found[file.path] = counts
    return found


def rewrite_without(
    lake: Lake, subjects: Collection[int], progress: Callable[[int, int], None] = lambda _done, _of: None
) -> Rewritten:
    """Replace the files that hold the subjects, each once, by files that do not, in one commit. Call within `writing()`.

    `progress` is told files done and files to do. Other people's events keep their order and every value.
    """
    wanted = _sorted(subjects)
    return rewrite(lake, subjects, lambda table: _without(table, wanted), progress)


def rewrite(
    lake: Lake,
    subjects: Collection[int],
    change: Change,
    progress: Callable[[int, int], None] = lambda _done, _of: None,
) -> Rewritten:
    """Pass every file that holds the subjects through `change`, which several threads may call, in one commit. Call within `writing()`."""
    lake.heal()
    wanted, removed, written = _sorted(subjects), [], []
    near = candidates(lake, subjects)
    with ThreadPoolExecutor(_ABREAST, "rewrite") as pool:
        for done, (file, fresh) in enumerate(
            zip(near, pool.map(lambda each: lake.rewrite(each, wanted, change), near), strict=True)
        ):
            progress(done, len(near))
            if fresh != file:
                removed.append(file)
                written += [] if fresh is None else [fresh]
    if removed:
        lake.commit(written, removed)
    progress(len(near), len(near))
    before, after = (sum(file.events for file in files) for files in (removed, written))
    return Rewritten(len(removed), len(written), before, after)


def empty_wal(connection: sqlite3.Connection, wait_s: float) -> None:
    """Move all of the WAL into the database and cut it to nothing. Raises `Busy` if a reader holds it for longer than that."""
    path = connection.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()[0]
    deadline = time.monotonic() + wait_s
    while True:
        busy, *_ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return
        if time.monotonic() >= deadline:
            raise Busy(Path(path))
        time.sleep(_POLL_S)


def _without(table: pa.Table, wanted: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.Table:
    gone = holds(table, wanted)
    return table.filter(pa.array(~gone)) if gone.any() else table


def _sorted(subjects: Collection[int]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.array(sorted(subjects), np.int64)
