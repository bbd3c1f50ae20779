"""A result in the form that was asked for."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from consentryd.analytics.question import Envelope

JSON: Final = "application/json"
CSV: Final = "text/csv"
ARROW: Final = "application/vnd.apache.arrow.stream"
PARQUET: Final = "application/vnd.apache.parquet"

#: A cell that begins so is a formula to a spreadsheet; money below 0 is a number.
_FORMULA: Final = re.compile(r"[=+@\t\r]|-(?!\d+(\.\d+)?\Z)", re.ASCII)


def encode(result: Envelope, media_type: str, table: str | None = None) -> bytes:
    """The whole result as JSON, or its rows, or another of its tables, as CSV, an Arrow stream or Parquet."""
    if media_type == JSON:
        return result.model_dump_json(by_alias=True).encode()
    return encode_table(to_table(result.table(table)), media_type)


def encode_table(table: pa.Table, media_type: str) -> bytes:
    """A table in one of the three tabular forms."""
    return _ENCODERS[media_type](table)


def to_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table. A column in which money meets other numbers is float64; lists become JSON."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _column([row.get(name) for row in rows]) for name in names})


def _column(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds & {list, dict, tuple} or (str in kinds and len(kinds) > 1):
        return pa.array(
            [None if value is None else value if isinstance(value, str) else _json(value) for value in values], pa.string()
        )
    if float in kinds or (Decimal in kinds and len(kinds) > 1):
        return pa.array([None if value is None else float(value) for value in values], pa.float64())
    return pa.array(values)


def _json(value: Any) -> str:
    return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _csv(table: pa.Table) -> bytes:
    safe = pa.table({name: _defused(table[name]) for name in table.column_names})
    sink = io.BytesIO()
    pyarrow.csv.write_csv(safe, sink, pyarrow.csv.WriteOptions(quoting_style="needed"))
    return sink.getvalue()


def _defused(column: Any) -> Any:
    """Texts that a spreadsheet would compute get an apostrophe in front; lists and structs are JSON."""
    if pa.types.is_nested(column.type):
        column = pa.chunked_array([[None if each is None else _json(each) for each in column.to_pylist()]], pa.string())
    if not pa.types.is_string(column.type):
        return column.cast(pa.string()) if pa.types.is_null(column.type) else column
    texts = [f"'{text}" if text is not None and _FORMULA.match(text) else text for text in column.to_pylist()]
    return pa.array(texts, pa.string())


def _arrow(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


_ENCODERS: Final[dict[str, Callable[[pa.Table], bytes]]] = {CSV: _csv, ARROW: _arrow, PARQUET: _parquet}
TABULAR: Final = tuple(_ENCODERS)
MEDIA_TYPES: Final = (JSON, *TABULAR)
