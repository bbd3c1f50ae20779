"""Values as SQL. Every text that came from outside passes here on its way into a statement."""

from __future__ import annotations

import math
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

#: Integers up to here have a DOUBLE each of their own.
MAX_EXACT: Final = 2**53 - 1


def text(value: str) -> str:
    """A string literal. DuckDB knows no escapes in one but the doubled quote; models refuse NUL."""
    return "'" + value.replace("'", "''") + "'"


def name(value: str) -> str:
    """A quoted identifier."""
    return '"' + value.replace('"', '""') + '"'


def number(value: float | Decimal) -> str:
    """A finite number. Raises `ValueError` for one that is not."""
    if isinstance(value, bool) or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError("is no finite number")
    return f"CAST({text(repr(value))} AS DOUBLE)" if isinstance(value, float) else str(value)


def texts(values: Iterable[str]) -> str:
    """A parenthesised list for IN."""
    return "(" + ", ".join(text(value) for value in values) + ")"
