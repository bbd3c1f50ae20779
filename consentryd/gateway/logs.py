"""Log lines, for people or machines.

Ours carry route templates, codes and numbers. Libraries' records lose everything but the logger's name, the level and the places in the
code, because aiohttp writes the peer's address into them and an exception's text may hold what a client sent.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import sys
import threading
import traceback
from collections import deque
from typing import Final, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from consentryd.config.settings import Server

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_FRAMES: Final = 12
#: Within what time a line is written.
FLUSH_S: Final = 0.1
_WAITING: Final = 10_000


def open_logger(settings: Server, stream: TextIO | None = None) -> FilteringBoundLogger:
    """A logger of its own; no global configuration of structlog is touched.

    Lines go to `stream` at once, or to stderr within 0.1 s from a thread: a terminal or pipe that nobody reads must not stop the loop.
    """
    out = sys.stderr if stream is None else stream
    style = settings.log_format if settings.log_format != "auto" else ("console" if out.isatty() else "json")
    level = _LEVELS[settings.log_level]
    logger: FilteringBoundLogger = structlog.wrap_logger(
        _Sink(out) if stream is None else structlog.WriteLogger(out),
        processors=_processors(style),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return logger


class _Sink:
    """Keeps lines for a thread to write. Beyond `_WAITING` the newest are dropped, and the next line that gets through says how many."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: deque[str] = deque()
        self._dropped = 0
        self._writing = threading.Lock()
        self._closed = threading.Event()
        atexit.register(self.close)
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def msg(self, line: str) -> None:
        if len(self._lines) < _WAITING:
            self._lines.append(line)
        else:
            self._dropped += 1

    log = debug = info = warning = warn = error = critical = fatal = exception = failure = msg

    def close(self) -> None:
        self._closed.set()
        self._flush()

    def _run(self) -> None:
        while not self._closed.wait(FLUSH_S):
            self._flush()

    def _flush(self) -> None:
        with self._writing:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if not lines:
                return
            dropped, self._dropped = self._dropped, 0
            if dropped:
                lines.append(f'{{"event":"log lines dropped","level":"warning","lines":{dropped}}}')
            with contextlib.suppress(OSError, ValueError):  # stderr is gone: there is nowhere to say so
                self._out.write("\n".join(lines) + "\n")
                self._out.flush()


def _processors(style: Literal["json", "console"]) -> list[Processor]:
    stamp: list[Processor] = [structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    if style == "console":
        return [*stamp, structlog.dev.ConsoleRenderer(colors=False)]
    return [*stamp, _render]


def _render(_logger: object, _name: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str).decode()


def adopt_libraries(logger: FilteringBoundLogger) -> None:
    """Sends what libraries log by `logging` through `logger`, without its text."""
    root = logging.getLogger()
    root.handlers = [_Adopted(logger)]
    root.setLevel(logging.WARNING)


class _Adopted(logging.Handler):
    def __init__(self, logger: FilteringBoundLogger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        details = {} if error is None else {"error": type(error).__name__, "at": frames_of(error)}
        self._logger.log(record.levelno, "library", logger=record.name, line=f"{record.module}:{record.lineno}", **details)


def frames_of(error: BaseException) -> list[str]:
    """Where it happened, innermost last: `module.py:line function`. Never the exception's text, which may quote a client."""
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return [f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
