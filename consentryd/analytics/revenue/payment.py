"""Payments and refunds as SQL rows, and sums of them in the project's currency."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from consentryd.analytics import literal
from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.field import field_of
from consentryd.analytics.revenue.model import RevenueQuery
from consentryd.analytics.source import Source
from consentryd.analytics.trends.measuring import scaled

#: UTC day of an instant, for the rate of the day.
DAY_SQL: Final = "booked // 86400000000"
_EPOCH: Final = date(1970, 1, 1)
_PLACES: Final = Decimal("0.0001")


def amount_sql(question: RevenueQuery) -> str:
    """The amount as DECIMAL(18, 4), null where there is none."""
    text = field_of(question.amount).text
    plain = "e.revenue" if question.amount == "revenue" else f"TRY_CAST({text} AS DECIMAL(18, 4))"
    if question.multiplier == 1:
        return plain
    return f"TRY_CAST({plain} * CAST({literal.text(str(question.multiplier))} AS DECIMAL(12, 6)) AS DECIMAL(18, 4))"


def currency_sql(question: RevenueQuery) -> str:
    """The currency as text; null is the project's."""
    if question.fixed_currency is not None:
        return literal.text(question.fixed_currency)
    return f"nullif(upper({field_of(question.currency).text}), '')"


def payments_sql(question: RevenueQuery, asked: Asked, view: str, starts: Matcher | None = None) -> str:
    """SELECT of `s`, `t`, `amount`, `currency`, `refund`, `starts`, and `booked`: when it counts.

    With `starts` also events of that kind, whose amount is null if they pay nothing.

    In the accrual view a refund counts at the first sale of its order, if there is one; the view must reach back that far.
    """
    source = Source(asked.setting, view)
    refunds = "false" if question.refund is None else source.matches(question.refund)
    pays = f"({source.matches(question.payment)} OR {refunds})"
    begins = "false" if starts is None else source.matches(starts)
    where = [] if asked.question.where is None else [source.holds(asked.question.where)]
    amount = f"CASE WHEN {pays} THEN {amount_sql(question)} END"
    order = f"nullif({field_of(question.order).text}, '')"
    rows = (
        f"SELECT e.subject AS s, epoch_us(e.time) AS t, {amount} AS paid, {refunds} AS back, {currency_sql(question)} AS currency,"
        f" {order} AS o, {begins} AS starts"
        f" FROM {source.sql} WHERE {' AND '.join(['e.subject IS NOT NULL', f'({pays} OR {begins})', *where])}"
    )
    signed = "CASE WHEN back THEN -abs(paid) ELSE paid END AS amount, (back OR paid < 0) AS refund"
    kept = f"SELECT s, t, currency, o, starts, {signed} FROM ({rows}) WHERE paid IS NOT NULL OR starts"
    sold = "min(t) FILTER (NOT refund) OVER (PARTITION BY s, o)"
    at = f"CASE WHEN refund AND o IS NOT NULL THEN coalesce({sold}, t) ELSE t END" if question.refunds == "accrual" else "t"
    return f"SELECT *, {at} AS booked FROM ({kept})"


def converted(table: pa.Table, keys: list[str], asked: Asked) -> Iterator[tuple[tuple[Any, ...], Decimal]]:
    """Sums `x` of `n` rows by `keys`, `currency` and `day` in the project's currency; what has no rate is left out, with a warning."""
    whole = table.group_by([*keys, "currency", "day"]).aggregate([("x", "sum"), ("n", "sum")])
    missing: Counter[str] = Counter()
    for row in whole.to_pylist():
        amount = asked.rates.convert(row["x_sum"], row["currency"], day_of(row["day"]))
        if amount is None:
            missing[row["currency"]] += row["n_sum"]
        else:
            yield tuple(row[key] for key in keys), scaled(amount, asked.scale)
    warn_missing(missing, asked)


def warn_missing(missing: Counter[str], asked: Asked) -> None:
    """Says how many rows of each currency had no rate; parts of an answer that read the same rows say it once."""
    for currency, count in missing.items():
        code = f"missing_rate {currency}"
        asked.warn(code, count - asked.warnings[code] if count > asked.warnings[code] else 0)


def day_of(number: int) -> date:
    """A UTC day by its number since 1970."""
    return _EPOCH + timedelta(days=number)


def per(amount: Decimal | None, number: float | None) -> Decimal | None:
    """An amount by heads, to 4 places; None of nobody."""
    return (amount / Decimal(repr(number))).quantize(_PLACES) if amount is not None and number else None
