"""Several workers on one port: started together, restarted when they crash, stopped together.

Workers are separate processes that bind the port with SO_REUSEPORT; the supervisor holds the port without listening, so that a port
chosen by the system stays theirs while a worker restarts.
"""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import FrameType
from typing import Final

from structlog.typing import FilteringBoundLogger

from consentryd.config.settings import Settings
from consentryd.gateway.day_keys import DayKeys
from consentryd.gateway.exposition import Worker
from consentryd.gateway.listener import bind
from consentryd.gateway.logs import open_logger
from consentryd.gateway.worker import OpenServices, run_worker
from consentryd.model.error import ConfigError, CorruptStore

_TICK_S: Final = 0.2
_FIRST_BACKOFF_S: Final = 0.5
_LONGEST_BACKOFF_S: Final = 30.0
_STEADY_S: Final = 60.0  # a worker that lived this long starts over with the shortest backoff
_GRACE_S: Final = 1.5
_PATIENCE_S: Final = 9.5  # who leaves by itself before that is not killed, however short the time for requests is
_CLEAN_EXITS: Final = (0, -signal.SIGTERM)  # the signal itself ends a worker that has not started to serve
_CONFIG_EXIT: Final = 78  # EX_CONFIG of sysexits.h: of a gateway that never served, starting again would not help
_FAILED: Final = 1


@contextmanager
def _unheard(number: signal.Signals) -> Iterator[None]:
    """The signal waits meanwhile; a process that is started meanwhile does not get it at all."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True, slots=True)
class _Job:
    """What a worker is started with; travels to it by pickle."""

    compose: OpenServices
    settings: Settings
    regions: Sequence[str] | None
    worker: Worker

    def run(self, supervisor: Connection) -> None:
        logger = open_logger(self.settings.server)
        try:
            with bind(self.settings.server, shared=True) as listening:
                run_worker(
                    self.compose,
                    self.settings,
                    self.regions,
                    listening,
                    self.worker,
                    ready=partial(supervisor.send, None),
                    parent=supervisor.fileno(),
                )
        except (ConfigError, CorruptStore) as error:
            logger.critical("cannot start", worker=self.worker.number, reason=str(error))
            raise SystemExit(_CONFIG_EXIT) from None


class _Seat:
    """One worker's place: the process that has it now, and when the next may be started."""

    def __init__(self, job: _Job, context: SpawnContext) -> None:
        self.job = job
        self._context = context
        self.process: SpawnProcess | None = None
        self.pipe: Connection | None = None
        self.ready = False
        self._backoff_s = 0.0
        self._started_at = 0.0
        self._start_at = 0.0

    def start(self, now: float) -> None:
        if self.process is not None or now < self._start_at:
            return
        self.pipe, theirs = self._context.Pipe()
        self.process = self._context.Process(target=self.job.run, args=(theirs,), name=f"consentry-{self.job.worker.number}")
        with _unheard(signal.SIGINT):  # a terminal's Ctrl-C is for all of us, and the supervisor's to pass on
            self.process.start()
        theirs.close()
        self._started_at = now

    def note_ready(self) -> None:
        if self.pipe is not None and not self.ready and self.pipe.poll():
            try:
                self.pipe.recv()
            except EOFError:
                return
            self.ready = True

    def reap(self, now: float) -> int | None:
        """The exit code of a process that ended, None while it runs; the next start waits twice as long as the last."""
        if self.process is None or self.process.exitcode is None:
            return None
        code = self.process.exitcode
        lived = now - self._started_at
        self._backoff_s = (
            _FIRST_BACKOFF_S if lived > _STEADY_S else min(_LONGEST_BACKOFF_S, self._backoff_s * 2 or _FIRST_BACKOFF_S)
        )
        self._start_at = now + self._backoff_s
        self.process.close()
        self.process = None
        self.ready = False
        if self.pipe is not None:
            self.pipe.close()
            self.pipe = None
        return code


class _Supervisor:
    def __init__(self, seats: Sequence[_Seat], logger: FilteringBoundLogger, shutdown_timeout_s: float) -> None:
        self._seats = seats
        self._logger = logger
        self._shutdown_timeout_s = shutdown_timeout_s
        self._stopping = False

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def run(self, announce: Callable[[], None]) -> int:
        announced = False
        while not self._stopping:
            now = time.monotonic()
            for seat in self._seats:
                seat.start(now)
                seat.note_ready()
            if not announced and all(seat.ready for seat in self._seats):
                announced = True
                announce()
            if _CONFIG_EXIT in self._reap(now) and not announced:
                self._stop_all()
                return _FAILED
            wait([seat.process.sentinel for seat in self._seats if seat.process is not None], _TICK_S)
        return self._stop_all()

    def _reap(self, now: float) -> set[int]:
        """Notes workers that ended; their exit codes. One that could not start although all of them have served is started again as others
        are: it was a disk, a lock or whatever gives the master key."""
        codes = set()
        for seat in self._seats:
            code = seat.reap(now)
            if code is not None:
                codes.add(code)
            if code not in {None, _CONFIG_EXIT}:
                self._logger.error("worker ended", worker=seat.job.worker.number, code=code)
        return codes

    def _stop_all(self) -> int:
        processes = [seat.process for seat in self._seats if seat.process is not None]
        for process in processes:
            process.terminate()
        deadline = time.monotonic() + max(self._shutdown_timeout_s + _GRACE_S, _PATIENCE_S)
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
            if process.exitcode is None:
                self._logger.error("worker did not stop in time", worker=process.name)
                process.kill()
                process.join()
        return 0 if all(process.exitcode in _CLEAN_EXITS for process in processes) else _FAILED


def supervise(
    compose: OpenServices,
    settings: Settings,
    regions: Sequence[str] | None,
    port: int,
    announce: Callable[[], None],
) -> int:
    """Runs `server.workers` workers on `port` until SIGTERM or SIGINT; the exit code. Calls `announce` once all of them serve."""
    settings = settings.model_copy(update={"server": settings.server.model_copy(update={"port": port})})
    context = multiprocessing.get_context("spawn")
    resource_tracker.ensure_running()  # else the first worker's start does it, and lets SIGINT through
    keys = DayKeys()
    with tempfile.TemporaryDirectory(prefix="consentry-") as board:
        jobs = [_Job(compose, settings, regions, Worker(number, Path(board), keys)) for number in range(settings.server.workers)]
        supervisor = _Supervisor(
            [_Seat(job, context) for job in jobs], open_logger(settings.server), settings.server.shutdown_timeout_s
        )
        before = {number: signal.signal(number, supervisor.stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            return supervisor.run(announce)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
