"""Who may touch a lake: one writer at a time, and nobody deletes a file that a reader may still open. `flock`, so a crash frees it."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from consentryd.model.error import Unavailable

READER_WAIT_S: Final = 60.0
_POLL_S: Final = 0.005


class Busy(Unavailable):
    """Another process or thread holds the lock for longer than this one would wait. Nothing was changed."""

    def __init__(self, lock: Path) -> None:
        super().__init__("store_unavailable", f"The lock {lock.name} of region {lock.parent.name} is held by another task.")


class Lease:
    """The locks of one region. Each use opens its own file description, so threads exclude each other as processes do."""

    def __init__(self, region: Path) -> None:
        self._writer = region / "lake.writer.lock"
        self._readers = region / "lake.readers.lock"
        self._turnstile = region / "lake.turnstile.lock"

    @contextmanager
    def writing(self, wait_s: float = 0.0) -> Iterator[None]:
        """Be the region's only sealer, compactor or eraser. Raises `Busy`."""
        with _held(self._writer, fcntl.LOCK_EX, wait_s):
            yield

    @contextmanager
    def reading(self, wait_s: float = READER_WAIT_S) -> Iterator[None]:
        """Keep every file of the current version in place. Passing the turnstile first lets a waiting deletion go before new readers."""
        with _held(self._turnstile, fcntl.LOCK_SH, wait_s):
            lock = _take(self._readers, fcntl.LOCK_SH, wait_s)
        try:
            yield
        finally:
            os.close(lock)

    @contextmanager
    def deleting(self, wait_s: float = 0.0) -> Iterator[None]:
        """Wait until no reader is left, and keep new ones out. Raises `Busy`."""
        with _held(self._turnstile, fcntl.LOCK_EX, wait_s), _held(self._readers, fcntl.LOCK_EX, wait_s):
            yield


@contextmanager
def _held(path: Path, kind: int, wait_s: float) -> Iterator[None]:
    lock = _take(path, kind, wait_s)
    try:
        yield
    finally:
        os.close(lock)


def _take(path: Path, kind: int, wait_s: float) -> int:
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                os.close(lock)
                raise Busy(path) from None
            time.sleep(_POLL_S)
        else:
            return lock
