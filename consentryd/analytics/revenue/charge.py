"""Charges of subscriptions, gathered from all of history, in the project's currency."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.field import field_of
from consentryd.analytics.region_view import Span
from consentryd.analytics.revenue.model import RevenueQuery
from consentryd.analytics.revenue.payment import amount_sql, currency_sql, day_of, warn_missing
from consentryd.analytics.source import Source
from consentryd.analytics.statistics.array import Ints
from consentryd.analytics.statistics.cancellation import Cancellations
from consentryd.analytics.statistics.subscription import OPEN, PERIODS, Lines, lines
from consentryd.model.clock import DAY

_UNIT: Final = 10_000


class Accounts:
    """Codes of accounts: subjects themselves, or of the texts that tell accounts apart."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def encode(self, column: Any) -> Ints:
        if pa.types.is_integer(column.type):
            return _ints(column)
        return np.array([self._codes.setdefault(text, len(self._codes)) for text in column.to_pylist()], np.int64)


class Reasons(NamedTuple):
    """Cancellations, and what their codes mean."""

    told: Cancellations
    names: list[str]


def charged(question: RevenueQuery, charges: Matcher, until: int, accounts: Accounts, asked: Asked) -> Lines:
    """All charges before an instant, of one instant by their ids. Refunds and amounts below 0 are none; one without a rate for its day is
    left out, with a warning."""
    source = Source(asked.setting)
    conditions = [*_of_accounts(question, source, charges, asked), f"{amount_sql(question)} >= 0"]
    names = " ".join(f"WHEN '{name}' THEN {code}" for code, name in enumerate(PERIODS))
    ends = "NULL" if question.ends is None else f"epoch_us(TRY_CAST({field_of(question.ends).text} AS TIMESTAMPTZ))"
    statement = (
        f"SELECT {_account_sql(question)} AS account, epoch_us(e.time) AS t, {amount_sql(question)} AS amount,"
        f" {currency_sql(question)} AS currency, epoch_us(e.time) // {DAY} AS day,"
        f" CASE lower({field_of(question.period).text}) {names} ELSE {PERIODS.index('month')} END AS period,"
        f" {field_of(question.subscription).text} AS subscription, coalesce({ends}, {OPEN}) AS ends, e.event_id AS id"
        f" FROM {source.sql} WHERE {' AND '.join(conditions)}"
    )
    table = asked.execution.gather(statement, Span(None, until)).sort_by("id")
    amount = _converted(table, asked)
    known = table.filter(pa.array(amount >= 0))
    subscription = known["subscription"].combine_chunks().dictionary_encode()
    codes = subscription.indices.fill_null(-1).cast(pa.int64()).to_numpy(zero_copy_only=False)
    return lines(
        accounts.encode(known["account"]),
        np.asarray(codes, np.int64),
        _ints(known["t"]),
        amount[amount >= 0],
        _ints(known["period"]),
        _ints(known["ends"]),
        question.grace_days,
    )


def cancelled(question: RevenueQuery, cancellation: Matcher, until: int, accounts: Accounts, asked: Asked) -> Reasons:
    """All cancellations that give a reason, before an instant, of one instant by their ids."""
    source = Source(asked.setting)
    reason = f"nullif({field_of(question.reason).text}, '')"
    conditions = [*_of_accounts(question, source, cancellation, asked), f"{reason} IS NOT NULL"]
    statement = (
        f"SELECT {_account_sql(question)} AS account, epoch_us(e.time) AS t, {reason} AS reason, e.event_id AS id"
        f" FROM {source.sql} WHERE {' AND '.join(conditions)}"
    )
    table = asked.execution.gather(statement, Span(None, until)).sort_by("id")
    names = sorted(set(table["reason"].to_pylist()))
    codes = np.array([names.index(reason) for reason in table["reason"].to_pylist()], np.int64)
    account, time = accounts.encode(table["account"]), _ints(table["t"])
    order = np.lexsort((time, account))
    return Reasons(Cancellations(account[order], time[order], codes[order]), names)


def _of_accounts(question: RevenueQuery, source: Source, matcher: Matcher, asked: Asked) -> list[str]:
    where = [] if asked.question.where is None else [source.holds(asked.question.where)]
    return ["e.subject IS NOT NULL", f"{_account_sql(question)} IS NOT NULL", source.matches(matcher), *where]


def _account_sql(question: RevenueQuery) -> str:
    return "e.subject" if question.account is None else f"nullif({field_of(question.account).text}, '')"


def _converted(table: pa.Table, asked: Asked) -> Ints:
    """Amounts in 1/10,000 of the project's currency; -1 where there is no rate. Of the project's own currency they are exact as they are."""
    scaled = pc.multiply(table["amount"].cast(pa.decimal128(18, 4)), pa.scalar(_UNIT, pa.int32()))
    amount = _ints(scaled.cast(pa.int64())).copy()
    foreign = pc.fill_null(pc.not_equal(table["currency"].cast(pa.string()), asked.rates.base), fill_value=False)
    rows = np.flatnonzero(foreign.to_numpy())
    missing: Counter[str] = Counter()
    others = table.take(pa.array(rows))
    for row, currency, day in zip(rows.tolist(), others["currency"].to_pylist(), others["day"].to_pylist(), strict=True):
        found = asked.rates.convert(Decimal(int(amount[row])) / _UNIT, currency, day_of(day))
        amount[row] = -1 if found is None else int(found * _UNIT)
        missing[currency] += found is None
    warn_missing(missing, asked)
    return amount


def _ints(column: Any) -> Ints:
    found: Ints = column.cast(pa.int64()).to_numpy()
    return found
