"""One region's store: a folder with its database, its lake and its keys. Nothing of a region is ever written under another's folder."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar

from consentryd.config.settings import Storage
from consentryd.model.clock import Clock
from consentryd.model.error import CorruptStore
from consentryd.storage import rejected, seen
from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.index import NewSubject
from consentryd.storage.keys import RegionKeys
from consentryd.storage.lake import EMPTY, LakeState
from consentryd.storage.location import DATABASE
from consentryd.storage.log import SqliteLog
from consentryd.storage.rejected import Letter
from consentryd.storage.seal import check_newer
from consentryd.storage.signing import SigningKeys
from consentryd.storage.standing import Standings
from consentryd.storage.statistic import Count, read_counts
from consentryd.storage.subject_key import SqliteSubjectKeys

T = TypeVar("T")

_DEPTH: Final = "SELECT coalesce(sum(events), 0), coalesce(min(committed_at), 0) FROM log"


class RegionStore:
    """The parts of a region that the gateway writes and asks while it serves."""

    def __init__(self, root: Path, keys: RegionKeys, settings: Storage, clock: Clock, new_subject: NewSubject) -> None:
        self.name = root.name
        self.root = root
        self.keys = keys
        self.subject_keys = SqliteSubjectKeys(root / DATABASE, keys.subject)
        self.log = SqliteLog(root / DATABASE, settings, clock, new_subject, self.subject_keys.flush)
        self.signing = SigningKeys(root.parent, root.name, keys.signing, clock)
        self._clock = clock
        self._reader: sqlite3.Connection | None = None
        self._standings: Standings | None = None
        #: When an event last came before the store was opened, as far as it tells, UTC microseconds; 0 if none did.
        self.newest_at = 0

    def open(self) -> None:
        """Raises `CorruptStore`, `ConfigError`, `sqlite3.OperationalError`."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.log.open()
        self._reader = open_database(self.root / DATABASE, "region", readonly=True)
        self._standings = Standings(self._reader)
        lake = self._lake()
        check_newer(self._reader, self.root / DATABASE, lake)
        (logged,) = self._read("SELECT max(committed_at) FROM log") or (None,)
        self.newest_at = max(logged or 0, seen.newest_at(self._reader), *(file.last for file in lake.files))

    def _lake(self) -> LakeState:
        """What it holds; a table log that cannot be read is no reason to take no events."""
        try:
            return DeltaLake(self.root).state()
        except CorruptStore:
            return EMPTY

    def close(self) -> None:
        """Commit what waits, then close."""
        self.log.close()
        self.subject_keys.close()
        if self._reader is not None:
            self._reader.close()
            self._reader = self._standings = None

    @property
    def standings(self) -> Standings:
        """Where identities stand; open stores only."""
        assert self._standings is not None
        return self._standings

    @property
    def reader(self) -> sqlite3.Connection:
        """The read-only connection; open stores only. Statements short enough for the event loop."""
        assert self._reader is not None
        return self._reader

    def since(self, digest: bytes) -> int | None:
        """When the subject index came to know this identity, UTC microseconds; None if it does not: one lookup by primary key, fit for
        the event loop."""
        row = self._read("SELECT created_at FROM identity WHERE digest = ?", digest)
        return None if row is None else int(row[0])

    async def consent_counts(self, site: str, since: str, until: str) -> list[Count]:
        """How people chose, by day: since <= day <= until, as `YYYY-MM-DD`."""
        return await self._read_aside(read_counts, site, since, until)

    def depth(self) -> tuple[int, int]:
        """Events in the log, and the age in microseconds of the oldest log row. For housekeeping, which has a thread of its own."""
        with closing(open_database(self.root / DATABASE, "region", readonly=True)) as connection:
            events, oldest = connection.execute(_DEPTH).fetchone()
        return events, max(0, self._clock.now() - oldest) if oldest else 0

    async def newest_rejected(self, limit: int, site: str | None) -> list[Letter]:
        """The last dead letters, oldest of them first."""
        return await self._read_aside(rejected.newest, limit, site)

    async def _read_aside(self, read: Callable[..., T], *parameters: object) -> T:
        """For what takes longer than the event loop may wait: a connection of its own, for each serves one thread at a time."""

        def run() -> T:
            with closing(open_database(self.root / DATABASE, "region", readonly=True)) as connection:
                return read(connection, *parameters)

        return await asyncio.to_thread(run)

    def _read(self, statement: str, *parameters: object) -> tuple[int, ...] | None:
        assert self._reader is not None
        row: tuple[int, ...] | None = self._reader.execute(statement, parameters).fetchone()
        return row
