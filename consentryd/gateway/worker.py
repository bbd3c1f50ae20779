"""One serving process: its loop, its services, its listening socket, until a signal."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Final, Protocol

import uvloop
from structlog.typing import FilteringBoundLogger

from consentryd.config.settings import Settings
from consentryd.gateway.app import create_app
from consentryd.gateway.exposition import Worker, publish
from consentryd.gateway.listener import listen
from consentryd.gateway.logs import FLUSH_S, adopt_libraries, open_logger
from consentryd.gateway.services import Services

#: What closing may take beyond `server.shutdown_timeout_s`; the supervisor kills after thrice as long.
_CLOSING_S: Final = 0.5


class OpenServices(Protocol):
    """What the composition root looks like. A function of a module, so that worker processes can import it."""

    def __call__(
        self,
        settings: Settings,
        regions: Sequence[str] | None,
        worker: Worker,
        logger: FilteringBoundLogger,
    ) -> AbstractAsyncContextManager[Services]: ...


def run_worker(
    open_services: OpenServices,
    settings: Settings,
    regions: Sequence[str] | None,
    listening: socket.socket,
    worker: Worker,
    ready: Callable[[], None],
    parent: int | None = None,
) -> None:
    """Serves on `listening` until SIGTERM or SIGINT, or until `parent`, a file descriptor, becomes readable. Calls `ready` once.

    Raises `ConfigError` if the services cannot be opened.
    """

    async def serve() -> None:
        logger = open_logger(settings.server)
        adopt_libraries(logger)
        leave = partial(_leave_in, settings.server.shutdown_timeout_s + _CLOSING_S, worker, logger)
        stop = _stop_event(parent, leave)
        async with open_services(settings, regions, worker, logger) as services:
            app = create_app(services, logger)
            async with listen(app, listening, settings.server, logger), _background(publish(services.metrics.registry, worker)):
                settle()
                logger.info("serving", worker=worker.number)
                ready()
                await stop.wait()
                logger.info("stopping", worker=worker.number)

    try:
        uvloop.run(serve())
    finally:
        gc.unfreeze()  # else libraries that count what is left at exit report all of it as leaked


def _leave_in(seconds: float, worker: Worker, logger: FilteringBoundLogger) -> None:
    """End the process by then, whatever its threads still do: sealing or erasing may take minutes and cannot be broken off, and Python would
    wait for it. All of it stands a `kill -9`, and the next start goes on with it."""

    def leave() -> None:
        logger.warning("stopped in the middle of work beside the requests; the next start goes on with it", worker=worker.number)
        time.sleep(1.5 * FLUSH_S)  # a thread writes the lines, and may wait for who reads them as long as it likes
        sys.stdout.flush()
        os._exit(0)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


def settle() -> None:
    """What is loaded by now stays: the collector need not look at it again, nor at every 700th new object. Halves the price of parsing.

    The committing threads and the loop hand the interpreter to each other more readily than Python's 5 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)
    sys.setswitchinterval(0.003)


def _stop_event(parent: int | None, leave: Callable[[], None]) -> asyncio.Event:
    """Set once the process is told to end; `leave` is called with it, for it may come while the services still open."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end() -> None:
        if not stop.is_set():
            stop.set()
            leave()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    if parent is not None:

        def orphaned() -> None:
            loop.remove_reader(parent)
            end()

        loop.add_reader(parent, orphaned)
    return stop


@contextlib.asynccontextmanager
async def _background(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    task = asyncio.ensure_future(work)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
