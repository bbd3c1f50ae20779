"""Revenue by bucket and over the whole range, and per head."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from consentryd.analytics.asked import Asked
from consentryd.analytics.calendar import index_sql
from consentryd.analytics.condition import Matcher
from consentryd.analytics.group import ALL
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.revenue.model import RevenueBucket, RevenueQuery
from consentryd.analytics.revenue.payment import DAY_SQL, converted, payments_sql, per
from consentryd.analytics.trends.aggregate import RANGE, Cells, Levels
from consentryd.analytics.trends.measuring import measure_cells, scaled
from consentryd.analytics.trends.model import Math, Measure
from consentryd.analytics.trends.privacy import hide_small
from consentryd.analytics.trends.rows import Frame
from consentryd.analytics.view import EVENTS, HISTORY

_ZERO: Final = Decimal("0.0000")
_COUNTS: Final = ("people", "paying", "orders")
#: Whose number decides whether a cell may be shown. `people` paid or were paid back.
_BEHIND: Final = {
    "revenue": "people",
    "paying": "paying",
    "orders": "paying",
    "active": "active",
    "conversions": "conversions",
}


def revenue_buckets(question: RevenueQuery, period: Period, asked: Asked) -> tuple[list[RevenueBucket], RevenueBucket, int]:
    """The buckets, the whole range, and how many cells are too small to be shown."""
    cells = {**_money_cells(question, period, asked), **_activity_cells(question, period, asked)}
    sizes = {name: {cell: round((size or 0) / asked.scale) for cell, size in cells[name].items()} for name in _BEHIND.values()}
    hidden = sum(hide_small(cells[name], sizes[behind], asked.least) for name, behind in _BEHIND.items())
    del cells["people"]
    buckets = [
        _bucket(number, start, cells, complete=done)
        for number, (start, done) in enumerate(zip(period.labels(), asked.complete(period), strict=True))
    ]
    whole = _bucket(RANGE, asked.label(period.since), cells, complete=all(asked.complete(period)))
    return buckets, whole, hidden


def _money_cells(question: RevenueQuery, period: Period, asked: Asked) -> dict[str, Cells]:
    """Revenue, and who and what is behind it. Accrued refunds come from after the range, so that all of history is looked at."""
    view = HISTORY if question.refunds == "accrual" else EVENTS
    span = Span(period.since, period.until)
    within = f"booked >= {period.since} AND booked < {period.until} AND amount IS NOT NULL"
    rows = f"SELECT *, {index_sql('booked', period.edges)} AS b FROM ({payments_sql(question, asked, view)}) WHERE {within}"
    sums = f"SELECT b, currency, {DAY_SQL} AS day, sum(amount) AS x, count(*) AS n FROM ({rows}) GROUP BY ALL"
    revenue = _zeros(period, _ZERO)
    for (bucket,), amount in converted(asked.execution.gather(sums, span), ["b"], asked):
        for number in (bucket, RANGE):
            revenue[ALL, number] += amount
    sale = "FILTER (NOT refund AND amount > 0)"
    counts = (
        f"SELECT coalesce(b, {RANGE}) AS b, count(DISTINCT s) AS people, count(DISTINCT s) {sale} AS paying, count(*) {sale} AS orders"
        f" FROM ({rows}) GROUP BY GROUPING SETS ((b), ())"
    )
    found = {"revenue": revenue, **{name: _zeros(period, 0) for name in _COUNTS}}
    for row in asked.execution.gather(counts, span).to_pylist():
        for name in _COUNTS:
            found[name][ALL, row["b"]] += row[name]
    for name in _COUNTS:
        found[name] = {cell: scaled(value, asked.scale) for cell, value in found[name].items()}
    return found


def _activity_cells(question: RevenueQuery, period: Period, asked: Asked) -> dict[str, Cells]:
    def counted(matcher: Matcher, math: Math) -> Cells:
        measure = Measure(event=matcher.event, where=matcher.where, math=math)
        return {**_zeros(period, 0), **measure_cells(measure, Frame(asked.setting, period, question.where), Levels(), asked)}

    none = dict.fromkeys(_zeros(period, 0))
    conversions = none if question.conversion is None else counted(question.conversion, "total")
    return {"active": counted(question.activity, "unique"), "conversions": conversions}


def _zeros(period: Period, zero: Any) -> Cells:
    return {(ALL, number): zero for number in (RANGE, *range(period.buckets))}


def _bucket(number: int, start: str, cells: Mapping[str, Cells], *, complete: bool) -> RevenueBucket:
    found = {name: values[ALL, number] for name, values in cells.items()}
    revenue = found["revenue"]
    return RevenueBucket(
        start=start,
        **found,
        per_active=per(revenue, found["active"]),
        per_paying=per(revenue, found["paying"]),
        per_order=per(revenue, found["orders"]),
        per_conversion=per(revenue, found["conversions"]),
        complete=complete,
    )
