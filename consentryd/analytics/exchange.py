"""Numbers of events, with revenue of other currencies at the rate of the event's day, never silently at 1."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.currency import Rates
from consentryd.analytics.field import field_of
from consentryd.analytics.region_view import Span
from consentryd.analytics.source import Source
from consentryd.analytics.stream import NONE, Stream, Values
from consentryd.analytics.streaming import Column
from consentryd.model.clock import DAY

MONEY: Final = "revenue"
_EPOCH: Final = date(1970, 1, 1)


def amount_sql(prop: str, rates: Rates) -> str:
    """A property as DOUBLE; null where it is no number, or money without a rate."""
    return f"CAST({rates.amount_sql()} AS DOUBLE)" if prop == MONEY else field_of(prop).number


def without_rate_sql(source: Source, conditions: Sequence[str]) -> str:
    """By `currency` how many events `n` have revenue without a rate, of those for which the conditions hold."""
    where = " AND ".join([source.setting.rates.missing_sql(), *conditions])
    return f"SELECT e.currency AS currency, count(*) AS n FROM {source.sql} WHERE {where} GROUP BY e.currency"


def warn_unconverted(statement: str, span: Span, asked: Asked, of: str | None = None) -> None:
    """Says what is left out, by a statement of `currency` and `n`; `of`: the rows that it counts."""
    for row in asked.execution.gather(statement, span).to_pylist():
        asked.warn(f"missing_rate {row['currency']}", row["n"], of)


def number_columns(name: str, prop: str) -> list[Column]:
    """The columns that `in_base` needs for a property."""
    number = Column(name, "number", field_of(prop).number)
    return [number, Column(_currency(name), "text", "e.currency")] if prop == MONEY else [number]


def in_base(stream: Stream, names: list[str], rates: Rates, missing: Counter[str]) -> Stream:
    """The stream with money converted; what has no rate is nan, and `missing` counts it by currency."""
    values = dict(stream.values)
    for name in names:
        if _currency(name) in values:
            values[name] = _converted(stream, name, rates, missing)
    return stream._replace(values=values)


def _converted(stream: Stream, name: str, rates: Rates, missing: Counter[str]) -> Values:
    codes, texts = stream.values[_currency(name)], stream.texts.get(_currency(name), [])
    amounts = stream.values[name].copy()
    foreign = np.array([text != rates.base for text in texts] + [False], np.bool_)
    for row in np.flatnonzero(foreign[np.where(codes == NONE, len(texts), codes)] & ~np.isnan(amounts)).tolist():
        currency, day = texts[int(codes[row])], _EPOCH + timedelta(days=int(stream.time[row]) // DAY)
        found = rates.convert(Decimal(repr(float(amounts[row]))), currency, day)
        missing[currency] += found is None
        amounts[row] = np.nan if found is None else float(found)
    return amounts


def _currency(name: str) -> str:
    return f"{name} currency"
