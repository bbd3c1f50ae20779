"""The Arrow schema of stored events, derived from `model.event.COLUMNS`, and the way from log values to it."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import json

from consentryd.model.event import COLUMNS

_ARENA_MAX: Final = -8  # M_ARENA_MAX of malloc.h

MONEY: Final = pa.decimal128(18, 4)

ARROW_TYPES: Final[dict[str, pa.DataType]] = {
    "string": pa.string(),
    "int64": pa.int64(),
    "int16": pa.int16(),
    "time": pa.timestamp("us", tz="UTC"),
    "money": MONEY,
}

#: Times are numbers in JSON.
_LINES: Final = pa.schema(
    [pa.field(column.name, pa.list_(pa.int64() if column.kind == "time" else ARROW_TYPES[column.kind])) for column in COLUMNS]
)

EVENT_SCHEMA: Final = pa.schema([pa.field(column.name, ARROW_TYPES[column.kind]) for column in COLUMNS])


def use_system_memory() -> None:
    """Let Arrow take memory from the system's allocator, which gives it back: sealing 200,000 events leaves 70 MB less behind.

    One arena for all threads, where the C library has arenas (glibc): else each thread that ever sealed keeps its own, 10 MB more.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def keep_pandas_out() -> None:
    """Let Arrow not import pandas, which it does at its first array wherever it is installed: 0.7 s and 40 MB for nothing that is used here.

    Arrow asks once and remembers the answer; `to_pandas` asks anew, and works.
    """
    absent = _Absent()
    sys.meta_path.insert(0, absent)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(absent)


class _Absent(MetaPathFinder):
    def find_spec(self, fullname: str, *_where: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError(fullname, name=fullname)


def read_lines(lines: Sequence[bytes], names: Sequence[str] = EVENT_SCHEMA.names) -> pa.Table:
    """Some columns of lines of JSON as the log keeps them (`storage/block.py`): a row for each line, a list of values in each column, all in
    one chunk.

    Raises `pyarrow.ArrowException` for what is no such JSON, or holds a value of the wrong type.
    """
    text = b"\n".join(lines)
    return json.read_json(
        pa.BufferReader(text),
        read_options=json.ReadOptions(use_threads=False, block_size=len(text) + 1),
        parse_options=json.ParseOptions(
            explicit_schema=pa.schema([_LINES.field(name) for name in names]),
            unexpected_field_behavior="error" if len(names) == len(_LINES) else "ignore",
        ),
    )


def to_events(lists: pa.Table) -> pa.Table:
    """The events of such lists, one behind the other, as an Arrow table of `EVENT_SCHEMA`. No list is null."""
    return typed([column.chunk(0).values for column in lists.columns], EVENT_SCHEMA)


def typed(columns: Sequence[pa.Array], schema: pa.Schema) -> pa.Table:
    """Columns as a table of the schema. What is of its type is not converted: that takes the interpreter for each column."""
    fitting = [each if each.type == kind else each.cast(kind) for each, kind in zip(columns, schema.types, strict=True)]
    return pa.Table.from_arrays(fitting, schema=schema)


def offsets_of(lists: pa.ChunkedArray) -> npt.NDArray[np.int32]:
    """Where each of such lists begins, and the last one ends; as Arrow keeps them, without a copy."""
    chunk = lists.chunk(0)
    offsets: npt.NDArray[np.int32] = np.frombuffer(chunk.buffers()[1], np.int32, len(chunk) + 1, chunk.offset * 4)
    return offsets
