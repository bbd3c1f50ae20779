"""The bytes of a file that SQLite may have open in this very process.

POSIX locks belong to a process and a file: closing any descriptor of a file lets go of all locks that the process holds on it, SQLite's too
(sqlite.org/howtocorrupt.html, section 2.2). The next process that closes the database takes it for unused then, and deletes its write-ahead
log: what is acknowledged from there on is lost. So what is opened here stays open for as long as the process lives.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_DATABASE: Final = re.compile(r".+\.db(-wal|-shm|-journal)?")
_PART: Final = 1 << 22

_open: Final[dict[tuple[int, int], int]] = {}
_one_at_a_time: Final = threading.Lock()


def is_database(path: Path) -> bool:
    """Whether SQLite may have the file open, by its name."""
    return _DATABASE.fullmatch(path.name) is not None


def parts(path: Path, overlap: int) -> Iterator[bytes]:
    """The file as it is now, a few MB at a time; each part begins with the last `overlap` bytes of the one before.

    Raises `FileNotFoundError`.
    """
    place, last = 0, b""
    while path.stat().st_size > place and (read := os.pread(_descriptor(path), _PART, place)):
        place += len(read)
        yield last + read
        last = read[-overlap:] if overlap else b""


def _descriptor(path: Path) -> int:
    with _one_at_a_time:
        status = path.stat()
        known = _open.get((status.st_dev, status.st_ino))
        if known is not None:
            return known
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        status = os.fstat(descriptor)
        _open[status.st_dev, status.st_ino] = descriptor
        return descriptor
