"""The durable log of a region: group commit, deduplication and identity in one transaction, fsynced before the answer.

One thread owns the write connection. Requests hand it their events; it takes all that wait, commits them together and answers each.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

from consentryd.config.settings import Storage
from consentryd.model.clock import DAY, Clock
from consentryd.model.decision import Lane
from consentryd.model.error import Unavailable
from consentryd.model.event import POSITION, CleanEvent
from consentryd.model.outcome import Outcome, Reason
from consentryd.storage import block, rejected
from consentryd.storage.database import open_database
from consentryd.storage.dedup import Dedup, as_hashes
from consentryd.storage.identity import SqliteIdentityTable
from consentryd.storage.index import NewSubject, SubjectIndex
from consentryd.storage.rejected import Letter

Verdict = Outcome | Reason

_LANE: Final = POSITION["lane"]
_SUBJECT: Final = POSITION["subject"]
_BROKEN: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY})
_TRIM_EVERY: Final = 256
_CHECK_DISK_EVERY_US: Final = 1_000_000


class Log(Protocol):
    """Where accepted events become durable."""

    async def append(self, events: Sequence[CleanEvent]) -> list[Verdict]:
        """Store events; a verdict for each, in order. Returns after fsync. Raises `Unavailable` with nothing kept."""
        ...

    def reject(self, letters: Sequence[Letter]) -> None:
        """Keep dead letters with the next commit; they may be lost in a crash."""
        ...

    async def check_writable(self) -> str | None:
        """None if a commit would succeed now, else what is wrong."""
        ...


@dataclass(slots=True)
class CommitStats:
    """What the committing thread did, for metrics. Durations in seconds."""

    commits: int = 0
    events: int = 0
    failures: int = 0
    observe_commit: Callable[[float], None] = field(default=lambda _seconds: None)


@dataclass(slots=True)
class _Request:
    events: Sequence[CleanEvent]
    answer: asyncio.Future[list[Verdict]] | None
    loop: asyncio.AbstractEventLoop | None
    letters: Sequence[Letter] = ()

    def resolve(self, verdicts: list[Verdict]) -> None:
        self._call(lambda answer: answer.set_result(verdicts))

    def fail(self, error: Exception) -> None:
        self._call(lambda answer: answer.set_exception(error))

    def _call(self, act: Callable[[asyncio.Future[list[Verdict]]], None]) -> None:
        answer, loop = self.answer, self.loop
        if answer is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(lambda: None if answer.done() else act(answer))


class SqliteLog:
    """The log in `region.db`."""

    def __init__(self, path: Path, settings: Storage, clock: Clock, new_subject: NewSubject) -> None:
        self._path = path
        self._settings = settings
        self._clock = clock
        self._new_subject = new_subject
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._pending = 0
        self._thread: threading.Thread | None = None
        self._writer: _Writer | None = None
        self.stats = CommitStats()

    def open(self) -> None:
        """Open the database and start the committing thread. Raises `CorruptStore`, `ConfigError`, `sqlite3.OperationalError`."""
        self._writer = _Writer(self._path, self._settings, self._clock, self._new_subject)
        self._thread = threading.Thread(target=self._run, name=f"log-{self._path.parent.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Commit what waits and stop."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

    @property
    def pending(self) -> int:
        """Events that wait for a commit."""
        return self._pending

    async def append(self, events: Sequence[CleanEvent]) -> list[Verdict]:
        if self._thread is None or not self._thread.is_alive():
            raise Unavailable("store_unavailable", "The store is not open.")
        if self._pending + len(events) > self._settings.pending_events:
            raise Unavailable("overloaded", "More events wait than the store can take in time.", retry_after=1)
        loop = asyncio.get_running_loop()
        request = _Request(events, loop.create_future(), loop)
        self._pending += len(events)
        self._queue.put(request)
        try:
            assert request.answer is not None
            return await request.answer
        finally:
            self._pending -= len(events)

    def reject(self, letters: Sequence[Letter]) -> None:
        if letters and self._settings.rejected_events:
            self._queue.put(_Request((), None, None, letters))

    async def check_writable(self) -> str | None:
        try:
            await self.append(())
        except Unavailable as error:
            return error.message
        return None

    def _run(self) -> None:
        assert self._writer is not None
        last_commit = 0
        while (first := self._queue.get()) is not None:
            group = [first]
            stopping = self._gather(group, last_commit)
            last_commit = self._clock.now()
            self._commit(group)
            if stopping:
                break
        self._writer.close()

    def _gather(self, group: list[_Request], last_commit: int) -> bool:
        """Add what else waits, and wait for company until `commit_interval_ms` after the last commit. True when asked to stop."""
        deadline = last_commit + self._settings.commit_interval_ms * 1000
        events = len(group[0].events)
        while events < self._settings.commit_events:
            left = (deadline - self._clock.now()) / 1e6
            try:
                more = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                return False
            if more is None:
                return True
            group.append(more)
            events += len(more.events)
        return False

    def _commit(self, group: list[_Request]) -> None:
        assert self._writer is not None
        started = self._clock.now()
        try:
            verdicts = self._writer.commit(
                [request.events for request in group], list(chain.from_iterable(r.letters for r in group))
            )
        except Exception as error:  # noqa: BLE001 - whatever failed, nothing was kept and every sender must hear of it
            self.stats.failures += 1
            failure = error if isinstance(error, Unavailable) else Unavailable("store_unavailable", "The store could not commit.")
            failure.__cause__ = None
            for request in group:
                request.fail(failure)
            return
        self.stats.commits += 1
        self.stats.events += sum(len(each) for each in verdicts)
        self.stats.observe_commit((self._clock.now() - started) / 1e6)
        for request, each in zip(group, verdicts, strict=True):
            request.resolve(each)


class _Writer:
    """The transaction. Lives on the committing thread; reopens its connection after a failure."""

    def __init__(self, path: Path, settings: Storage, clock: Clock, new_subject: NewSubject) -> None:
        self._path = path
        self._settings = settings
        self._clock = clock
        self._new_subject = new_subject
        self._commits = 0
        self._disk_checked_at = 0
        self._data_version = -1
        self._broken = False
        self._connect()

    def close(self) -> None:
        self._connection.close()

    def commit(self, groups: Sequence[Sequence[CleanEvent]], letters: Sequence[Letter]) -> list[list[Verdict]]:
        """Store each group; verdicts by group. All or nothing."""
        now = self._clock.now()
        self._check_disk(now)
        if self._broken:
            self._connect()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            self._refresh()
            verdicts, rows, hashes = self._decide(list(chain.from_iterable(groups)), now)
            seq = self._write(rows, hashes, now)
            self._write_letters(letters, now)
            self._connection.execute("COMMIT")
        except BaseException as error:
            self._abandon(error)
            raise
        if seq:
            self._dedup.note(seq, as_hashes(hashes), now)
        return _split(verdicts, groups)

    def _connect(self) -> None:
        self._connection = open_database(self._path, "region")
        self._connection.execute("PRAGMA wal_autocheckpoint = 4000")
        self._table = SqliteIdentityTable(self._connection)
        self._index = SubjectIndex(self._table, self._new_subject)
        self._dedup = Dedup(self._connection)
        self._dedup.refresh()
        self._data_version = -1
        self._broken = False

    def _abandon(self, error: BaseException) -> None:
        """Roll back and trust no cache; a connection that cannot roll back, or whose file failed, is opened anew next time."""
        self._table.forget()
        self._broken = isinstance(error, sqlite3.DatabaseError) and error.sqlite_errorcode & 0xFF in _BROKEN
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if self._broken:
                self._connection.close()
        except sqlite3.Error:
            self._broken = True

    def _check_disk(self, now: int) -> None:
        if now - self._disk_checked_at < _CHECK_DISK_EVERY_US and self._disk_checked_at <= now:
            return
        status = os.statvfs(self._path.parent)
        if status.f_bavail * status.f_frsize < self._settings.min_free_bytes:
            raise Unavailable("store_unavailable", "The disk is nearly full.", retry_after=10)
        self._disk_checked_at = now

    def _refresh(self) -> None:
        """Catch up with other processes' commits, if there were any."""
        version = self._connection.execute("PRAGMA data_version").fetchone()[0]
        if version != self._data_version:
            self._table.refresh()
            self._dedup.refresh()
            self._data_version = version

    def _decide(self, events: Sequence[CleanEvent], now: int) -> tuple[list[Verdict], list[list[object]], list[int]]:
        verdicts: list[Verdict] = []
        rows: list[list[object]] = []
        hashes: list[int] = []
        seen: set[int] = set()
        known = self._dedup.known(as_hashes([event.dedup for event in events])).tolist() if events else ()
        for event, is_known in zip(events, known, strict=True):
            if is_known or event.dedup in seen:
                verdicts.append(Outcome.DUPLICATE)
                continue
            row = event.row
            if row[_LANE] == Lane.ANONYMOUS:
                verdicts.append(Outcome.ANONYMOUS)
            else:
                row[_SUBJECT] = self._subject(event, now)
                verdicts.append(Outcome.STORED)
            seen.add(event.dedup)
            rows.append(row)
            hashes.append(event.dedup)
        self._table.flush()
        return verdicts, rows, hashes

    def _subject(self, event: CleanEvent, now: int) -> int:
        if event.previous is not None and event.user is not None:
            return self._index.alias(event.previous, event.user, now)
        return self._index.resolve(event.user, event.anonymous, now)

    def _write(self, rows: Sequence[Sequence[object]], hashes: Sequence[int], now: int) -> int:
        """One log row for the whole group; its seq, or 0 if there was nothing to keep."""
        if not rows:
            return 0
        cursor = self._connection.execute(
            "INSERT INTO log (events, committed_at, hashes, body) VALUES (?, ?, ?, ?)",
            (len(rows), now, block.pack_hashes(hashes), block.encode(rows)),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _write_letters(self, letters: Sequence[Letter], now: int) -> None:
        if letters:
            rejected.write(self._connection, letters)
        self._commits += 1
        if self._commits % _TRIM_EVERY == 1:
            rejected.trim(self._connection, self._settings.rejected_events, now - self._settings.rejected_days * DAY)
            self._dedup.expire(now - self._settings.dedup_days * DAY)


def _split(verdicts: Sequence[Verdict], groups: Sequence[Sequence[CleanEvent]]) -> list[list[Verdict]]:
    remaining: Iterable[Verdict] = iter(verdicts)
    return [[verdict for _, verdict in zip(group, remaining, strict=False)] for group in groups]
