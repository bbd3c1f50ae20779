"""The order of events in a file, (subject, time, event_id), and merging files that are in it without holding them in memory."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
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
        self._start = 0
        self._usual = 0

    @property
    def has_more(self) -> bool:
        """Whether there may be rows behind these."""
        return self._left > 0

    def fill(self) -> bool:
        """Whether there are rows, after reading on if few were left: between heads that end far apart the steps would be small."""
        while self._has_few() and (table := next(self._tables, None)) is not None:
            self._left -= table.num_rows
            if table.num_rows:
                self._add(table)
        return self._rows is not None

    def _has_few(self) -> bool:
        return self._rows is None or 2 * (self._rows.num_rows - self._start) < self._usual

    def _add(self, table: pa.Table) -> None:
        self._usual = max(self._usual, table.num_rows)
        if self._rows is not None:
            table = pa.concat_tables([self._rows.slice(self._start), table])
        self._rows, self._start = table.combine_chunks(), 0
        self._subjects, self._times = (_numbers(self._rows[name]) for name in ("subject", "time"))

    def last(self) -> Key:
        assert self._rows is not None
        return int(self._subjects[-1]), int(self._times[-1]), self._rows["event_id"][len(self._times) - 1].as_py()

    def take(self, cut: Key | None) -> pa.Table:
        """Give away the rows up to and including `cut`; all of them if None."""
        rows, start = self._rows, self._start
        assert rows is not None
        self._start = rows.num_rows if cut is None else self._end(cut)
        if self._start == rows.num_rows:
            self._rows = None
        return rows.slice(start, self._start - start)

    def _end(self, cut: Key) -> int:
        """Behind the last row that is not behind `cut`."""
        subject, time, event_id = cut
        low = bisect_left(self._subjects, subject, self._start)
        high = bisect_right(self._subjects, subject, low)
        first = bisect_left(self._times, time, low, high)
        last = bisect_right(self._times, time, first, high)
        assert self._rows is not None
        return first + bisect_right(self._rows["event_id"].slice(first, last - first).to_pylist(), event_id)


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """The 64-bit values of a column of one chunk, as they are in memory. Nulls (the anonymous lane has no other subjects) count as one."""
    chunk = column.chunk(0)
    if chunk.null_count:
        chunk = chunk.fill_null(-1)
    numbers: npt.NDArray[np.int64] = np.frombuffer(chunk.buffers()[1], np.int64, len(chunk), chunk.offset * 8)
    return numbers
