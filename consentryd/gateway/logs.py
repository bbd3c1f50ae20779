"""Log lines, for people or machines.

Ours carry route templates, codes and numbers. Libraries' records lose everything but the logger's name, the level and the places in the
code, because aiohttp writes the peer's address into them and an exception's text may hold what a client sent.
"""

from __future__ import annotations

import logging
import sys
import traceback
from typing import Final, Literal, TextIO

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from consentryd.config.settings import Server

_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_FRAMES: Final = 12


def open_logger(settings: Server, stream: TextIO | None = None) -> FilteringBoundLogger:
    """A logger of its own, on stderr; no global configuration of structlog is touched."""
    out = sys.stderr if stream is None else stream
    style = settings.log_format if settings.log_format != "auto" else ("console" if out.isatty() else "json")
    level = _LEVELS[settings.log_level]
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(out),
        processors=_processors(style),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    return logger


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
