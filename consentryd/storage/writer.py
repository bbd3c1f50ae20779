"""The append transaction: deduplication, identity and the last look at consent, then one log row for all that waited."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

from consentryd.config.settings import Storage
from consentryd.model.clock import DAY, SECOND, Clock
from consentryd.model.decision import Lane
from consentryd.model.error import CorruptStore, Unavailable
from consentryd.model.event import POSITION, CleanEvent
from consentryd.model.outcome import Outcome, Reason, Verdict
from consentryd.storage import block, rejected
from consentryd.storage.choice import Choices
from consentryd.storage.database import BUSY_TIMEOUT_MS, begin, open_database
from consentryd.storage.dedup import Dedup, as_hashes
from consentryd.storage.identity import SqliteIdentityTable
from consentryd.storage.index import NewSubject, SubjectIndex
from consentryd.storage.rejected import Letter

#: Looked up once: through their classes, members of an enum cost a search each time.
_ANONYMOUS: Final = Lane.ANONYMOUS
_DUPLICATE: Final = Outcome.DUPLICATE
_COUNTED: Final = Outcome.ANONYMOUS
_STORED: Final = Outcome.STORED

_LANE: Final = POSITION["lane"]
_PURPOSE: Final = POSITION["purpose"]
_SUBJECT: Final = POSITION["subject"]
_BROKEN: Final = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY})
_TRIM_EVERY: Final = 256
#: Letters after which others are let go of without waiting for that.
_TRIM_LETTERS: Final = 1000
#: Free disk below which the store is not called writable, however little `min_free_bytes` asks for: a batch would not fit.
_LEAST_ROOM: Final = 1024 * 1024


@dataclass(slots=True)
class Transaction:
    """What work inside a commit may use. `now` is the commit's time, UTC microseconds."""

    connection: sqlite3.Connection
    index: SubjectIndex
    choices: Choices
    now: int


@dataclass(slots=True)
class Task:
    """What one request wants of a commit: its events stored, its letters kept, or its work done."""

    events: Sequence[CleanEvent] = ()
    letters: Sequence[Letter] = ()
    work: Callable[[Transaction], Any] | None = None


@dataclass(slots=True)
class _Accepted:
    """The rows that this commit will keep, and the hashes of their event ids, in the same order."""

    rows: list[list[Any]] = field(default_factory=list)
    hashes: list[int] = field(default_factory=list)
    seen: set[int] = field(default_factory=set)


#: Writes what must be durable with the commit at hand, knowing its time and how to ask whose events it stores; what it returns is called
#: once it is.
Flush = Callable[[sqlite3.Connection, int, Callable[[], AbstractSet[bytes]]], Callable[[], None] | None]


def _identity(file: Path) -> tuple[int, int]:
    status = file.stat()
    return status.st_dev, status.st_ino


def nothing_more(_connection: sqlite3.Connection, _now: int, _holders: Callable[[], AbstractSet[bytes]]) -> None:
    """There is nothing more to write."""


def _holders(tasks: Sequence[Task], results: Sequence[Any]) -> set[bytes]:
    """The identities that the stored events among the tasks' name first."""
    return {
        event.user or event.anonymous or b""
        for task, verdicts in zip(tasks, results, strict=True)
        if task.work is None
        for event, verdict in zip(task.events, verdicts, strict=True)
        if verdict is _STORED
    }


class Writer:
    """Lives on the committing thread and owns the region's write connection."""

    def __init__(self, path: Path, settings: Storage, clock: Clock, new_subject: NewSubject, flush: Flush = nothing_more) -> None:
        self._path = path
        self._settings = settings
        self._clock = clock
        self._new_subject = new_subject
        self._flush = flush
        self._commits = 0
        self._letters = 0
        self._disk_checked_at = 0
        self._free = 0
        self._lock_wait_s = BUSY_TIMEOUT_MS / 1000
        self._wal = path.with_name(f"{path.name}-wal")
        self._connect()

    def close(self) -> None:
        self._connection.close()

    def commit(self, tasks: Sequence[Task]) -> list[Any]:
        """Do the tasks in order in one transaction: verdicts of each one's events, or what its work returned or raised.

        All or nothing, except that work which raises is undone alone. Raises `sqlite3.Error`, `OSError`, `Unavailable`, `CorruptStore`.
        """
        self._check_files()
        self._check_disk(tasks, self._clock.now())
        if self._broken:
            self._connect()
        try:
            begin(self._connection, self._lock_wait_s)
            # taken under the lock: times of commits are in the order of commits, whichever worker makes them
            now = self._clock.now()
            results, accepted = self._do(tasks, now)
            seq = self._write(accepted, now)
            self._trim(now)
            settle = self._flush(self._connection, now, partial(_holders, tasks, results))
            self._connection.execute("COMMIT")
        except BaseException as error:
            self._abandon(error)
            raise
        if settle is not None:
            settle()
        if seq:
            self._dedup.note(seq, as_hashes(accepted.hashes), now)
        return results

    def _connect(self) -> None:
        self._connection = open_database(self._path, "region")
        try:
            self._connection.execute("PRAGMA wal_autocheckpoint = 4000")
            self._connection.execute("PRAGMA busy_timeout = 0")
            self._choices = Choices(self._connection)
            self._table = SqliteIdentityTable(self._connection, self._choices)
            self._index = SubjectIndex(self._table, self._new_subject)
            self._dedup = Dedup(self._connection)
            self._dedup.refresh()
            self._files = {file: _identity(file) for file in (self._path, self._wal)}
        except BaseException:
            self._connection.close()
            raise
        self._data_version = -1
        self._broken = False

    def _abandon(self, error: BaseException) -> None:
        """Roll back and trust no cache; a connection that cannot roll back, or whose file failed, is opened anew next time."""
        self._table.forget()
        self._disk_checked_at = 0
        self._broken = isinstance(error, sqlite3.DatabaseError) and error.sqlite_errorcode & 0xFF in _BROKEN
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            self._choices.forget()
            if self._broken:
                self._files.pop(self._wal, None)
                self._connection.close()
        except sqlite3.Error:
            self._broken = True

    def _check_files(self) -> None:
        """What is committed to a file that was deleted goes with this process, and SQLite does not look."""
        for file, opened in self._files.items():
            if _identity(file) != opened:
                raise CorruptStore(f"{file} is not the file that was opened: another was put in its place.")

    def _check_disk(self, tasks: Sequence[Task], now: int) -> None:
        """Of who only asks whether a commit would succeed, a little room is asked in any case."""
        least = self._settings.min_free_bytes
        if not any(task.events or task.letters or task.work for task in tasks):
            least = max(least, _LEAST_ROOM)
        if 0 <= now - self._disk_checked_at < SECOND and self._free >= least:
            return
        status = os.statvfs(self._path.parent)
        self._free = status.f_bavail * status.f_frsize if status.f_blocks else least  # some file systems do not tell
        if self._free < least:
            raise Unavailable("store_unavailable", "The disk is nearly full.", retry_after=10)
        self._disk_checked_at = now

    def _catch_up(self, digests: AbstractSet[bytes]) -> None:
        """Have the identities at hand, and what other connections committed, if they did."""
        version = self._table.prepare(digests)
        if version != self._data_version:
            self._choices.follow(self._table.refresh())
            self._dedup.refresh()
            self._table.prepare(digests)
            self._data_version = version

    def _do(self, tasks: Sequence[Task], now: int) -> tuple[list[Any], _Accepted]:
        events = list(chain.from_iterable(task.events for task in tasks))
        self._catch_up(
            {digest for event in events for digest in (event.user, event.anonymous, event.previous) if digest is not None}
        )
        self._index.forget()
        accepted = _Accepted()
        hashes = as_hashes([event.dedup for event in events])
        known = iter(self._dedup.known(hashes).tolist() if events else ())
        results: list[Any] = []
        for task in tasks:
            if task.work is not None:
                results.append(self._work(task.work, now))
                continue
            results.append(self._accept(task.events, known, accepted, now))
            if task.letters:
                rejected.write(self._connection, task.letters)
                self._letters += len(task.letters)
        self._table.flush(now)
        return results, accepted

    def _accept(self, events: Sequence[CleanEvent], known: Iterator[bool], accepted: _Accepted, now: int) -> list[Verdict]:
        rows, hashes, seen = accepted.rows, accepted.hashes, accepted.seen
        verdicts: list[Verdict] = []
        for event, is_known in zip(events, known):  # noqa: B905 - known runs on
            dedup, row = event.dedup, event.row
            verdict: Verdict
            if is_known or dedup in seen:
                verdict = _DUPLICATE
            else:
                verdict = _COUNTED if row[_LANE] == _ANONYMOUS else self._place(event, now)
                if verdict.__class__ is Outcome:
                    seen.add(dedup)
                    rows.append(row)
                    hashes.append(dedup)
            verdicts.append(verdict)
        return verdicts

    def _place(self, event: CleanEvent, now: int) -> Verdict:
        """Give the event its subject, unless the person is kept out or refuses."""
        user, anonymous, previous, row = event.user, event.anonymous, event.previous, event.row
        choices = self._choices
        if choices.suppress_any and self._is_suppressed(event, now):
            return Reason.SUPPRESSED
        if previous is not None and user is not None:
            subject = self._index.alias(previous, user, now)
        else:
            subject = self._index.resolve(user, anonymous, now)
        if choices.any and (refusal := choices.refusal(subject, row[_PURPOSE])):
            return refusal
        row[_SUBJECT] = subject
        if event.email is not None:
            self._table.note_email(event.email, subject)
        return _STORED

    def _is_suppressed(self, event: CleanEvent, now: int) -> bool:
        """A user id speaks for itself: the device of an erased person may be another's now."""
        suppressed = self._choices.is_suppressed
        return suppressed(event.anonymous if event.user is None else event.user, now) or suppressed(event.email, now)

    def _work(self, work: Callable[[Transaction], Any], now: int) -> Any:
        """What the work returned, or the exception it raised, with its changes undone."""
        self._table.flush(now)
        self._connection.execute("SAVEPOINT work")
        try:
            result = work(Transaction(self._connection, self._index, self._choices, now))
            self._table.flush(now)
        except sqlite3.OperationalError:
            raise
        except Exception as error:  # noqa: BLE001 - it is the caller's, who gets it
            self._connection.execute("ROLLBACK TO work")
            self._table.forget()
            result = error
        self._connection.execute("RELEASE work")
        self._choices.forget()
        self._index.forget()
        self._table.doubt()
        return result

    def _write(self, accepted: _Accepted, now: int) -> int:
        """One log row for the whole group; its seq, or 0 if there was nothing to keep."""
        if not accepted.rows:
            return 0
        cursor = self._connection.execute(
            "INSERT INTO log (events, committed_at, hashes, body) VALUES (?, ?, ?, ?)",
            (len(accepted.rows), now, block.pack_hashes(accepted.hashes), block.encode(accepted.rows)),
        )
        assert cursor.lastrowid is not None
        return cursor.lastrowid

    def _trim(self, now: int) -> None:
        """Now and then let go of what is past its time; of letters more than came, but no crowd of them at once."""
        due = self._commits % _TRIM_EVERY == 0
        if due or self._letters >= _TRIM_LETTERS:
            before = now - self._settings.rejected_days * DAY
            rejected.trim(self._connection, self._settings.rejected_events, before, 2 * self._letters + _TRIM_LETTERS)
            self._letters = 0
        if due:
            self._dedup.expire(now - self._settings.dedup_days * DAY)
        self._commits += 1
