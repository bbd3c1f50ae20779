"""Computing SQL expressions once for each combination of values that there is, rather than for each row.

An expression that reads columns of few values only (the event's name, a country, a promoted property) has few results. They are computed
by DuckDB, so that they are what a statement over the rows would give.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from consentryd.model.error import Unprocessable
from consentryd.storage.coded import UNCODED, Coded

if TYPE_CHECKING:
    import duckdb

#: Up to so many combinations of values are counted rather than sorted.
MAX_COMBINATIONS: Final = 1 << 20
_TOKEN: Final = re.compile(
    r"'(?:[^']|'')*'"  # a text
    r'|\b(?P<row>[A-Za-z_]\w*)\s*\.\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<name>[A-Za-z_]\w*))'  # a column of a row
    r"|\b(?P<select>SELECT|OVER|UNNEST)\b",
    re.IGNORECASE,
)


class Looked(NamedTuple):
    """`codes[i]` is the place of row i's results in `results`, one array for each expression; with `codes` None all rows have the first."""

    codes: np.ndarray[tuple[int], np.dtype[Any]] | None
    results: Sequence[pa.Array]


def columns_read(expression: str) -> frozenset[str] | None:
    """The columns of the row `e` that an expression reads; None if it reads anything else, or one that has too many values."""
    found = set()
    for token in _TOKEN.finditer(expression):
        if token["select"]:
            return None
        if token["row"] is not None:
            name = token["name"] or token["quoted"].replace('""', '"')
            if token["row"] != "e" or name in UNCODED:
                return None
            found.add(name)
    return frozenset(found)


def look_up(
    connection: duckdb.DuckDBPyConnection,
    expressions: Sequence[str],
    columns: Mapping[str, Coded],
    rows: np.ndarray[tuple[int], np.dtype[np.int64]] | None = None,
) -> Looked:
    """The results of expressions over `columns`, of all rows or of some."""
    varying = {name: column for name, column in columns.items() if column.codes is not None}
    codes, places = _single(varying.values()) if rows is None and len(varying) == 1 else _combined(varying.values(), rows)
    taken = {name: column.values.take(pa.array(place)) for (name, column), place in zip(varying.items(), places, strict=True)}
    count = 1 if codes is None else len(places[0])
    taken |= {name: pa.repeat(column.values[0], count) for name, column in columns.items() if column.codes is None}
    taken["?"] = pa.nulls(count, pa.bool_())
    selected = ", ".join(f"{expression} AS r{number}" for number, expression in enumerate(expressions))
    found = connection.from_arrow(pa.table(taken)).set_alias("e").project(selected).to_arrow_table()
    return Looked(codes, [found[f"r{number}"].combine_chunks() for number in range(len(expressions))])


def _single(columns: Collection[Coded]) -> tuple[Any, list[Any]]:
    """Rows by their own codes: what a null gives comes last, where the code `NONE` finds it."""
    (column,) = columns
    places = np.arange(len(column.values) + 1)
    return column.codes, [np.ma.masked_equal(places, len(column.values))]


def _combined(
    columns: Collection[Coded], rows: np.ndarray[tuple[int], np.dtype[np.int64]] | None
) -> tuple[np.ndarray[tuple[int], np.dtype[Any]] | None, list[Any]]:
    """Rows as codes of combinations, and of each combination the place in each column's values, masked where null."""
    if not columns:
        return None, []
    sizes = [len(column.values) + 1 for column in columns]
    total = math.prod(sizes)
    if total > np.iinfo(np.int64).max:
        raise Unprocessable("too_expensive", "A condition looks at too many values together.")
    kind = np.int32 if total <= np.iinfo(np.int32).max else np.int64
    codes: Any = None
    for column, size in zip(columns, sizes, strict=True):
        found: Any = column.codes
        own = (found if rows is None else found[rows]) + 1
        codes = own.astype(kind, copy=False) if codes is None else codes * size + own
    if total <= MAX_COMBINATIONS:
        present = np.flatnonzero(np.bincount(codes, minlength=1))
        renamed = np.zeros(total, np.int32)
        renamed[present] = np.arange(len(present), dtype=np.int32)
        codes = renamed[codes]
    else:
        present, codes = np.unique(codes, return_inverse=True)
    return codes, list(_places(present, sizes))


def _places(combinations: Any, sizes: Sequence[int]) -> Iterator[Any]:
    rest = combinations
    found = []
    for size in reversed(sizes):
        found.append(np.ma.masked_less(rest % size - 1, 0))
        rest = rest // size
    yield from reversed(found)
