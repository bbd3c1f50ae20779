"""What a store holds, read back from its files beside or after the gateway."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from consentryd.storage.database import open_database, transaction
from consentryd.storage.delta import DeltaLake
from consentryd.storage.newcomer import Newcomers
from consentryd.storage.reader import Reader, Snapshot

_AT_ONCE: Final = 100_000
_DIGEST: Final = 16


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


def let_know(region: Path, people: int) -> None:
    """Let a region that nobody serves know so many people who never come: its index is as large as if they had come in groups of 100,000."""
    connection, newcomers = open_database(region / "region.db", "region"), Newcomers()
    connection.execute("PRAGMA cache_size = -1000000")
    for start in range(0, people, _AT_ONCE):
        rows = ((secrets.token_bytes(_DIGEST), newcomers.draw()) for _ in range(min(_AT_ONCE, people - start)))
        with transaction(connection):
            connection.executemany("INSERT INTO identity (digest, subject, known, created_at) VALUES (?, ?, 0, 0)", rows)
    connection.close()
