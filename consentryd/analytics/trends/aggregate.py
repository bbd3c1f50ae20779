"""Maths: how a measure is computed of each bucket's rows, and of all partials together.

A cell is (group, bucket); bucket `RANGE` is the whole range. Buckets of subjects are disjoint, so counts of subjects add up; values that do
not add up (quantiles, distinct values, groups) are gathered with their counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from consentryd.analytics.group import ALL
from consentryd.analytics.quantile import quantile
from consentryd.analytics.trends.model import Math
from consentryd.analytics.trends.rows import NAMED, Naming, as_number

RANGE: Final = -1
Cell = tuple[str, int]
Cells = dict[Cell, Any]

_SHARES: Final[dict[str, float]] = {"median": 0.5, "p75": 0.75, "p90": 0.9, "p95": 0.95, "p99": 0.99}
_NUMBER: Final = as_number()


class Levels(NamedTuple):
    """Which cells are wanted: with each bucket, with all groups together (where groups share no rows)."""

    buckets: bool = True
    together: bool = False

    @property
    def columns(self) -> str:
        """The cell, as two columns."""
        return f"coalesce(g, '{ALL}') AS g, " + (f"coalesce(b, {RANGE}) AS b" if self.buckets else f"{RANGE} AS b")

    def sets(self, more: str = "") -> str:
        """GROUPING SETS; `more` are columns that stay apart in each."""
        sets = ["g, b", "g"] if self.buckets else ["g"]
        if self.together:
            sets += ["b", ""] if self.buckets else [""]
        return "GROUPING SETS (" + ", ".join(f"({', '.join(part for part in (each, more) if part)})" for each in sets) + ")"


class Aggregate(NamedTuple):
    """`statement` makes the partial of one bucket from a subquery of rows; `finish` the cells from all partials, concatenated.

    `scaled`: a count of subjects or events, which a sample multiplies.
    """

    statement: Callable[[str, Levels], str]
    finish: Callable[[pa.Table], Cells]
    scaled: bool
    empty: Any = None
    #: The same of rows whose `g` is still the value itself, with SQL that names the group: so that a name is made once a value.
    of_values: Callable[[str, Levels, Naming], str] | None = None


def aggregate_of(math: Math) -> Aggregate:
    """How a math is computed; `weekly_active`, `monthly_active`, `revenue` and `ratio` have their own modules."""
    if math.startswith("per_user_"):
        return _distribution(math.removeprefix("per_user_"), _counts_per_user)
    if math in _SHARES:
        return _distribution(math, _values)
    if math in {"unique_values", "unique_groups"}:
        return Aggregate(_distinct_values, _count_rows, scaled=False, empty=0)
    return _ADDITIVE[math]


#: How a column of cells is rolled up to larger ones. Sums of counts stay whole numbers.
_ROLLED: Final = {"sum": "CAST(sum({0}) AS {1}) AS {0}", "min": "min({0}) AS {0}", "max": "max({0}) AS {0}"}


def _is_count(columns: str, number: int) -> bool:
    return columns.partition(f" AS x{number}")[0].rpartition(", ")[2].startswith("count(")


def additive(columns: str, finish: Callable[..., Any], ops: Iterable[str], *, scaled: bool, empty: Any = None) -> Aggregate:
    """Columns `x0`, `x1` ... of a GROUP BY, merged by `ops` (sum, min, max), finished by a function of the merged values of a cell."""
    merges = list(ops)
    kinds = ["BIGINT" if _is_count(columns, number) else "DOUBLE" for number in range(len(merges))]
    rolled = ", ".join(_ROLLED[op].format(f"x{number}", kinds[number]) for number, op in enumerate(merges))

    def statement(rows: str, levels: Levels) -> str:
        if "DISTINCT" not in columns:
            return of_values(rows, levels, NAMED)
        return f"SELECT {levels.columns}, {columns} FROM ({rows}) GROUP BY {levels.sets()}"

    def of_values(rows: str, levels: Levels, naming: Naming) -> str:
        cell = "g, b" if levels.buckets else "g"
        once = f"SELECT {cell}, {columns} FROM ({rows}) GROUP BY {cell}"
        named = once if naming is NAMED else f"SELECT * REPLACE ({naming.sql} AS g) FROM ({once})"
        if naming.leaves_out:
            named = f"SELECT * FROM ({named}) WHERE g IS NOT NULL"
        return f"SELECT {levels.columns}, {rolled} FROM ({named}) GROUP BY {levels.sets()}"

    def merged(table: pa.Table) -> Cells:
        whole = table.group_by(["g", "b"]).aggregate([(f"x{number}", op) for number, op in enumerate(merges)])
        values = [whole[f"x{number}_{op}"].to_pylist() for number, op in enumerate(merges)]
        return {cell: finish(*each) for cell, *each in zip(_cells(whole), *values, strict=True)}

    return Aggregate(statement, merged, scaled, empty, None if "DISTINCT" in columns else of_values)


def _unique_statement(rows: str, levels: Levels) -> str:
    """Each subject once per cell; grouping first by subject keeps the distinct counts small."""
    distinct = f"SELECT subject, g, b FROM ({rows}) WHERE subject IS NOT NULL GROUP BY subject, g, b"
    return f"SELECT {levels.columns}, count(DISTINCT subject) AS x0 FROM ({distinct}) GROUP BY {levels.sets()}"


def cumulative_unique(rows: str, levels: Levels) -> str:
    """How many subjects are there for the first time since the range began, by bucket."""
    first = f"SELECT subject, g, min(b) AS b FROM ({rows}) WHERE subject IS NOT NULL GROUP BY subject, g"
    parts = [f"SELECT g, b, count(*) AS x0 FROM ({first}) GROUP BY g, b"]
    if levels.together:
        parts.append(
            f"SELECT '{ALL}' AS g, b, count(*) AS x0 FROM (SELECT subject, min(b) AS b FROM ({first}) GROUP BY subject) GROUP BY b"
        )
    return " UNION ALL ".join(parts)


def _only(value: Any) -> Any:
    return value or 0


def _mean(total: float | None, count: int) -> float | None:
    """Of nothing there is none; of rows without a number the total is 0."""
    return (total or 0.0) / count if count else None


_ADDITIVE: Final[dict[str, Aggregate]] = {
    "total": additive("count(*) AS x0", _only, ["sum"], scaled=True, empty=0),
    "first_time_event": additive("count(*) AS x0", _only, ["sum"], scaled=True, empty=0),
    "first_match": additive("count(*) AS x0", _only, ["sum"], scaled=True, empty=0),
    "unique_sessions": additive(
        "count(DISTINCT (subject, session)) FILTER (subject IS NOT NULL AND session IS NOT NULL) AS x0",
        _only, ["sum"], scaled=True, empty=0,
    ),
    "sum": additive(f"fsum({_NUMBER}) AS x0", _only, ["sum"], scaled=True, empty=0),
    "avg": additive(f"fsum({_NUMBER}) AS x0, count({_NUMBER}) AS x1", _mean, ["sum", "sum"], scaled=False),
    "min": additive(f"min({_NUMBER}) AS x0", lambda value: value, ["min"], scaled=False),
    "max": additive(f"max({_NUMBER}) AS x0", lambda value: value, ["max"], scaled=False),
    "sum_per_user": additive(
        f"fsum({_NUMBER}) FILTER (subject IS NOT NULL) AS x0, count(DISTINCT subject) AS x1", _mean, ["sum", "sum"], scaled=False
    ),
}  # fmt: skip
NON_NUMERIC: Final = additive(
    f"count(*) FILTER (v IS NOT NULL AND {_NUMBER} IS NULL) AS x0", _only, ["sum"], scaled=True, empty=0
)
_ADDITIVE["unique"] = _ADDITIVE["total"]._replace(statement=_unique_statement, of_values=None)
UNIQUE: Final = _ADDITIVE["unique"]


def _distribution(what: str, statement: Callable[[str, Levels], str]) -> Aggregate:
    def finish(table: pa.Table) -> Cells:
        return {cell: _summary(what, values, counts) for cell, values, counts in _distributions(table)}

    return Aggregate(statement, finish, scaled=False)


def _counts_per_user(rows: str, levels: Levels) -> str:
    """How many subjects have how many rows, for each cell."""
    counted = f"SELECT {levels.columns}, count(*) AS x FROM ({rows}) WHERE subject IS NOT NULL GROUP BY {levels.sets('subject')}"
    return f"SELECT g, b, CAST(x AS DOUBLE) AS x, count(*) AS n FROM ({counted}) GROUP BY g, b, x"


def _values(rows: str, levels: Levels) -> str:
    """Which numbers are there how often, for each cell."""
    numbers = f"SELECT g, b, {_NUMBER} AS x FROM ({rows})"
    return f"SELECT {levels.columns}, x, count(*) AS n FROM ({numbers}) WHERE x IS NOT NULL GROUP BY {levels.sets('x')}"


def _distinct_values(rows: str, levels: Levels) -> str:
    return f"SELECT {levels.columns}, v AS x FROM ({rows}) WHERE v IS NOT NULL AND v <> '' GROUP BY {levels.sets('v')}"


def _count_rows(table: pa.Table) -> Cells:
    distinct = table.group_by(["g", "b", "x"]).aggregate([])
    counted = distinct.group_by(["g", "b"]).aggregate([([], "count_all")])
    return dict(zip(_cells(counted), counted["count_all"].to_pylist(), strict=True))


def _distributions(table: pa.Table) -> Iterator[tuple[Cell, Any, Any]]:
    """Each cell's values and how often they are there."""
    whole = table.group_by(["g", "b", "x"]).aggregate([("n", "sum")]).sort_by([("g", "ascending"), ("b", "ascending")])
    cells = _cells(whole)
    values, counts = whole["x"].to_numpy(), whole["n_sum"].to_numpy()
    starts = [number for number, cell in enumerate(cells) if number == 0 or cells[number - 1] != cell]
    for start, end in pairwise([*starts, len(cells)] if cells else []):
        yield cells[start], values[start:end], counts[start:end]


def _summary(what: str, values: Any, counts: Any) -> float | None:
    match what:
        case "avg":
            return float(np.dot(values, counts) / counts.sum())
        case "min":
            return float(values.min())
        case "max":
            return float(values.max())
        case _:
            return quantile(values, counts, _SHARES[what])


def _cells(table: pa.Table) -> list[Cell]:
    return list(zip(table["g"].to_pylist(), table["b"].to_pylist(), strict=True))
