"""A query under way: how far it is, how long it may take, and the way to stop it from another thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from consentryd.analytics.alarm import ALARM
from consentryd.model.error import ConsentryError, Unprocessable
from consentryd.storage.duck import duck

if TYPE_CHECKING:
    import duckdb


class Cancelled(ConsentryError):
    """Nobody waits for the answer any more."""

    status = 499

    def __init__(self) -> None:
        super().__init__("cancelled", "The query was cancelled.")


class Control:
    """Stops at `limit_s` seconds of `monotonic`. `cancel` may be called from any thread."""

    def __init__(self, limit_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._limit_s = limit_s
        self._deadline = monotonic() + limit_s
        self._cancelled = False
        self._lock = threading.Lock()
        self._running: duckdb.DuckDBPyConnection | None = None
        self.done = 0
        self.steps = 0

    @property
    def progress(self) -> float:
        """Share of the known work that is done, 0 to 1."""
        return min(1.0, self.done / self.steps) if self.steps else 0.0

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._running is not None:
                self._running.interrupt()

    def plan(self, steps: int) -> None:
        """Announce so many more steps."""
        self.steps += steps

    def check(self) -> None:
        """Raises `Cancelled`, or `Unprocessable` when the time is up."""
        if self._cancelled:
            raise Cancelled
        if self._monotonic() > self._deadline:
            raise Unprocessable("too_expensive", "The query took too long.", limit_seconds=self._limit_s)

    @contextmanager
    def running(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """Around a statement, which is interrupted when the query is cancelled or its time is up."""
        self.check()
        with self._lock:
            self._running = connection
        alarm = ALARM.set(max(0.0, self._deadline - self._monotonic()), connection.interrupt)
        try:
            yield
        except duck().InterruptException:
            self.check()
            raise Cancelled from None
        except duck().OutOfMemoryException:
            raise Unprocessable("too_expensive", "The query needs more memory than `analytics.memory_mb` allows.") from None
        finally:
            ALARM.clear(alarm)
            with self._lock:
                self._running = None
        self.done += 1
