"""What subjects bring by age: cumulative net revenue per member of the cohorts of their first start."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.calendar import index_sql
from consentryd.analytics.condition import Matcher
from consentryd.analytics.period import Period, later
from consentryd.analytics.region_view import Span
from consentryd.analytics.revenue.model import (
    Lifetime,
    LifetimeCohort,
    LifetimePart,
    PredictedLifetime,
    RevenueBucket,
    RevenueQuery,
)
from consentryd.analytics.revenue.payment import DAY_SQL, converted, payments_sql, per
from consentryd.analytics.revenue.recurring import Recurring
from consentryd.analytics.statistics.array import Bools
from consentryd.analytics.suppression import running
from consentryd.analytics.trends.measuring import scaled
from consentryd.analytics.view import HISTORY

_PLACES: Final = Decimal("0.0001")
_NOTHING: Final = Decimal(0)
#: No event is of this name, so that nothing but payments begins a life.
_NO_START: Final = Matcher(event="\x01")

Sums = dict[tuple[int, int], Decimal]


def lifetime(
    question: RevenueQuery,
    part: LifetimePart,
    period: Period,
    recurring: Recurring | None,
    buckets: list[RevenueBucket],
    asked: Asked,
) -> Lifetime:
    """Cohorts are by the first start in all of history. Payments before the cohort's bucket have no age and are left out."""
    span = later(period, part.ages)
    rows = _rows_sql(question, part, period, span, asked)
    whole = Span(period.since, period.until)
    sizes = [0] * period.buckets
    for row in asked.execution.gather(f"SELECT c, count(DISTINCT s) AS n FROM ({rows}) GROUP BY c", whole).to_pylist():
        sizes[row["c"]] += row["n"]
    sums = f"SELECT c, b - c AS age, currency, {DAY_SQL} AS day, sum(amount) AS x, count(*) AS n FROM ({rows})"
    aged = f" WHERE b >= c AND b - c < {part.ages} AND amount IS NOT NULL GROUP BY ALL"
    found: Sums = {}
    for (cohort, age), amount in converted(asked.execution.gather(sums + aged, whole), ["c", "age"], asked):
        found[cohort, age] = found.get((cohort, age), _NOTHING) + amount
    over = np.array(span.complete(asked.now, asked.late))
    told = _told(asked.execution.gather(_payers_sql(rows, part), whole).to_pylist(), period.buckets, part, asked)
    cohorts = [
        _cohort(number, start, sizes, found, told[number] & over[number : number + part.ages], part, asked)
        for number, start in enumerate(period.labels())
    ]
    return Lifetime(cohorts=cohorts, curve=_curve(cohorts, found, part), predicted=_predicted(part, recurring, buckets))


def _rows_sql(question: RevenueQuery, part: LifetimePart, period: Period, span: Period, asked: Asked) -> str:
    """Payments of the members of cohorts: `c` and `b`, the buckets of the life's start and of the payment."""
    starts = part.start or _NO_START
    first = "starts" if part.start is not None else "NOT refund AND amount > 0"
    payments = payments_sql(question, asked, HISTORY, starts)
    begun = f"SELECT *, min(t) FILTER ({first}) OVER (PARTITION BY s) AS f FROM ({payments})"
    bucket = f"CASE WHEN booked >= {span.since} AND booked < {span.until} THEN {index_sql('booked', span.edges)} ELSE -1 END"
    return f"SELECT *, {index_sql('f', period.edges)} AS c, {bucket} AS b FROM ({begun}) WHERE f >= {period.since} AND f < {period.until}"


def _payers_sql(rows: str, part: LifetimePart) -> str:
    aged = f"b >= c AND b - c < {part.ages} AND amount IS NOT NULL"
    return f"SELECT c, b - c AS age, count(DISTINCT s) AS n FROM ({rows}) WHERE {aged} GROUP BY ALL"


def _told(payers: list[dict[str, int]], cohorts: int, part: LifetimePart, asked: Asked) -> list[Bools]:
    """By cohort the ages whose value may be shown: with that of the age before, it tells what was paid in between."""
    sizes = np.zeros((cohorts, part.ages), np.int64)
    for row in payers:
        sizes[row["c"], row["age"]] += row["n"]
    return [np.array(running(row, asked.least, shared=True), np.bool_) for row in sizes.tolist()]


def _cohort(
    number: int, start: str, sizes: list[int], found: Sums, told: Bools, part: LifetimePart, asked: Asked
) -> LifetimeCohort:
    size = sizes[number]
    shown = size >= max(1, asked.least)
    total = _NOTHING
    values: list[Decimal | None] = []
    for age in range(part.ages):
        total += found.get((number, age), _NOTHING)
        values.append(per(total, scaled(size, asked.scale)) if shown and told[age] else None)
    return LifetimeCohort(start=start, size=asked.shown(size), values=values)


def _curve(cohorts: list[LifetimeCohort], found: Sums, part: LifetimePart) -> list[Decimal | None]:
    """At each age, of the cohorts that show it."""
    curve: list[Decimal | None] = []
    for age in range(part.ages):
        shown = [number for number, cohort in enumerate(cohorts) if cohort.values[age] is not None]
        revenue = sum((found.get((number, each), _NOTHING) for number in shown for each in range(age + 1)), _NOTHING)
        curve.append(per(revenue, sum(cohorts[number].size or 0 for number in shown)))
    return curve


def _predicted(part: LifetimePart, recurring: Recurring | None, buckets: list[RevenueBucket]) -> PredictedLifetime:
    churn = None if recurring is None else recurring.churn
    whole = [bucket for bucket in buckets if bucket.complete and bucket.revenue is not None and bucket.active]
    earned = per(sum((bucket.revenue or _NOTHING for bucket in whole), _NOTHING), sum(bucket.active or 0 for bucket in whole))
    missing = (
        "`recurring` charges" if recurring is None else "churn above 0" if not churn else "revenue" if earned is None else None
    )
    value = None if missing or earned is None or not churn else earned * Decimal(repr(part.gross_margin)) / Decimal(repr(churn))
    return PredictedLifetime(
        value=None if value is None else value.quantize(_PLACES),
        revenue_per_active=earned,
        gross_margin=part.gross_margin,
        churn=churn,
        missing=missing,
    )
