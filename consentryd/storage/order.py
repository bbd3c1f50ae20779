"""The order of events in a file, (subject, time, event_id), and merging files that are in it without holding them in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SORT_KEYS: Final = [
    ("subject", "ascending", "at_start"),
    ("time", "ascending", "at_start"),
    ("event_id", "ascending", "at_start"),
]

Key = tuple[int, int, str]


class Source(NamedTuple):
    """Sorted tables, of `rows` rows in total at the most."""

    tables: Iterator[pa.Table]
    rows: int


def sort(table: pa.Table) -> pa.Table:
    """Column by column: what is sorted is never there twice."""
    keys = table.select([name for name, *_ in SORT_KEYS]).combine_chunks()
    return table.take(pc.sort_indices(keys, sort_keys=SORT_KEYS))


def merge(sources: Iterable[Source]) -> Iterator[pa.Table]:
    """Sorted tables from sources that are each sorted. Holds a batch of each source."""
    heads = [_Head(source) for source in sources]
    while heads := [head for head in heads if head.fill()]:
        cut = min((head.last() for head in heads if head.has_more), default=None)
        yield sort(pa.concat_tables([head.take(cut) for head in heads]))


class _Head:
    """The next rows of one source."""

    def __init__(self, source: Source) -> None:
        self._tables, self._left = source
        self._rows: pa.Table | None = None

    @property
    def has_more(self) -> bool:
        """Whether there may be rows behind these."""
        return self._left > 0

    def fill(self) -> bool:
        """Whether there are rows, after reading on if there were none."""
        while self._rows is None and (table := next(self._tables, None)) is not None:
            self._left -= table.num_rows
            self._rows = table.combine_chunks() if table.num_rows else None
        return self._rows is not None

    def last(self) -> Key:
        assert self._rows is not None
        end = self._rows.num_rows - 1
        return int(_subjects(self._rows)[end]), int(_times(self._rows)[end]), self._rows["event_id"][end].as_py()

    def take(self, cut: Key | None) -> pa.Table:
        """Give away the rows up to and including `cut`; all of them if None."""
        assert self._rows is not None
        rows, count = self._rows, self._rows.num_rows if cut is None else _count_upto(self._rows, cut)
        self._rows = rows.slice(count) if count < rows.num_rows else None
        return rows.slice(0, count)


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
