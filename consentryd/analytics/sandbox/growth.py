"""How far a statement grows while it is planned, which no limit of time or memory stops: each use of a WITH clause may be planned by
itself, each star may write out all columns, and each struct holds what it is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

#: Twice as much with each of nine clauses, or a thousand uses of one.
MOST_USES: Final = 1_000
MOST_NESTED: Final = 100_000

_STRUCTS: Final = re.compile(r"row|struct|zip|union|map|remap", re.IGNORECASE)
_NO_CLAUSES: Final[dict[str, int]] = {}


def uses(node: Any, clauses: Mapping[str, int] = _NO_CLAUSES) -> int:
    """How often tables are read in all, with each WITH clause written out where it is used, times the stars above them.

    `clauses` are the uses within the clauses in scope, by lower-case name. Raises `RecursionError`.
    """
    if isinstance(node, list):
        return sum(uses(inner, clauses) for inner in node)
    if not isinstance(node, dict):
        return 0
    if node.get("type") == "BASE_TABLE":
        return clauses.get(str(node.get("table_name")).lower(), 1)
    written = (node.get("cte_map") or {}).get("map", [])
    if written:
        clauses = dict(clauses)
        for entry in written:
            clauses[str(entry["key"]).lower()] = uses(entry["value"], clauses)
    found: int = sum(uses(inner, clauses) for name, inner in node.items() if name != "cte_map")
    if "select_list" not in node:
        return found
    stars: int = sum(inner.get("class") == "STAR" for inner in _own(node["select_list"]))
    return max(found, 1) * max(stars, 1)


def nested(nodes: list[dict[str, Any]]) -> int:
    """At most how many values one struct holds, all levels counted. `nodes` are all of the statement."""
    tables = {str(node.get(name)).lower() for node in nodes for name in ("alias", "table_name") if "sample" in node}
    selects = [node["select_list"] for node in nodes if "select_list" in node]
    widest = max(map(len, selects), default=1)
    found = 1
    for select in selects:
        inside = 0
        for node in _own(select):
            if "function_name" in node and _STRUCTS.search(str(node["function_name"])):
                inside += len(node.get("children") or node.get("arguments") or ())
            elif node.get("class") == "COLUMN_REF" and str(node["column_names"][-1]).lower() in tables:
                inside += widest  # a table's name stands for a struct of its row
        found *= max(inside, 1)
    return found


def _own(tree: Any) -> Iterator[dict[str, Any]]:
    """The objects of a SELECT's list, without those of the statements in it."""
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, list):
            pending.extend(node)
        elif isinstance(node, dict) and "select_list" not in node:
            yield node
            pending.extend(node.values())
