"""Computing SQL expressions once for each combination of values that there is, rather than for each row.

An expression that reads columns of few values only (the event's name, a country, a promoted property) has few results. They are computed
by DuckDB, so that they are what a statement over the rows would give.
"""

from __future__ import annotations

import math
import re
import threading
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from consentryd.model.error import Unprocessable
from consentryd.storage.coded import NONE, UNCODED, Coded, Int32s, Int64s

if TYPE_CHECKING:
    import duckdb

#: Up to so many combinations of values are counted rather than sorted.
MAX_COMBINATIONS: Final = 1 << 20
#: Up to so many are looked up whether rows have them or not, so that it is done once.
_FEW: Final = 4_096
_TOKEN: Final = re.compile(
    r"'(?:[^']|'')*'"  # a text
    r'|\b(?P<row>[A-Za-z_]\w*)\s*\.\s*(?:"(?P<quoted>(?:[^"]|"")*)"|(?P<name>[A-Za-z_]\w*))'  # a column of a row
    r"|\b(?P<select>SELECT|OVER|UNNEST)\b",
    re.IGNORECASE,
)


class Looked(NamedTuple):
    """`codes[i]` is the place of row i's results in `results`, one array for each expression; with `codes` None all rows have the first.

    With a `table`, `table[codes[i]]` is that place.
    """

    codes: np.ndarray[tuple[int], np.dtype[Any]] | None
    results: Sequence[pa.Array]
    table: Int32s | None = None


class Named(NamedTuple):
    """A column whose values have places among all that were found in it so far, if these are few: `values[table[code]]`."""

    column: Coded
    values: pa.Array
    table: Int32s | None


@lru_cache(maxsize=1_024)
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


class Lookup:
    """Looks expressions up, those over few values once for all rows to come. Shared by threads."""

    def __init__(self) -> None:
        self._vocabularies: dict[str, _Vocabulary] = defaultdict(_Vocabulary)
        self._known: dict[Hashable, _Known] = {}
        self._lock = threading.Lock()

    def named(self, columns: Mapping[str, Coded]) -> dict[str, Named]:
        """The columns with the places of their values."""
        with self._lock:
            return {name: self._vocabularies[name].named(column) for name, column in columns.items()}

    def __call__(
        self,
        connection: duckdb.DuckDBPyConnection,
        expressions: Sequence[str],
        columns: Mapping[str, Named],
        rows: Int64s | None = None,
    ) -> Looked:
        """The results of expressions over `columns`, of all rows or of some."""
        varying = [named for named in columns.values() if named.column.codes is not None]
        few = math.prod(len(named.values) + 1 for named in varying) <= _FEW
        if not few or any(named.table is None for named in varying):
            codes, places = _combined([named.column for named in varying], rows)
            own = {name: named.column for name, named in columns.items()}
            return Looked(codes, _computed(connection, expressions, own, places))
        key = (*expressions, *((name, _identity(named)) for name, named in columns.items()))
        if len(varying) == 1:
            (column, values, table) = varying[0]
            known = self._of(key, connection, expressions, columns, np.arange(len(values) + 1))
            codes = column.codes if rows is None or column.codes is None else column.codes[rows]
            return Looked(codes, known.results, None if table is None else known.table[table + 1])
        crossed = _crossed(varying, rows)
        # Where there are no rows, nulls stand in: a table has results to point at.
        some = crossed is not None and len(crossed) > 0
        there = np.flatnonzero(np.bincount(crossed, minlength=1)) if some else np.zeros(1, np.int64)
        known = self._of(key, connection, expressions, columns, there)
        return Looked(crossed, known.results, None if crossed is None else known.table)

    def _of(
        self,
        key: Hashable,
        connection: duckdb.DuckDBPyConnection,
        expressions: Sequence[str],
        columns: Mapping[str, Named],
        combinations: Int64s,
    ) -> _Known:
        """The results of these combinations and of others that were there before; not of all that could be, which may be an error."""
        known = self._known.get(key)
        if known is None or not known.has(combinations):
            values = [named.values for named in columns.values() if named.column.codes is not None]
            sizes = [len(each) + 1 for each in values]
            seen = combinations if known is None else np.union1d(known.seen, combinations)
            own = {name: named.column._replace(values=named.values) for name, named in columns.items()}
            results = _computed(connection, expressions, own, list(_places(seen, sizes)))
            known = self._known[key] = _Known(values, seen, _table_of(seen, math.prod(sizes)), results)
        return known


class _Known(NamedTuple):
    """Results of the combinations `seen`, and by combination their place. `values` stay, so that no others get their identity."""

    values: Sequence[pa.Array]
    seen: Int64s
    table: Int32s
    results: Sequence[pa.Array]

    def has(self, combinations: Int64s) -> bool:
        return bool((self.table[combinations] != NONE).all())


def _table_of(seen: Int64s, room: int) -> Int32s:
    table = np.full(room, NONE, np.int32)
    table[seen] = np.arange(len(seen))
    return table


class _Vocabulary:
    """The values that a column was found to have, in the order in which they were found, while they are few."""

    def __init__(self) -> None:
        self._codes: dict[Any, int] = {}
        self._values: pa.Array | None = None

    def named(self, column: Coded) -> Named:
        kind = column.values.type
        if column.codes is None or len(column.values) > _FEW:
            return Named(column, column.values, None)
        if self._values is None:
            self._values = column.values.slice(0, 0)
        own = _as_keys(column.values)
        if kind != self._values.type or len(self._codes.keys() | own) > _FEW:
            return Named(column, column.values, None)
        table = np.array([*(self._codes.setdefault(value, len(self._codes)) for value in own), NONE], np.int32)
        if len(self._codes) > len(self._values):
            every = list(self._codes)
            self._values = pa.array(every, pa.int64()).view(kind) if pa.types.is_float64(kind) else pa.array(every, kind)
        return Named(column, self._values, table)


def _as_keys(values: pa.Array) -> list[Any]:
    """Of numbers their bits, for 0 and -0 are equal and not the same text."""
    found: list[Any] = (values.view(pa.int64()) if pa.types.is_float64(values.type) else values).to_pylist()
    return found


def _identity(named: Named) -> Hashable:
    """Tells the values of a column from any other's, for as long as these are there."""
    return named.values[0].as_py() if named.column.codes is None else id(named.values)


def _computed(
    connection: duckdb.DuckDBPyConnection, expressions: Sequence[str], columns: Mapping[str, Coded], places: Sequence[Any]
) -> list[pa.Array]:
    """Results of expressions; `places` are of each column that varies, masked for null."""
    count = len(places[0]) if places else 1
    rest = iter(places)
    taken = {
        name: pa.repeat(column.values[0], count) if column.codes is None else column.values.take(pa.array(next(rest)))
        for name, column in columns.items()
    }
    taken["?"] = pa.nulls(count, pa.bool_())
    selected = ", ".join(f"{expression} AS r{number}" for number, expression in enumerate(expressions))
    found = connection.from_arrow(pa.table(taken)).set_alias("e").project(selected).to_arrow_table()
    return [found[f"r{number}"].combine_chunks() for number in range(len(expressions))]


def _crossed(columns: Sequence[Named], rows: Int64s | None) -> Any:
    """The rows' places among these; None without a column."""
    codes: Any = None
    for (own, _), values, table in columns:
        assert own is not None
        assert table is not None
        place = (table + 1)[own if rows is None else own[rows]]
        codes = place if codes is None else codes * (len(values) + 1) + place
    return codes


def _combined(columns: Sequence[Coded], rows: Int64s | None) -> tuple[np.ndarray[tuple[int], np.dtype[Any]] | None, list[Any]]:
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
