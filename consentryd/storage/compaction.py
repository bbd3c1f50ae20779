"""Merging small files. Each (month, bucket) ends up with few sorted files; merged subjects move to where they now belong."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from consentryd.storage.alias import Aliases, load_aliases
from consentryd.storage.coded import UNCODED
from consentryd.storage.database import open_database
from consentryd.storage.lake import ROW_GROUP_ROWS, Lake, LakeFile
from consentryd.storage.lease import Busy
from consentryd.storage.location import DATABASE
from consentryd.storage.order import Source, merge
from consentryd.storage.parquet import CODED
from consentryd.storage.rollup_keep import roll_up
from consentryd.storage.schema import EVENT_SCHEMA
from consentryd.storage.spill import Spill

#: So many large files come together before they are merged in a hurry.
MOST_FILES: Final = 32
#: A file that is read takes 2 MB: merging 32 at once took 122 MB where 12 take 80, and twice the work an event.
AT_ONCE: Final = 12
#: Files of so many events are read no faster for being merged, but for what it takes to open each.
LARGE: Final = ROW_GROUP_ROWS // 2
#: Twice as many take a tenth less time and 18 MB more.
_MERGE_ROWS: Final = 16_384
#: Their codes are a third of what the texts are.
_CODED: Final = [name for name in CODED if name not in UNCODED]
_DELETION_WAIT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class CompactionReport:
    """What a run merged: files before and after, events rewritten, bytes before and after."""

    merged: int
    written: int
    events: int
    bytes_before: int
    bytes_after: int
    seconds: float


def compact(
    region: Path,
    lake: Lake,
    *,
    files: int = 8,
    everything: bool = False,
    wait_s: float = 0.0,
    zone: ZoneInfo | None = None,
    enough: Callable[[], bool] = lambda: False,
    hurried: bool = False,
) -> CompactionReport:
    """Merge where `files` files of about one size came together; `everything` leaves one file per month and bucket.

    Each of these is merged by a commit of its own, until there is `enough` for this time. With a `zone`, files get their rollups by its
    days. Where it is `hurried`, what can wait does: large files are merged where `MOST_FILES` came together, and small ones, which soon will
    be, get no rollup. Raises `Busy`, `CorruptStore`, `OSError`.
    """
    started = time.perf_counter()
    merged: list[LakeFile] = []
    written: list[LakeFile] = []
    with lake.writing(wait_s):
        lake.heal()
        aliases = _aliases(region)
        for group in choose(lake.state().files, 2 if everything else files, everything=everything, hurried=hurried):
            fresh = _rewrite(lake, group, aliases)
            lake.commit(fresh, group)
            merged += group
            written += fresh
            if enough():
                break
        if merged:
            _clean(lake)
            if zone is not None:
                roll_up(lake, zone, least=LARGE if hurried else 0)
    pa.default_memory_pool().release_unused()
    before, after = (sum(file.size for file in side) for side in (merged, written))
    events = sum(file.events for file in merged)
    return CompactionReport(len(merged), len(written), events, before, after, time.perf_counter() - started)


def choose(files: Iterable[LakeFile], limit: int, *, everything: bool = False, hurried: bool = False) -> Iterator[list[LakeFile]]:
    """Groups of files to merge, each of one month and bucket.

    Files are of one level when their events have the same power of `limit`; a level of `limit` files is merged with all smaller ones,
    so an event is rewritten about log(events) times and not with every seal. Of more than `AT_ONCE` files (or `limit`) the smallest are
    merged, and the others with what comes next.
    """
    groups: dict[tuple[str, int], list[LakeFile]] = defaultdict(list)
    for file in files:
        groups[file.month, file.bucket].append(file)
    large = max(limit, MOST_FILES) if hurried else limit
    for _, group in sorted(groups.items()):
        by_size = sorted(group, key=lambda file: file.events)
        count = len(by_size) if everything else min(_ripe(by_size, limit, large), max(limit, AT_ONCE))
        if count >= limit:
            yield by_size[:count]


def _ripe(by_size: Sequence[LakeFile], limit: int, large: int) -> int:
    """How many of the smallest files are worth merging, where a level of large ones is full with `large` of them."""
    levels = [_level(file.events, limit) for file in by_size]
    full = [level for level in set(levels) if levels.count(level) >= (large if limit**level >= LARGE else limit)]
    return sum(level <= max(full) for level in levels) if full else 0


def _level(events: int, limit: int) -> int:
    level = 0
    while events >= limit:
        events //= limit
        level += 1
    return level


def _rewrite(lake: Lake, group: Sequence[LakeFile], aliases: Aliases) -> list[LakeFile]:
    """One file of all events that stay, and small ones of those whose subject is another one now."""
    total = sum(file.events for file in group)
    with closing(Spill(lake.scratch)) as moved:
        sources = [
            Source(_staying(lake, file, max(512, _MERGE_ROWS * file.events // total), aliases, moved), file.events)
            for file in group
        ]
        kept = lake.write(group[0].month, group[0].bucket, merge(sources))
        others = [lake.write(month, bucket, tables) for month, bucket, tables in moved.partitions()]
    return [file for file in [kept, *others] if file is not None]


def _staying(lake: Lake, file: LakeFile, rows: int, aliases: Aliases, moved: Spill) -> Iterator[pa.Table]:
    for table in lake.read(file, rows=rows, coded=_CODED):
        merged = aliases.mask(table)
        if merged.any():
            moved.add(aliases.apply(table.filter(pa.array(merged)).cast(EVENT_SCHEMA)))
            yield table.filter(pc.invert(pa.array(merged)))
        else:
            yield table


def _aliases(region: Path) -> Aliases:
    connection = open_database(region / DATABASE, "region")
    try:
        return load_aliases(connection)
    finally:
        connection.close()


def _clean(lake: Lake) -> None:
    """Delete the merged files once no reader uses them; if readers stay, a later run will."""
    try:
        lake.vacuum(_DELETION_WAIT_S)
    except Busy:
        return
