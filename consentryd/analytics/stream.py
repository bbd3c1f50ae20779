"""What the kernels are given: the events of one subject bucket as arrays, sorted by (subject, time).

The engine makes one `Stream` for each bucket of each region. No subject is in two streams of one query, so counts add up over streams,
and a kernel is a pure function from a stream and the query's parameters to a partial result that can be added to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

Int64s = np.ndarray[tuple[int], np.dtype[np.int64]]
Int32s = np.ndarray[tuple[int], np.dtype[np.int32]]
Int16s = np.ndarray[tuple[int], np.dtype[np.int16]]
Bools = np.ndarray[tuple[int], np.dtype[np.bool_]]
Values = np.ndarray[tuple[int], np.dtype[Any]]

#: The code of a text value that is missing or null.
NONE: Final = -1
MAX_DEFINITIONS: Final = 62


class Stream(NamedTuple):
    """Events of one bucket; all arrays have one length, n, which may be 0.

    `subject` int64, ascending; `time` int64, UTC microseconds, ascending within a subject (ties in no particular order);
    `code` int16 >= 0: which of the query's definitions (steps, start and return, exclusions, ...) the event matches, as an index into
    `masks`: bit k of `masks[code]` is set if it matches definition k. An event may match several, or none where the query looks at every
    event. `values` holds the query's value columns: text as int32 codes (`NONE` for missing; `texts[name][code]` is the text, the same
    codes in all streams of a query), numbers as float64 (nan for missing), money as int64 in 1/10,000 of the currency, session as int64.
    """

    subject: Int64s
    time: Int64s
    code: Int16s
    masks: Int64s
    values: Mapping[str, Values] = {}
    texts: Mapping[str, list[str]] = {}

    def matches(self, definition: int) -> Bools:
        """Which events match the definition."""
        found: Bools = ((self.masks >> definition) & 1).astype(np.bool_)[self.code]
        return found

    def starts(self) -> Int64s:
        """Position of each subject's first event, and n at the end: subject i's events are [starts[i], starts[i + 1])."""
        edges = np.flatnonzero(np.diff(self.subject)) + 1 if len(self.subject) else np.empty(0, np.int64)
        ends = [len(self.subject)]
        return np.concatenate([[0], edges, ends] if ends[0] else [[0]]).astype(np.int64)


def one_definition_each(definitions: int) -> Int64s:
    """Masks for streams in which every event matches exactly one definition: code k is definition k."""
    return np.int64(1) << np.arange(definitions, dtype=np.int64)
