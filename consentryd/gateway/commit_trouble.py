"""Why commits fail: a line in the log and a count for each cause. Senders only hear that nothing was kept."""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Any, Final

from structlog.typing import FilteringBoundLogger

from consentryd.gateway.logs import frames_of
from consentryd.gateway.metrics import Metrics
from consentryd.model.error import CorruptStore, Unavailable
from consentryd.storage.subject import SubjectTaken

#: At most one line for a region and cause in so many seconds; the next says how many failed without one.
SILENCE_S: Final = 10.0


class Cause(StrEnum):
    """What made a commit fail. The closed list, for metrics and the log."""

    DISK_FULL = "disk_full"
    LOCKED = "locked"
    READ_ONLY = "read_only"
    DAMAGED = "damaged"
    IO = "io"
    OTHER = "other"


_OF_SQLITE: Final = {
    sqlite3.SQLITE_FULL: Cause.DISK_FULL,
    sqlite3.SQLITE_BUSY: Cause.LOCKED,
    sqlite3.SQLITE_LOCKED: Cause.LOCKED,
    sqlite3.SQLITE_READONLY: Cause.READ_ONLY,
    sqlite3.SQLITE_PERM: Cause.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: Cause.DAMAGED,
    sqlite3.SQLITE_NOTADB: Cause.DAMAGED,
    sqlite3.SQLITE_IOERR: Cause.IO,
    sqlite3.SQLITE_CANTOPEN: Cause.IO,
}
_OF_SYSTEM: Final = {
    errno.ENOSPC: Cause.DISK_FULL,
    errno.EDQUOT: Cause.DISK_FULL,
    errno.EROFS: Cause.READ_ONLY,
    errno.EACCES: Cause.READ_ONLY,
    errno.EPERM: Cause.READ_ONLY,
}


class CommitTrouble:
    """`note` is called on the committing threads. `monotonic` in seconds."""

    def __init__(self, metrics: Metrics, logger: FilteringBoundLogger, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._logger = logger
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._silent: dict[tuple[str, Cause], tuple[float, int]] = {}

    def watch(self, region: str) -> Callable[[Exception], None]:
        """What the region's log is to call. Causes that never came up count as zero, and are not absent."""
        for cause in Cause:
            self._metrics.count_commit_failure(region, cause.value, 0)
        return partial(self.note, region)

    def note(self, region: str, error: Exception) -> None:
        cause = cause_of(error)
        self._metrics.count_commit_failure(region, cause.value)
        with self._lock:
            until, hushed = self._silent.get((region, cause), (0.0, 0))
            now = self._monotonic()
            if now < until:
                self._silent[region, cause] = (until, hushed + 1)
                return
            self._silent[region, cause] = (now + SILENCE_S, 0)
        self._logger.error("commit failed", region=region, cause=cause.value, **_told(error), since_last_line=hushed)


def cause_of(error: Exception) -> Cause:
    if isinstance(error, sqlite3.Error):
        return _OF_SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, Cause.OTHER)
    if isinstance(error, OSError):
        return _OF_SYSTEM.get(error.errno or 0, Cause.IO)
    if isinstance(error, Unavailable) and not isinstance(error, SubjectTaken):  # raised where too little of the disk is left
        return Cause.DISK_FULL
    return Cause.DAMAGED if isinstance(error, CorruptStore) else Cause.OTHER


def trouble_of(error: Exception) -> Cause | None:
    """What of the disk or of the database stood in the way, if that was it; then the same request may succeed later."""
    if isinstance(error, sqlite3.Error):
        cause = cause_of(error)
        return None if cause is Cause.OTHER else cause
    return _OF_SYSTEM.get(error.errno or 0) if isinstance(error, OSError) else None


def _told(error: Exception) -> dict[str, Any]:
    """Class and text where the text is SQLite's, the system's or our own. Any other may quote what a client sent: its place instead."""
    told: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(error, (sqlite3.DatabaseError, OSError, Unavailable, CorruptStore)):
        return {**told, "reason": str(error)}
    return {**told, "at": frames_of(error)}
