"""Partial results by bucket. A key says everything a partial depends on, so that an entry is never wrong, only unused."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

import pyarrow as pa


class PartialKey(NamedTuple):
    """`data` names the rows that a bucket holds for the range: its files, its part of the log's tail, and what is hidden or merged."""

    region: str
    bucket: int
    data: Hashable
    statement: str


class PartialCache:
    """The tables used last, of at most `limit` bytes in all. Shared by threads.

    Files never change, so what a bucket's files say is kept until another file joins them; new events of the log's tail make new keys
    for the buckets of their subjects only.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._tables: OrderedDict[PartialKey, pa.Table] = OrderedDict()
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: PartialKey) -> pa.Table | None:
        with self._lock:
            found = self._tables.get(key)
            if found is None:
                self.misses += 1
                return None
            self._tables.move_to_end(key)
            self.hits += 1
            return found

    def put(self, key: PartialKey, table: pa.Table) -> None:
        size = _size(key, table)
        with self._lock:
            if size > self._limit // 4 or key in self._tables:
                return
            self._tables[key] = table
            self._bytes += size
            while self._bytes > self._limit:
                self._bytes -= _size(*self._tables.popitem(last=False))

    def clear(self) -> None:
        """Forget everything, as after an erasure."""
        with self._lock:
            self._tables.clear()
            self._bytes = 0


def _size(key: PartialKey, table: pa.Table) -> int:
    return int(table.nbytes) + len(key.statement) + 500
