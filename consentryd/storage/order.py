"""The order of events in a file, (subject, time, event_id), and merging files that are in it without holding them in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SORT_KEYS: Final = [
    ("subject", "ascending", "at_start"),
    ("time", "ascending", "at_start"),
    ("event_id", "ascending", "at_start"),
]

Key = tuple[int, int, str]


def sort(table: pa.Table) -> pa.Table:
    whole = table.combine_chunks()
    return whole.take(pc.sort_indices(whole, sort_keys=SORT_KEYS))


def merge(sources: Iterable[Iterator[pa.Table]]) -> Iterator[pa.Table]:
    """Sorted tables from sources that are each sorted. Holds two batches of each source."""
    heads = [_Head(source) for source in sources]
    while heads := [head for head in heads if head.fill()]:
        cut = min((head.last() for head in heads if head.has_more), default=None)
        yield sort(pa.concat_tables([head.take(cut) for head in heads]))


class _Head:
    """The next rows of one source."""

    def __init__(self, source: Iterator[pa.Table]) -> None:
        self._source = source
        self._rows: pa.Table | None = None
        self._next = next(source, None)

    @property
    def has_more(self) -> bool:
        return self._next is not None

    def fill(self) -> bool:
        """Whether there are rows, after reading on if there were none."""
        while (self._rows is None or not self._rows.num_rows) and self._next is not None:
            self._rows, self._next = self._next.combine_chunks(), next(self._source, None)
        return self._rows is not None and self._rows.num_rows > 0

    def last(self) -> Key:
        assert self._rows is not None
        end = self._rows.num_rows - 1
        return int(_subjects(self._rows)[end]), int(_times(self._rows)[end]), self._rows["event_id"][end].as_py()

    def take(self, cut: Key | None) -> pa.Table:
        """Give away the rows up to and including `cut`; all of them if None."""
        assert self._rows is not None
        count = self._rows.num_rows if cut is None else _count_upto(self._rows, cut)
        taken, self._rows = self._rows.slice(0, count), self._rows.slice(count)
        return taken


def _count_upto(rows: pa.Table, cut: Key) -> int:
    subject, time, event_id = cut
    subjects, times = _subjects(rows), _times(rows)
    low, high = (int(np.searchsorted(subjects, subject, side)) for side in ("left", "right"))
    first, last = (low + int(np.searchsorted(times[low:high], time, side)) for side in ("left", "right"))
    return first + bisect_right(rows["event_id"].slice(first, last - first).to_pylist(), event_id)


def _subjects(rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Nulls (a file of the anonymous lane has nothing else) count as one subject."""
    return pc.fill_null(rows["subject"], -1).to_numpy()  # type: ignore[no-any-return]


def _times(rows: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return rows["time"].cast(pa.int64()).to_numpy()  # type: ignore[no-any-return]
