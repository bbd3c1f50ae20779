"""DuckDB, loaded at the first question: 28 MB that a process which only collects need not have."""

from __future__ import annotations

from typing import Any


def duck() -> Any:
    """The module `duckdb`."""
    import duckdb  # noqa: PLC0415 - see above

    return duckdb
