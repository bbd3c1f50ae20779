"""Partial results. A key says everything a partial depends on, so that an entry is never wrong, only unused."""

from __future__ import annotations

import pickle
import threading
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from typing import Any, Final, NamedTuple

_ENTRY_BYTES: Final = 500


class PartialKey(NamedTuple):
    """`data` names the rows: files, part of the log's tail, what is hidden or merged. `work` names what was made of them."""

    region: str
    data: Hashable
    work: Hashable


class PartialCache:
    """The partials used last, of at most `limit` bytes in all. Shared by threads; what is in it is never changed.

    Files never change, so what a bucket's files say is kept until another file joins them; new events of the log's tail make new keys
    for the buckets of their subjects only.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._values: OrderedDict[PartialKey, tuple[Any, int]] = OrderedDict()
        self._marks: Mapping[str, str] | None = None
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: PartialKey) -> Any:
        """The partial, or None."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                self.misses += 1
                return None
            self._values.move_to_end(key)
            self.hits += 1
            return found[0]

    def put(self, key: PartialKey, value: Any) -> None:
        """Keep a partial, in the place of what was kept so before; one that has grown is weighed anew."""
        size = size_of(value) + len(str(key.work))
        with self._lock:
            self._bytes -= self._values.pop(key, (None, 0))[1]
            if size > self._limit // 4:
                return
            self._values[key] = value, size
            self._bytes += size
            while self._bytes > self._limit:
                self._bytes -= self._values.popitem(last=False)[1][1]

    def as_of(self, marks: Mapping[str, str]) -> DatedCache:
        """The cache for a query that sees people as `marks` say, by region: who is merged, hidden or has withdrawn.

        What was made when others were seen is forgotten here and now: no key would find it any more, but it would still be there.
        """
        with self._lock:
            if marks != self._marks:
                self._forget()
                self._marks = dict(marks)
        return DatedCache(self, marks)

    def put_as_of(self, marks: Mapping[str, str], key: PartialKey, value: Any) -> None:
        """Keep a partial, unless people are seen otherwise by now."""
        if self._marks == marks:
            self.put(key, value)

    def clear(self) -> None:
        """Forget everything, as after an erasure; also what queries under way have still to put."""
        with self._lock:
            self._forget()
            self._marks = None

    def __len__(self) -> int:
        return len(self._values)

    def _forget(self) -> None:
        self._values.clear()
        self._bytes = 0


class DatedCache(NamedTuple):
    """A cache as one query may use it."""

    cache: PartialCache
    marks: Mapping[str, str]

    def get(self, key: PartialKey) -> Any:
        """The partial, or None."""
        return self.cache.get(key)

    def put(self, key: PartialKey, value: Any) -> None:
        self.cache.put_as_of(self.marks, key, value)


def size_of(value: Any) -> int:
    """About how many bytes a result takes: as many as it says, or as it is long when pickled."""
    size = getattr(value, "nbytes", None)
    return _ENTRY_BYTES + (len(pickle.dumps(value)) if size is None else int(size))
