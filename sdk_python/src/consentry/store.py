"""Where events wait. One batch at a time is out; a store is used under its owner's lock."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple, Protocol


class Record(NamedTuple):
    """An event as it will be sent, and when it was accepted (seconds)."""

    at: int
    raw: bytes


class Store(Protocol):
    """`waiting` and `waiting_bytes` do not count the batch that is out. `lasting`: what waits outlives the process."""

    waiting: int
    waiting_bytes: int
    lasting: bool

    def put(self, record: Record) -> bool:
        """False if there is no room. Raises `OSError` if it could not be written."""
        ...

    def take(self, most: int, most_bytes: int) -> list[Record]:
        """The oldest, at least one if any wait; they are out until `settle`."""
        ...

    def settle(self, again: Sequence[Record]) -> None:
        """What is out is done with, except for `again`, which waits once more."""
        ...

    def look_after(self) -> None:
        """Called now and then by the sending thread, without the lock."""
        ...

    def welcome(self) -> None:
        """What was found meanwhile waits from now on."""
        ...

    def forget(self) -> None:
        """In a forked child: what waits is the parent's."""
        ...

    def close(self) -> None: ...


class MemoryStore:
    """Bounded by events and bytes; what is new and does not fit is refused."""

    lasting = False

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._records: deque[Record] = deque()
        self._out: list[Record] = []
        self._out_bytes = 0
        self.waiting = 0
        self.waiting_bytes = 0

    def put(self, record: Record) -> bool:
        size = len(record.raw)
        if self.waiting + len(self._out) >= self._most or self.waiting_bytes + self._out_bytes + size > self._most_bytes:
            return False
        self._records.append(record)
        self.waiting += 1
        self.waiting_bytes += size
        return True

    def take(self, most: int, most_bytes: int) -> list[Record]:
        self._out = cut(self._records, most, most_bytes)
        self._out_bytes = sum(len(record.raw) for record in self._out)
        for _ in self._out:
            self._records.popleft()
        self.waiting -= len(self._out)
        self.waiting_bytes -= self._out_bytes
        return list(self._out)

    def settle(self, again: Sequence[Record]) -> None:
        self._out, self._out_bytes = [], 0
        self._records.extendleft(reversed(again))
        self.waiting += len(again)
        self.waiting_bytes += sum(len(record.raw) for record in again)

    def look_after(self) -> None:
        """Nothing to do."""

    def welcome(self) -> None:
        """Nothing is ever found."""

    def forget(self) -> None:
        self._records.clear()
        self._out, self._out_bytes = [], 0
        self.waiting = self.waiting_bytes = 0

    def close(self) -> None:
        """Nothing to do."""


def cut(records: deque[Record], most: int, most_bytes: int) -> list[Record]:
    """The first ones, at least one, with at most `most_bytes` together."""
    taken: list[Record] = []
    size = 0
    for record in islice(records, most):
        size += len(record.raw)
        if taken and size > most_bytes:
            break
        taken.append(record)
    return taken
