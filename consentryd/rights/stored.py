"""Everything that is stored in a region, read once in batches: the log's tail, then the lake's files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Final

import pyarrow as pa

from consentryd.storage.delta import DeltaLake
from consentryd.storage.lake import LakeFile
from consentryd.storage.reader import Reader

#: Told what is looked at, how much of it is done, and of how much; called about every 50 ms, and may raise to end the work.
Progress = Callable[[str, int, int], None]

BATCH_ROWS: Final = 1_024


class Place(StrEnum):
    LOG = "log"
    LAKE = "lake"
    LETTERS = "dead letters"
    FILES = "log files"


def stored_events(region: Path, columns: Sequence[str], progress: Progress) -> Iterator[tuple[Place, pa.RecordBatch]]:
    """All events in the folder `region`, those of erased people too as long as their bytes are there.

    Works while a gateway serves; no deletion waits for more than one lake file. What is merged meanwhile may come twice, never not at
    all. Memory: the log's tail, and some thousand rows. Raises `CorruptStore`, `Busy`.
    """
    lake = DeltaLake(region)
    reader = Reader(region, lake, tail_events=0)
    try:
        with reader.snapshot(restricted=False) as snapshot:
            tail, total, files = snapshot.tail.select(list(columns)), snapshot.events, snapshot.state.files
    finally:
        reader.close()
    done = 0
    for batch in tail.to_batches(BATCH_ROWS):
        yield Place.LOG, batch
        done += batch.num_rows
        progress(f"{Place.LOG} of {region.name}", done, total)
    for file, tables in _files(lake, files, columns):
        total = max(total, done + file.events)
        for batch in (batch for table in tables for batch in table.to_batches(BATCH_ROWS)):
            yield Place.LAKE, batch
            done += batch.num_rows
            progress(f"{Place.LAKE} of {region.name}", done, total)


def _files(lake: DeltaLake, first: Iterable[LakeFile], columns: Sequence[str]) -> Iterator[tuple[LakeFile, Iterator[pa.Table]]]:
    """The files `first`, each under a lease of its own; if one was merged or rewritten before its turn, whatever is new as well."""
    due, seen = {file.path for file in first}, set[str]()
    while due:
        with lake.reading():
            present = {file.path: file for file in lake.state().files}
            if not due <= present.keys():
                due = present.keys() - seen
            for path in sorted(due)[:1]:
                seen.add(path)
                yield present[path], lake.read(present[path], columns, rows=BATCH_ROWS)
            due = due - seen
