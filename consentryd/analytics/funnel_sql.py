"""The ordered funnel as one SQL statement: the second implementation, which the numpy kernel is compared with.

Both forms carry, per step, the latest start of a chain so far; subjects ascend, so the running maximum of (subject, start) packed into
128 bits is the subject's own or an earlier subject's. `row_sql` does so in DuckDB's streaming windows, without a sort or a partition:
its input must be ordered already, which no plan shows, so `check_streams` refuses a plan that is not what this relies on.
`instant_sql` adds up each instant first and can hand its events to steps in every way (R-F3, R-F4); it sorts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any, Final

import orjson

from consentryd.analytics.kernel.funnel import Funnel

if TYPE_CHECKING:
    import duckdb

#: Subsets of the steps of one instant are counted one by one: 127 of seven.
MAX_INSTANT_STEPS: Final = 7
_LOW: Final = "18446744073709551615::UHUGEINT"
_SO_FAR: Final = "OVER (ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)"
_BEFORE: Final = "OVER (ORDER BY s, t ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"


def row_sql(source: str, matches: Sequence[str], funnel: Funnel) -> str:
    """Counts by step over a relation with `subject`, `time` (BIGINT, UTC microseconds) and what `matches` read: a condition for each step.

    The relation is ordered by subject, time and step, and no event matches two steps. Raises `ValueError` for a funnel that is not plain.
    """
    _check_plain(funnel)
    if funnel.strict_ties:
        raise ValueError("Strict ties need `instant_sql`.")
    cases = " ".join(f"WHEN {match} THEN {number}" for number, match in enumerate(matches, start=1))
    enters = f"k = 1 AND t >= {funnel.since} AND t < {funnel.until}"
    query = f"SELECT subject AS s, time AS t, CASE {cases} END AS k FROM {source} WHERE {' OR '.join(matches)}"
    done, depths = enters, [f"WHEN {enters} THEN 1"]
    for step in range(2, len(matches) + 1):
        carried = "t" if step == 2 else f"t{step - 2}"  # noqa: PLR2004 -- the second step's chain starts at the first
        query = f"SELECT *, max(CASE WHEN {done} THEN {_packed(carried)} END) {_SO_FAR} AS m FROM ({query})"
        query = f"SELECT * EXCLUDE (m), {_own('m')} AS t{step - 1} FROM ({query})"
        done = f"k = {step} AND t - t{step - 1} <= {funnel.window}"
        depths.append(f"WHEN {done} THEN {step}")
    deepest = f"SELECT max(CASE {' '.join(depths)} END) AS depth FROM ({query}) GROUP BY s"
    return _counted(deepest, len(matches))


def instant_sql(source: str, matches: Sequence[str], funnel: Funnel) -> str:
    """The same over events in any order, which may match several steps. Raises `ValueError` also beyond seven steps."""
    _check_plain(funnel)
    steps = len(matches)
    if steps > MAX_INSTANT_STEPS:
        raise ValueError(f"Instants are counted for at most {MAX_INSTANT_STEPS} steps.")
    sizes = ", ".join(f"count(*) FILTER ({_either(matches, part)}) AS {_name(part)}" for part in _parts(0, steps))
    query = f"SELECT subject AS s, time AS t, {sizes} FROM {source} WHERE {' OR '.join(matches)} GROUP BY s, t"
    for step in range(1, steps + 1):
        query = f"SELECT *, {_start(step, funnel)} AS b{step} FROM ({query})"
        query = f"SELECT *, max(CASE WHEN b{step} IS NOT NULL THEN {_packed(f'b{step}')} END) {_BEFORE} AS m FROM ({query})"
        query = f"SELECT * EXCLUDE (m), {_own('m')} AS p{step} FROM ({query})"
    cases = " ".join(f"WHEN b{step} IS NOT NULL THEN {step}" for step in range(steps, 0, -1))
    return _counted(f"SELECT max(CASE {cases} END) AS depth FROM ({query}) GROUP BY s", steps)


def check_streams(connection: duckdb.DuckDBPyConnection, statement: str, steps: int) -> None:
    """Raises `RuntimeError` if the plan sorts, partitions or has other than one streaming window for each step but the last."""
    plan = connection.execute(f"EXPLAIN (FORMAT json) {statement}").fetchall()
    names = list(_operators(orjson.loads(plan[0][1])))
    if names.count("STREAMING_WINDOW") != steps - 1 or {"WINDOW", "ORDER_BY", "TOP_N", "REPARTITION"} & set(names):
        raise RuntimeError("The plan of a streaming funnel does not stream.")


def counts(connection: duckdb.DuckDBPyConnection, statement: str) -> list[int]:
    """Subjects by step."""
    (row,) = connection.execute(statement).fetchall()
    return [int(count) for count in row]


def _check_plain(funnel: Funnel) -> None:
    special = funnel.order != "ordered" or funnel.entry != "any" or funnel.count_entries
    if special or funnel.exclusions or any(step.optional for step in funnel.steps):
        raise ValueError("Only plain ordered funnels are written as SQL.")


def _packed(start: str) -> str:
    return f"(s::UHUGEINT << 64) | {start}::UHUGEINT"


def _own(packed: str) -> str:
    """The start in a running maximum, if it is of this row's subject."""
    return f"CASE WHEN ({packed} >> 64) = s THEN ({packed} & {_LOW})::BIGINT END"


def _counted(deepest: str, steps: int) -> str:
    columns = ", ".join(f"count(*) FILTER (depth >= {step})" for step in range(1, steps + 1))
    return f"SELECT {columns} FROM ({deepest})"


def _parts(first: int, end: int) -> Iterator[tuple[int, ...]]:
    for size in range(1, end - first + 1):
        yield from combinations(range(first, end), size)


def _name(part: tuple[int, ...]) -> str:
    return "n" + "_".join(map(str, part))


def _either(matches: Sequence[str], part: tuple[int, ...]) -> str:
    return " OR ".join(matches[step] for step in part)


def _start(step: int, funnel: Funnel) -> str:
    """The latest start of a chain whose step is done at this instant, or null.

    Steps done + 1 to `step` can be handed to distinct events if every subset of them has as many events as steps (Hall's theorem).
    """
    starts = []
    for done in range(step - 1 if funnel.strict_ties else 0, step):
        enough = " AND ".join(f"{_name(part)} >= {len(part)}" for part in _parts(done, step))
        begin = "t" if done == 0 else f"p{done}"
        within = f"t >= {funnel.since} AND t < {funnel.until}" if done == 0 else f"t - p{done} <= {funnel.window}"
        starts.append(f"CASE WHEN {within} AND {enough} THEN {begin} END")
    return f"greatest({', '.join(starts)})"


def _operators(node: Any) -> Iterator[str]:
    if isinstance(node, list):
        for child in node:
            yield from _operators(child)
    elif isinstance(node, dict):
        yield str(node.get("name", "")).strip()
        yield from _operators(node.get("children", []))
