"""One process's part of a spool directory: a folder of segments, locked as long as its process lives.

    <directory>/<lane>/lock             held by flock; the kernel lets go of it when the process dies
    <directory>/<lane>/00000001.events  lines: CRC-32 of the rest, when it was accepted, the event
    <directory>/<lane>/done             the segment and offset up to which everything is settled

A line is written by one `write`, so that it is there when the call returns, whatever becomes of the process. After a loss of power the
end may be torn: a line whose checksum is wrong is left out, and counted.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Optional
from zlib import crc32

from consentry.store import Record

_MODE = 0o600
_DONE = "%08d %012d\n"
_SEGMENT = re.compile(r"[0-9]{8,}")  # other files are none of our business


class Position(NamedTuple):
    segment: int
    offset: int


class Batch(NamedTuple):
    """`lines` and `size` count what was read, torn lines too."""

    records: list[Record]
    lines: int
    size: int
    end: Position


def line_of(record: Record) -> bytes:
    payload = b"%d %s" % record
    return b"%08x %s\n" % (crc32(payload), payload)


def record_of(line: bytes) -> Optional[Record]:
    """None for a line that is not what was written."""
    checksum, _, payload = line.rstrip(b"\n").partition(b" ")
    at, _, raw = payload.partition(b" ")
    try:
        return Record(int(at), raw) if int(checksum, 16) == crc32(payload) else None
    except ValueError:
        return None


class Lane:
    """Written by its owner, read by whoever holds the lock. `tail` is where it ends, `cursor` where reading goes on."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock
        self._segment: Optional[int] = None
        self._done = os.open(folder / "done", os.O_RDWR | os.O_CREAT, _MODE)
        self.settled = self._read_done()
        self.cursor = self.settled
        numbers = self._numbers()
        last = numbers[-1] if numbers else self.settled.segment
        self._last, self._length_of_last = last, self._length(last)

    @property
    def tail(self) -> Position:
        return Position(self._last, self._length_of_last)

    @property
    def segment_bytes(self) -> int:
        """How long the last segment is."""
        return self._length_of_last

    @classmethod
    def make(cls, folder: Path) -> Lane:
        """Raises `OSError`; then nothing of it is left."""
        hidden = folder.with_name(f".{folder.name}")
        hidden.mkdir(mode=0o700)
        lock = None
        try:
            lock = os.open(hidden / "lock", os.O_RDWR | os.O_CREAT, _MODE)
            fcntl.flock(lock, fcntl.LOCK_EX)
            os.close(os.open(hidden / "done", os.O_RDWR | os.O_CREAT, _MODE))
            hidden.rename(folder)  # it is there for others when it is locked
            return cls(folder, lock)
        except OSError:
            if lock is not None:
                os.close(lock)
            shutil.rmtree(hidden, ignore_errors=True)
            raise

    @classmethod
    def adopt(cls, folder: Path) -> Optional[Lane]:
        """The lane of a process that is gone; None while it lives, or if another took it first."""
        try:
            lock = os.open(folder / "lock", os.O_RDWR)
        except OSError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_nlink:
                return cls(folder, lock)
        except OSError:
            pass
        os.close(lock)
        return None

    def append(self, line: bytes, *, force: bool = False) -> None:
        """`force`: to the disk. Raises `OSError`; then nothing of the line is left."""
        if self._segment is None:
            self._open_segment()
        assert self._segment is not None
        try:
            written = os.write(self._segment, line)
            if force:
                os.fsync(self._segment)
        except OSError:
            self._cut_back()
            raise
        if written < len(line):
            self._cut_back()
            raise OSError("the disk is full")
        self._length_of_last += written

    def roll(self) -> None:
        """What comes goes into a new segment."""
        self._close_segment()
        self._last, self._length_of_last = self._last + 1, 0

    def read(self, most: int, most_bytes: int) -> Batch:
        """From the cursor on, which moves behind what was read. Raises `OSError`; then it stays where it was."""
        before = self.cursor
        try:
            return self._read(most, most_bytes)
        except OSError:
            self.cursor = before
            raise

    def _read(self, most: int, most_bytes: int) -> Batch:
        records: list[Record] = []
        lines = size = 0
        while lines < most and size < most_bytes and self.cursor != self.tail:
            limit = self.tail.offset if self.cursor.segment == self.tail.segment else self._length(self.cursor.segment)
            if self.cursor.offset >= limit:
                self.cursor = Position(self.cursor.segment + 1, 0)
                continue
            for line in self._lines(limit, most - lines, most_bytes - size):
                record = record_of(line)
                records += [record] if record else []
                lines, size = lines + 1, size + len(line)
                self.cursor = Position(self.cursor.segment, self.cursor.offset + len(line))
        return Batch(records, lines, size, self.cursor)

    def settle(self, to: Position) -> None:
        """A disk that is full or read-only is no reason to send anything again: only another process would, and is told by the ids."""
        before, self.settled = self.settled, to
        with suppress(OSError):
            for number in range(before.segment, to.segment):
                self._path(number).unlink(missing_ok=True)
            os.pwrite(self._done, (_DONE % to).encode(), 0)

    def count(self) -> tuple[int, int]:
        """Lines and bytes from the cursor on; a torn end counts as a line."""
        lines = size = 0
        for number in [number for number in self._numbers() if number >= self.cursor.segment]:
            with self._path(number).open("rb") as file:
                file.seek(self.cursor.offset if number == self.cursor.segment else 0)
                block = b"\n"
                while following := file.read(1 << 20):
                    block = following
                    lines, size = lines + block.count(b"\n"), size + len(block)
                lines += not block.endswith(b"\n")
        return lines, size

    def sync(self) -> Optional[int]:
        """A descriptor of the open segment, for the caller to fsync and close."""
        return None if self._segment is None else os.dup(self._segment)

    def remove(self) -> None:
        """The lock goes last: who holds an unlinked one knows that the lane is gone."""
        with suppress(OSError):
            for number in self._numbers():
                self._path(number).unlink(missing_ok=True)
            for name in ("done", "lock"):
                (self.folder / name).unlink(missing_ok=True)
            self.folder.rmdir()
        self.close()

    def close(self) -> None:
        self._close_segment()
        os.close(self._done)
        os.close(self._lock)

    def _lines(self, limit: int, most: int, most_bytes: int) -> list[bytes]:
        """Whole lines from the cursor on, at least one; the end of a torn segment counts as one."""
        size = min(limit - self.cursor.offset, max(most_bytes, 1))
        with self._path(self.cursor.segment).open("rb") as file:
            file.seek(self.cursor.offset)
            block = file.read(size)
            if not block.endswith(b"\n"):
                block += file.readline(limit - self.cursor.offset - len(block))
        *lines, torn = block.split(b"\n")
        return [*(line + b"\n" for line in lines), *([torn] if torn else [])][:most]

    def _open_segment(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._segment = os.open(self._path(self.tail.segment), flags, _MODE)

    def _close_segment(self) -> None:
        if self._segment is not None:
            os.close(self._segment)
            self._segment = None

    def _cut_back(self) -> None:
        with suppress(OSError):
            if self._segment is not None:
                os.ftruncate(self._segment, self.tail.offset)

    def _read_done(self) -> Position:
        """From the beginning where it cannot be read: what was sent before is told by its id."""
        try:
            return Position(*map(int, os.pread(self._done, 64, 0).split()))
        except (TypeError, ValueError):
            return Position(1, 0)

    def _numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in self.folder.glob("*.events") if _SEGMENT.fullmatch(path.stem))

    def _length(self, number: int) -> int:
        path = self._path(number)
        return path.stat().st_size if path.exists() else 0

    def _path(self, number: int) -> Path:
        return self.folder / f"{number:08d}.events"
