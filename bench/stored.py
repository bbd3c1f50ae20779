"""What a store holds, read back from its files beside or after the gateway."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from consentryd.storage.delta import DeltaLake
from consentryd.storage.reader import Reader, Snapshot


class Stored(NamedTuple):
    """Rows, distinct event ids among them, distinct subjects."""

    events: int = 0
    ids: int = 0
    subjects: int = 0


def snapshots(data: Path, memory: str = "256MB") -> Iterator[Snapshot]:
    """One consistent view of each region under a data directory."""
    for database in sorted(data.glob("*/region.db")):
        reader = Reader(database.parent, DeltaLake(database.parent), memory=memory)
        try:
            with reader.snapshot() as snapshot:
                yield snapshot
        finally:
            reader.close()


def count(data: Path) -> Stored:
    """Over all regions. Ids are told apart by a 64-bit hash: of twenty million two agree once in a hundred thousand runs."""
    total = Stored()
    for snapshot in snapshots(data, "2GB"):
        row = snapshot.query("SELECT count(*), count(DISTINCT hash(event_id)), count(DISTINCT subject) FROM events")
        total = Stored(*(before + int(column[0].as_py()) for before, column in zip(total, row.columns, strict=True)))
    return total
