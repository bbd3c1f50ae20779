"""Calls back at a time, unless told not to: one thread for all, where a `threading.Timer` is a thread for each."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Final


class Alarm:
    """For any number of threads. Its own thread begins with the first call that is asked for, and does not keep the process alive."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._times: list[tuple[float, int]] = []
        self._calls: dict[int, Callable[[], None]] = {}
        self._numbers = count()
        self._thread: threading.Thread | None = None

    def set(self, seconds: float, call: Callable[[], None]) -> int:
        """Have `call`, which must be short, called in so many seconds; the number that `clear` takes."""
        with self._changed:
            number = next(self._numbers)
            self._calls[number] = call
            heapq.heappush(self._times, (time.monotonic() + seconds, number))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="alarm", daemon=True)
                self._thread.start()
            elif self._times[0][1] == number:
                self._changed.notify()
            return number

    def clear(self, number: int) -> None:
        """Once this returns, the call was made or will not be."""
        with self._changed:
            self._calls.pop(number, None)

    def _run(self) -> None:
        with self._changed:
            while True:
                self._changed.wait(self._ring())

    def _ring(self) -> float | None:
        """Make the calls that are due; the seconds until the next, None if there is none."""
        while self._times:
            at, number = self._times[0]
            left = at - time.monotonic()
            if left > 0 and number in self._calls:
                return left
            heapq.heappop(self._times)
            if call := self._calls.pop(number, None):
                call()
        return None


#: The process's own.
ALARM: Final = Alarm()
