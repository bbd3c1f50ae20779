"""What analysts' SQL may say: one SELECT over the three views. Decided on DuckDB's own syntax tree, before anything runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import orjson

from consentryd.analytics.sandbox.growth import MOST_NESTED, MOST_USES, nested, uses
from consentryd.model.error import Unprocessable
from consentryd.storage.duck import duck

VIEWS: Final = frozenset({"events", "sessions", "subjects"})
MAX_SQL_CHARS: Final = 50_000

_TABLES: Final = frozenset({"EMPTY", "EMPTY_FROM", "BASE_TABLE", "JOIN", "SUBQUERY", "EXPRESSION_LIST", "TABLE_FUNCTION"})
_TABLE_FUNCTIONS: Final = frozenset({"unnest", "range", "generate_series"})
#: Functions that look at the server rather than at the data, or make large values out of small ones.
_REFUSED: Final = re.compile(
    r"(pg_|has_|duckdb_|pragma_|current_|session_|set_|write_|read_|sql_|json_execute|json_serialize|json_deserialize|from_substrait|"
    r"get_substrait|icu_|md_|iceberg_|st_read|txid_|in_search_path|getenv|getvariable|nextval|currval|version$|user$|query$|query_table|"
    r"sniff|glob|which_secret|parquet_|is_loaded|sleep|repeat|lpad|rpad|list_resize|array_resize|range$|generate_series$|bar$|bitstring|"
    r"printf$|format$|error$|force_checkpoint|checkpoint|enable_|disable_|add_parquet_key|copy_database|alias$|vector_type|stats$|"
    r"storage_info|test_|seq_scan|index_scan|repeat_row|summary)",
    re.IGNORECASE,
)
_CTE_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_CTE_REFUSED: Final = re.compile(r"(duckdb_|pg_|sqlite_|pragma_|information_schema|rows_|csy_)", re.IGNORECASE)


def check_sql(sql: str) -> None:
    """Raises `Unprocessable` unless `sql` is one SELECT statement over the views, with functions that only compute."""
    if len(sql) > MAX_SQL_CHARS or "\0" in sql:
        raise _refused(f"A statement has at most {MAX_SQL_CHARS} characters, none of them NUL.")
    with duck().connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False}) as connection:
        row = connection.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    try:
        tree = orjson.loads(row[0] if row else b"{}")
    except orjson.JSONDecodeError:
        raise _too_deep() from None
    statements = tree.get("statements", [])
    if tree.get("error", True):
        syntax = tree.get("error_type") == "parser"
        raise _refused(
            f"The SQL cannot be read: {tree.get('error_message', '')}" if syntax else "Only SELECT statements are answered."
        )
    if len(statements) != 1:
        raise _refused("One statement at a time.")
    _check(statements[0])
    _check_growth(statements[0])


def _check(tree: Any) -> None:
    nodes = list(_nodes(tree))
    names = {name for node in nodes if isinstance(node.get("cte_map"), dict) for name in _cte_names(node["cte_map"])}
    for node in nodes:
        if node.get("type") == "RECURSIVE_CTE_NODE":
            raise _refused("WITH RECURSIVE is not answered: WITH is, and range(n) as a table.")
        if "function_name" in node:
            _check_function(node)
        if "table_name" in node and node.get("type") == "BASE_TABLE":
            _check_table(node, names)
        for place in ("from_table", "left", "right"):
            source = node.get(place)
            if isinstance(source, dict) and "sample" in source and source.get("type") not in _TABLES:
                raise _refused("SHOW, DESCRIBE, SUMMARIZE and PIVOT are not answered.")


def _check_growth(tree: Any) -> None:
    try:
        used = uses(tree)
    except RecursionError:
        raise _too_deep() from None
    if used > MOST_USES:
        raise _refused(
            "WITH clauses that use others several times, and stars over them, make too much of this statement.", limit=MOST_USES
        )
    if nested(list(_nodes(tree))) > MOST_NESTED:
        raise _refused("Structs in this statement are made of too many others.", limit=MOST_NESTED)


def _check_table(node: dict[str, Any], names: set[str]) -> None:
    name = str(node["table_name"]).lower()
    path = node.get("qualified_name", {}).get("path", [name])
    if node.get("schema_name") or node.get("catalog_name") or len(path) > 1 or node.get("at_clause"):
        raise _refused("Tables are named without schema: events, sessions, subjects.")
    if name not in VIEWS and name not in names:
        raise _refused("There are three tables: events, sessions, subjects.")


def _check_function(node: dict[str, Any]) -> None:
    name = str(node["function_name"]).lower()
    path = node.get("qualified_name", {}).get("path", [name])
    if node.get("schema") or node.get("catalog") or len(path) > 1:
        raise _refused("Functions are named without schema.")
    if node.get("_table_function"):
        if name not in _TABLE_FUNCTIONS:
            raise _refused("Of functions that give tables there are unnest, range and generate_series.")
    elif name not in _functions() or (_REFUSED.match(name) and not node.get("is_operator")):
        raise _refused("The statement uses a function that is not there for analysts.", function=name[:60])


def _cte_names(cte_map: dict[str, Any]) -> Iterator[str]:
    for entry in cte_map.get("map", []):
        name = str(entry["key"])
        if not _CTE_NAME.fullmatch(name) or _CTE_REFUSED.match(name) or name.lower() in _catalog():
            raise _refused("A WITH clause has a name that is not a plain word, or is taken.")
        yield name.lower()


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object of the tree; the function of a table function is marked as one."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, dict):
            if node.get("type") == "TABLE_FUNCTION" and isinstance(node.get("function"), dict):
                node["function"]["_table_function"] = True
            yield node
            pending.extend(node.values())
        elif isinstance(node, list):
            pending.extend(node)


@cache
def _functions() -> frozenset[str]:
    """Names of functions that compute a value or an aggregate."""
    with duck().connect() as connection:
        rows = connection.execute(
            "SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE function_type IN ('scalar', 'aggregate', 'macro')"
        ).fetchall()
    return frozenset(name for (name,) in rows) | {"unnest", "row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag",
                                                  "lead", "first_value", "last_value", "nth_value"}  # fmt: skip


@cache
def _catalog() -> frozenset[str]:
    """Names of tables and views that every DuckDB has."""
    with duck().connect() as connection:
        rows = connection.execute(
            "SELECT lower(view_name) FROM duckdb_views() UNION SELECT lower(table_name) FROM duckdb_tables()"
            " UNION SELECT lower(table_name) FROM information_schema.tables"
        ).fetchall()
    return frozenset(name for (name,) in rows)


def _too_deep() -> Unprocessable:
    return _refused("The statement nests too deep.")


def _refused(message: str, **detail: Any) -> Unprocessable:
    return Unprocessable("invalid", message, field="sql", **detail)
