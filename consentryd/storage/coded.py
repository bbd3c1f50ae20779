"""Columns of a lake file as arrays: numbers as they are, everything of few values as codes into a list of those.

Parquet keeps such columns as codes already, so that this is three to five times faster than making texts of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from consentryd.model.error import CorruptStore
from consentryd.storage.parquet import STATISTICS
from consentryd.storage.promoted import pointers_of, promote

#: The code of a value that is null.
NONE: Final = -1
#: Columns that are numbers of their own in each row, or texts too many to be worth a code.
PLAIN: Final = frozenset({"subject", "time", "received_at", "session"})
UNCODED: Final = frozenset({*PLAIN, "event_id", "properties", "visitor", "redactions", "consent_ref"})

Int32s = np.ndarray[tuple[int], np.dtype[np.int32]]
Int64s = np.ndarray[tuple[int], np.dtype[np.int64]]


class Coded(NamedTuple):
    """Row i has the value `values[codes[i]]`, null where the code is `NONE`; with `codes` None each row has the only one."""

    codes: Int32s | None
    values: pa.Array


class Columns(NamedTuple):
    """Some columns of some events, in the order of the file. Plain ones are int64 (times in microseconds) and `NONE` where null."""

    rows: int
    plain: Mapping[str, Int64s]
    coded: Mapping[str, Coded]

    def at(self, rows: Any) -> Columns:
        """Some of the rows: a slice, or their positions."""
        plain = {name: column[rows] for name, column in self.plain.items()}
        coded = {name: Coded(None if codes is None else codes[rows], values) for name, (codes, values) in self.coded.items()}
        return Columns(len(plain["subject"]), plain, coded)


def read_columns(path: str, plain: Sequence[str], coded: Sequence[str], rows: int) -> Iterator[Columns]:
    """Columns of a lake file, whole row groups of together about `rows` at a time; those of promoted properties that it lacks are made.

    Raises `CorruptStore`.
    """
    try:
        metadata = pq.read_metadata(path, memory_map=True)
        places = _places(metadata)
        there = {name: places[name] for name in coded if name in places}
        missing = pointers_of([name for name in coded if name not in places])
        constants = {name: Coded(None, pa.array([value])) for name, value in _constants(metadata, there).items()}
        varying = [name for name in there if name not in constants]
        read = [*plain, *varying, *(["properties"] if missing else [])]
        with pq.ParquetFile(path, memory_map=True, metadata=metadata, read_dictionary=varying) as file:
            for groups in _together(metadata, rows):
                yield columns_of(promote(file.read_row_groups(groups, read, use_threads=False), missing), plain, coded, constants)
    except (OSError, pa.ArrowException) as error:
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error


def _places(metadata: Any) -> dict[str, int]:
    """The columns of a file by name. Its own list of them and itself would hold each other, and all that is known of the file, in memory."""
    if not metadata.num_row_groups:
        return {}
    group = metadata.row_group(0)
    return {group.column(place).path_in_schema: place for place in range(metadata.num_columns)}


def _together(metadata: Any, rows: int) -> Iterator[list[int]]:
    """Row groups that follow each other, as many as are at least `rows`."""
    groups, count = [], 0
    for group in range(metadata.num_row_groups):
        groups.append(group)
        count += metadata.row_group(group).num_rows
        if count >= rows:
            yield groups
            groups, count = [], 0
    if groups:
        yield groups


def columns_of(
    table: pa.Table, plain: Sequence[str], coded: Sequence[str], constants: Mapping[str, Coded] | None = None
) -> Columns:
    """Columns of events as Arrow has them."""
    known = constants or {}
    return Columns(
        table.num_rows,
        {name: _numbers(table[name]) for name in plain},
        {name: known[name] if name in known else encode(table[name]) for name in coded},
    )


def encode(column: pa.ChunkedArray) -> Coded:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.chunk(0) if column.num_chunks == 1 else column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no chunk at all
        return Coded(np.empty(0, np.int32), pa.array([], column.type.value_type))
    indices = whole.indices
    codes = (indices.fill_null(NONE) if indices.null_count else indices).to_numpy(zero_copy_only=False)
    return Coded(codes.astype(np.int32, copy=False), whole.dictionary)


def _numbers(column: pa.ChunkedArray) -> Int64s:
    whole = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    whole = whole if pa.types.is_int64(whole.type) else whole.cast(pa.int64())
    found: Int64s = (whole.fill_null(NONE) if whole.null_count else whole).to_numpy(zero_copy_only=False)
    return found


def constants(path: str) -> dict[str, str]:
    """The columns of texts of which a lake file's statistics say that all rows have one value. Raises `CorruptStore`."""
    try:
        metadata = pq.read_metadata(path, memory_map=True)
        return _constants(metadata, _places(metadata))
    except (OSError, pa.ArrowException) as error:
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error


def _constants(metadata: Any, places: Mapping[str, int]) -> dict[str, str]:
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    found = {
        name: _constant([group.column(place).statistics for group in groups])
        for name, place in places.items()
        if name in STATISTICS
    }
    return {name: value for name, value in found.items() if value is not None}


def _constant(statistics: Sequence[Any]) -> str | None:
    """The value that all rows of some row groups have, if it is a text and there is only one."""
    for each in statistics:
        if each is None or not each.has_min_max or each.null_count or each.min != each.max or each.min != statistics[0].min:
            return None
    return statistics[0].min if statistics and isinstance(statistics[0].min, str) else None
