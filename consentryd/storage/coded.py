"""Columns of a lake file as arrays: numbers as they are, everything of few values as codes into a list of those.

Parquet keeps such columns as codes already, so that this is three to five times faster than making texts of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from consentryd.model.error import CorruptStore

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


def read_columns(path: str, plain: Sequence[str], coded: Sequence[str]) -> Columns:
    """Columns of a lake file; those that it lacks are left out. Raises `CorruptStore`."""
    try:
        metadata = pq.read_metadata(path, memory_map=True)
        names = set(metadata.schema.names)
        there = [name for name in coded if name in names]
        constants = {name: found for name in there if (found := _constant(metadata, name)) is not None}
        varying = [name for name in there if name not in constants]
        with pq.ParquetFile(path, memory_map=True, metadata=metadata, read_dictionary=varying) as file:
            table = file.read([*plain, *varying], use_threads=False)
        return columns_of(table, plain, there, metadata.num_rows, constants)
    except (OSError, pa.ArrowException) as error:
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error


def read_plainly(path: str, names: Sequence[str]) -> pa.Table:
    """Columns of a lake file as Arrow has them. Raises `CorruptStore`."""
    try:
        return pq.read_table(path, columns=list(names), use_threads=False, partitioning=None)
    except (OSError, pa.ArrowException) as error:
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error


def columns_of(
    table: pa.Table, plain: Sequence[str], coded: Sequence[str], rows: int, constants: Mapping[str, Coded] | None = None
) -> Columns:
    """Columns of events as Arrow has them."""
    known = constants or {}
    return Columns(
        rows,
        {name: _numbers(table[name]) for name in plain},
        {name: known[name] if name in known else encode(table[name]) for name in coded},
    )


def encode(column: pa.ChunkedArray) -> Coded:
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no chunk at all
        return Coded(np.empty(0, np.int32), pa.array([], column.type.value_type))
    indices = whole.indices
    codes = (indices.fill_null(NONE) if indices.null_count else indices).to_numpy(zero_copy_only=False)
    return Coded(codes.astype(np.int32, copy=False), whole.dictionary)


def _numbers(column: pa.ChunkedArray) -> Int64s:
    whole = column.cast(pa.int64()).combine_chunks()
    found: Int64s = (whole.fill_null(NONE) if whole.null_count else whole).to_numpy(zero_copy_only=False)
    return found


def _constant(metadata: Any, name: str) -> Coded | None:
    """The value that statistics say all rows have."""
    place = metadata.schema.names.index(name)
    found = set()
    for group in range(metadata.num_row_groups):
        statistics = metadata.row_group(group).column(place).statistics
        if statistics is None or not statistics.has_min_max or statistics.null_count or statistics.min != statistics.max:
            return None
        found.add(statistics.min)
    if len(found) != 1 or not isinstance(value := found.pop(), str):
        return None
    return Coded(None, pa.array([value]))
