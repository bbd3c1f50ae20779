"""The durable log of a region: requests hand over their events, one thread commits all that wait together and answers each.

A commit is fsynced before any of its requests is answered.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from consentryd.config.settings import Storage
from consentryd.model.clock import Clock
from consentryd.model.error import Unavailable
from consentryd.model.event import CleanEvent
from consentryd.model.outcome import Verdict
from consentryd.storage.index import NewSubject
from consentryd.storage.rejected import Letter
from consentryd.storage.writer import Flush, Task, Transaction, Writer, nothing_more

T = TypeVar("T")

#: Requests in the queue beyond which letters, for which nobody waits and nothing else is a bound, are not kept.
_WAITING: Final = 10_000


class Log(Protocol):
    """Where accepted events become durable."""

    async def append(self, events: Sequence[CleanEvent]) -> list[Verdict]:
        """Store events; a verdict for each, in order. Returns after fsync. Raises `Unavailable` with nothing kept."""
        ...

    def reject(self, letters: Sequence[Letter]) -> None:
        """Keep dead letters with the next commit; they may be lost in a crash, and where very many requests wait."""
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
    note_failure: Callable[[Exception], None] = field(default=lambda _error: None)


@dataclass(slots=True)
class _Request:
    """Something to do in the next commit, and who waits for it (nobody waits for letters)."""

    task: Task
    answer: asyncio.Future[Any] | None = None

    @property
    def size(self) -> int:
        return len(self.task.events) + len(self.task.letters)


class SqliteLog:
    """The log in `region.db`."""

    def __init__(self, path: Path, settings: Storage, clock: Clock, new_subject: NewSubject, flush: Flush = nothing_more) -> None:
        self._flush = flush
        self._path = path
        self._settings = settings
        self._clock = clock
        self._new_subject = new_subject
        self._queue: queue.SimpleQueue[_Request | None] = queue.SimpleQueue()
        self._pending = 0
        self._enough = threading.Event()
        self._thread: threading.Thread | None = None
        self._writer: Writer | None = None
        self.stats = CommitStats()

    def open(self) -> None:
        """Open the database and start the committing thread. Raises `CorruptStore`, `ConfigError`, `sqlite3.OperationalError`."""
        self._writer = Writer(self._path, self._settings, self._clock, self._new_subject, self._flush)
        self._thread = threading.Thread(target=self._run, name=f"log-{self._path.parent.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Commit what waits and stop."""
        if self._thread is not None:
            self._queue.put(None)
            self._enough.set()
            self._thread.join()
            self._thread = None

    @property
    def pending(self) -> int:
        """Events that wait for a commit."""
        return self._pending

    async def append(self, events: Sequence[CleanEvent]) -> list[Verdict]:
        if events and self._pending >= self._settings.pending_events:  # what comes does not count: a large batch must get in, too
            raise Unavailable("overloaded", "More events wait than the store can take in time.", retry_after=1)
        self._pending += len(events)
        if self._pending >= self._settings.commit_events:
            self._enough.set()
        try:
            verdicts: list[Verdict] = await self._submit(Task(events=events))
        finally:
            self._pending -= len(events)
        return verdicts

    async def transact(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` on the committing thread, inside a commit of its group, in order with the appends around it.

        Returns after fsync what `work` returned. An error that it raises undoes only what it did, and is raised here. Raises
        `Unavailable` with nothing kept.
        """
        result: T = await self._submit(Task(work=work))
        return result

    def reject(self, letters: Sequence[Letter]) -> None:
        if letters and self._settings.rejected_events and self._queue.qsize() < _WAITING:
            self._queue.put(_Request(Task(letters=letters)))

    async def check_writable(self) -> str | None:
        try:
            await self.append(())
        except Unavailable as error:
            return error.message
        return None

    async def _submit(self, task: Task) -> Any:
        if self._thread is None or not self._thread.is_alive():
            raise Unavailable("store_unavailable", "The store is not open.")
        answer = asyncio.get_running_loop().create_future()
        self._queue.put(_Request(task, answer))
        return await answer

    def _run(self) -> None:
        assert self._writer is not None
        next_commit = 0.0
        while (first := self._queue.get()) is not None:
            group = [first]
            stopping = self._gather(group, next_commit)
            next_commit = time.monotonic() + self._settings.commit_interval_ms / 1000
            self._commit(group)
            if stopping:
                break
        self._writer.close()

    def _gather(self, group: list[_Request], deadline: float) -> bool:
        """Add what else comes until the deadline (monotonic seconds), or until it is enough. True when asked to stop.

        Nobody is woken for each request: that would take the interpreter from the loop each time.
        """
        if (left := deadline - time.monotonic()) > 0:
            self._enough.wait(left)
        events = group[0].size
        while events < self._settings.commit_events:
            try:
                more = self._queue.get_nowait()
            except queue.Empty:
                self._enough.clear()
                return False
            if more is None:
                return True
            group.append(more)
            events += more.size
        return False

    def _commit(self, group: list[_Request]) -> None:
        assert self._writer is not None
        started = time.perf_counter()
        results: Sequence[Any]
        try:
            results = self._writer.commit([request.task for request in group])
            self.stats.commits += 1
            self.stats.events += sum(len(request.task.events) for request in group)
            self.stats.observe_commit(time.perf_counter() - started)
        except Exception as error:  # noqa: BLE001 - whatever failed, nothing was kept and every sender must hear of it
            self.stats.failures += 1
            self.stats.note_failure(error)
            known = isinstance(error, Unavailable)
            results = [error if known else Unavailable("store_unavailable", "The store could not commit.")] * len(group)
        _answer(group, results)


def _answer(group: Sequence[_Request], results: Sequence[Any]) -> None:
    """Tell everyone who waits, each loop in one go."""
    waiting: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for request, result in zip(group, results, strict=True):
        if request.answer is not None:
            waiting.setdefault(request.answer.get_loop(), []).append((request.answer, result))
    for loop, answers in waiting.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_settle, answers)


def _settle(answers: Iterable[tuple[asyncio.Future[Any], Any]]) -> None:
    for answer, result in answers:
        if answer.done():
            continue
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(result)
