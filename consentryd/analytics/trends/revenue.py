"""Sums of money: exact, in the project's currency."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import pyarrow as pa

from consentryd.analytics.currency import Rates
from consentryd.analytics.group import ALL, EVERYONE
from consentryd.analytics.trends.aggregate import RANGE, Cells, Levels

ZERO: Final = Decimal("0.0000")
_DAY: Final = "t // 86400000000 AS day"
_EPOCH: Final = date(1970, 1, 1)


def statement(rows: str, levels: Levels) -> str:
    """Sums by cell, currency and UTC day."""
    money = f"SELECT g, b, currency, revenue, {_DAY} FROM ({rows}) WHERE revenue IS NOT NULL"
    return (
        f"SELECT {levels.columns}, currency, day, sum(revenue) AS x, count(*) AS n FROM ({money})"
        f" GROUP BY {levels.sets('currency, day')}"
    )


def convert(table: pa.Table, rates: Rates) -> tuple[Cells, Counter[str]]:
    """The sums in the base currency, and by currency how many events had no rate and are left out."""
    whole = table.group_by(["g", "b", "currency", "day"]).aggregate([("x", "sum"), ("n", "sum")])
    cells: Cells = {}
    missing: Counter[str] = Counter()
    for row in whole.to_pylist():
        amount = rates.convert(row["x_sum"], row["currency"], _EPOCH + timedelta(days=row["day"]))
        if amount is not None:
            cell = row["g"], row["b"]
            cells[cell] = cells.get(cell, ZERO) + amount
        elif row["b"] == RANGE and row["g"] in {ALL, EVERYONE}:
            missing[row["currency"]] += row["n_sum"]
    return cells, missing
