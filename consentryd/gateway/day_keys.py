"""The keys of the daily tokens: 32 random bytes a UTC day, in memory that the workers share and no file system has a name for.

The memory is locked against swapping where the system allows, and left out of core dumps. A key is overwritten when its day is over and
the grace has passed; a restart of the whole gateway loses it earlier, and visitors of that day are then counted anew.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import mmap
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from multiprocessing.reduction import DupFd
from typing import Any, Final

from consentryd.model.clock import DAY, MINUTE, SECOND

KEY_BYTES: Final = 32
#: For requests that came in before midnight and are worked on after it.
GRACE: Final = 10 * MINUTE
_SLOTS: Final = 2
_DAY_BYTES: Final = 8
_SLOT_BYTES: Final = _DAY_BYTES + KEY_BYTES


class DayKeys:
    """Pickled to a worker process it is the same memory there. Use it from one thread of each process."""

    def __init__(self, descriptor: int | None = None) -> None:
        """`descriptor` is that of the memory, if another process made it."""
        if descriptor is None:
            descriptor = os.memfd_create("day-keys", os.MFD_CLOEXEC)
            os.ftruncate(descriptor, mmap.PAGESIZE)
        self._map(descriptor)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (DupFd(self._descriptor),)

    def key(self, now: int) -> bytes | None:
        """The key of the day of `now` (UTC microseconds), made if it is the newest; None for a day whose key is gone."""
        day = now // DAY
        found = self._find(day)
        if found is not None:
            return found
        with self._locked():
            held = [self._read(slot)[0] for slot in range(_SLOTS)]
            if day in held:
                return self._find(day)
            if day < max(held):
                return None
            slot = held.index(min(held))
            self._write(slot, 0, bytes(KEY_BYTES))
            self._write(slot, day, secrets.token_bytes(KEY_BYTES))
        return self._find(day)

    def expire(self, now: int) -> list[str]:
        """Overwrite keys whose day and grace are over, and those of days that are still to come, made while the clock was ahead: no key of
        an earlier day would be made until then. The days (`YYYY-MM-DD`) whose keys are still there."""
        with self._locked():
            for slot in range(_SLOTS):
                day, _ = self._read(slot)
                if day and not day * DAY - GRACE <= now < (day + 1) * DAY + GRACE:
                    self._write(slot, 0, bytes(KEY_BYTES))
        held = sorted(day for slot in range(_SLOTS) if (day := self._read(slot)[0]))
        return [f"{datetime.fromtimestamp(day * DAY // SECOND, UTC):%Y-%m-%d}" for day in held]

    def close(self) -> None:
        """Let go of the memory; the keys die with the last process that has it."""
        self._memory.close()
        os.close(self._descriptor)

    def _map(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._memory = mmap.mmap(descriptor, mmap.PAGESIZE)
        with contextlib.suppress(OSError):
            self._memory.madvise(mmap.MADV_DONTDUMP)
        view = ctypes.c_char.from_buffer(self._memory)
        with contextlib.suppress(
            OSError, AttributeError
        ):  # without the right to lock, the memory is merely not written to any file
            ctypes.CDLL(None).mlock(ctypes.addressof(view), mmap.PAGESIZE)
        del view

    def _find(self, day: int) -> bytes | None:
        for slot in range(_SLOTS):
            held, key = self._read(slot)
            if held == day:
                return key
        return None

    def _read(self, slot: int) -> tuple[int, bytes]:
        start = slot * _SLOT_BYTES
        raw = self._memory[start : start + _SLOT_BYTES]
        return int.from_bytes(raw[:_DAY_BYTES], "little"), raw[_DAY_BYTES:]

    def _write(self, slot: int, day: int, key: bytes) -> None:
        """The key first: who sees the day sees its whole key."""
        start = slot * _SLOT_BYTES
        self._memory[start + _DAY_BYTES : start + _SLOT_BYTES] = key
        self._memory[start : start + _DAY_BYTES] = day.to_bytes(_DAY_BYTES, "little")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Record locks are between processes, which is what shares this memory."""
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


def _rebuild(descriptor: Any) -> DayKeys:
    return DayKeys(descriptor.detach())
