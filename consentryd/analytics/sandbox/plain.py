"""What a statement gives, in columns that every form of an answer can hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np
import pyarrow as pa

from consentryd.analytics import literal

if TYPE_CHECKING:
    import duckdb

_PLAIN: Final = frozenset({
    "boolean", "tinyint", "smallint", "integer", "bigint", "hugeint", "utinyint", "usmallint", "uinteger", "ubigint", "uhugeint",
    "float", "double", "decimal", "varchar", "null",
})  # fmt: skip
_DATED: Final = frozenset({
    "date", "timestamp", "timestamp_s", "timestamp_ms", "timestamp_ns", "timestamp_us", "timestamp with time zone",
})  # fmt: skip
_NESTED: Final = frozenset({"list", "array", "struct", "map"})
#: Years that Python, and JSON made by it, can write.
_FIRST, _END = np.datetime64("0001-01-01", "us"), np.datetime64("9999-12-31T23:59:59.999999", "us")


def plain_columns(found: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Intervals, blobs and other kinds that some form lacks become texts; lists and structs that hold such, or times, become JSON."""
    columns = zip(found.columns, found.types, strict=True)
    return found.project(", ".join(_column(place, name, kind) for place, (name, kind) in enumerate(columns, start=1)))


def plain_times(table: pa.Table) -> pa.Table:
    """Columns of times become texts where they hold infinity, nanoseconds or a year beyond 1 to 9999."""
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type):
            texts = _texts(table.column(place), field.type)
            if texts is not None:
                table = table.set_column(place, field.name, texts)
    return table


def _column(place: int, name: str, kind: Any) -> str:
    value = f"#{place}"
    if kind.id in _NESTED:
        value = value if _holds_plain(kind) else f"CAST(to_json({value}) AS VARCHAR)"
    elif kind.id not in _PLAIN | _DATED:
        value = f"CAST({value} AS VARCHAR)"
    return f"{value} AS {literal.name(name)}"


def _holds_plain(kind: Any) -> bool:
    if kind.id not in _NESTED:
        return kind.id in _PLAIN
    return all(_holds_plain(child) for _, child in kind.children if not isinstance(child, int))


def _texts(column: pa.ChunkedArray, kind: Any) -> pa.Array | None:
    """The column as texts if it cannot stay what it is."""
    unit = "D" if pa.types.is_date32(kind) else kind.unit
    numbers = column.cast(pa.int32() if unit == "D" else pa.int64())
    known = numbers.drop_null().to_numpy()
    bounds = [bound.astype(f"datetime64[{unit}]").astype(np.int64) for bound in (_FIRST, _END)] if unit != "ns" else [0, -1]
    if not len(known) or (known.min() >= bounds[0] and known.max() <= bounds[1]):
        return None
    endless = np.iinfo(known.dtype).max
    zone = "+00:00" if unit != "D" and kind.tz else ""
    return pa.array([_text(number, unit, endless, zone) for number in numbers.to_pylist()], pa.string())


def _text(number: int | None, unit: str, endless: int, zone: str) -> str | None:
    if number is None:
        return None
    if abs(number) == endless:
        return "infinity" if number > 0 else "-infinity"
    return str(np.datetime64(number, cast(Any, unit))).replace("T", " ") + zone
