"""What people pay: revenue by bucket and per head, and how monthly recurring revenue moves (section 1.12)."""

from __future__ import annotations

from decimal import Decimal
from functools import partial, reduce
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field

from consentryd.analytics.asked import Asked
from consentryd.analytics.calendar import Interval
from consentryd.analytics.condition import All, Matcher, PropertyIs
from consentryd.analytics.field import field_of
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period, earlier
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.selecting import select
from consentryd.analytics.shape import PropertyName
from consentryd.analytics.source import Source
from consentryd.analytics.statistics.mrr import MOVEMENTS, Movements, movements
from consentryd.analytics.statistics.subscription import GRACE_DAYS, OPEN, PERIODS, book, lines
from consentryd.analytics.stream import Stream
from consentryd.analytics.streaming import Column
from consentryd.analytics.trends.aggregate import Levels
from consentryd.analytics.trends.measuring import empty_of, measure_cells
from consentryd.analytics.trends.model import Measure, Money
from consentryd.analytics.trends.rows import Frame

PAID: Final = Matcher(where=PropertyIs(property="revenue", op="is_set"))
ANYTHING: Final = Matcher()
_UNIT: Final = Decimal(10_000)
_PLACES: Final = Decimal("0.0001")


class RevenueQuery(Question):
    """Revenue is the `revenue` of events in the project's currency; refunds are negative, at their own date."""

    kind: Literal["revenue"]
    payment: Matcher = Field(PAID, description="What a payment or refund is; default: any event with revenue.")
    activity: Matcher = Field(ANYTHING, description="What counts as being active; default: any event.")
    recurring: Matcher | None = Field(None, description="Charges of subscriptions; without it there is no recurring revenue.")
    period: PropertyName = Field("period", description="The property with a charge's period: day, week, month, quarter or year.")
    subscription: PropertyName = Field("subscription_id", description="The property that tells an account's subscriptions apart.")
    grace_days: int = Field(GRACE_DAYS, ge=0, le=400, description="How long a charge holds without another one.")
    interval: Interval = "month"


class RevenueBucket(Answered):
    """Amounts are decimal texts; per active subject, per paying subject, and per order (a payment above 0)."""

    start: str
    revenue: Money | None
    active: int | None
    paying: int | None
    orders: int | None
    per_active: Money | None
    per_paying: Money | None
    per_order: Money | None
    complete: bool


class RecurringBucket(Answered):
    """At the bucket's end. mrr = mrr of the bucket before + new + reactivation + expansion + contraction + churn, exactly."""

    start: str
    mrr: Money | None
    accounts: int | None
    new: Money | None
    reactivation: Money | None
    expansion: Money | None
    contraction: Money | None
    churn: Money | None
    account_churn: float | None


class RevenueResult(Envelope):
    kind: Literal["revenue"] = "revenue"
    currency: str
    buckets: list[RevenueBucket]
    recurring: list[RecurringBucket]

    def rows(self) -> list[dict[str, Any]]:
        return [bucket.model_dump() for bucket in self.buckets]


def answer(question: RevenueQuery, asked: Asked) -> RevenueResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period(question.interval)
    buckets = _buckets(question, period, asked)
    recurring = [] if question.recurring is None else _recurring(question, question.recurring, period, asked)
    return RevenueResult(**asked.envelope(period), currency=asked.rates.base, buckets=buckets, recurring=recurring)


def _buckets(question: RevenueQuery, period: Period, asked: Asked) -> list[RevenueBucket]:
    frame = Frame(asked.setting, period, question.where)
    positive = PropertyIs(property="revenue", op="gt", value=0)
    paid = Measure(event=question.payment.event, where=_both(question.payment, positive), math="unique")
    measures = {
        "revenue": Measure(event=question.payment.event, where=question.payment.where, math="revenue"),
        "active": Measure(event=question.activity.event, where=question.activity.where, math="unique"),
        "paying": paid,
        "orders": paid.model_copy(update={"math": "total"}),
    }
    cells = {name: measure_cells(each, frame, Levels(), asked) for name, each in measures.items()}
    rows = zip(period.labels(), asked.complete(period), strict=True)
    return [
        _bucket(
            start, {name: cells[name].get(("*", number), empty_of(each)) for name, each in measures.items()}, asked, complete=done
        )
        for number, (start, done) in enumerate(rows)
    ]


def _bucket(start: str, found: dict[str, Any], asked: Asked, *, complete: bool) -> RevenueBucket:
    if 0 < found["paying"] < asked.least:
        found = {**found, "revenue": None, "paying": None, "orders": None}
    if 0 < found["active"] < asked.least:
        found = {**found, "active": None}
    return RevenueBucket(
        start=start,
        **found,
        per_active=_per(found["revenue"], found["active"]),
        per_paying=_per(found["revenue"], found["paying"]),
        per_order=_per(found["revenue"], found["orders"]),
        complete=complete,
    )


def _recurring(question: RevenueQuery, charges: Matcher, period: Period, asked: Asked) -> list[RecurringBucket]:
    """Instants are the ends of the buckets, and the start of the first."""
    instants = (earlier(period, 1).until, *period.edges[1:])
    selection = select(asked, [charges], partial(_columns, question, asked.rates.base))
    work = partial(_movements, instants=instants, grace_days=question.grace_days)
    found = reduce(Movements.merge, asked.execution.streams(selection, Span(None, period.until), work, None))
    churned = found.logo_churn()
    return [
        RecurringBucket(
            start=start,
            mrr=_money(found.mrr[number + 1]),
            accounts=int(found.paying[number + 1]),
            **{name: _money(found.amount[row, number]) for row, name in enumerate(MOVEMENTS)},
            account_churn=None if np.isnan(churned[number]) else float(churned[number]),
        )
        if not 0 < found.paying[number + 1] < asked.least
        else _hidden(start)
        for number, start in enumerate(period.labels())
    ]


def _columns(question: RevenueQuery, currency: str, source: Source) -> list[Column]:
    del source
    own = f"CASE WHEN e.currency IS NULL OR e.currency = '{currency}' THEN e.revenue END"
    names = " ".join(f"WHEN '{name}' THEN {code}" for code, name in enumerate(PERIODS))
    period = f"CAST(CASE lower({field_of(question.period).text}) {names} ELSE {PERIODS.index('month')} END AS BIGINT)"
    return [
        Column("amount", "money", own),
        Column("period", "integer", period),
        Column("subscription", "text", field_of(question.subscription).text),
    ]


def _movements(stream: Stream, *, instants: tuple[int, ...], grace_days: int) -> Movements:
    values = stream.values
    ends = np.full(len(stream.subject), OPEN, np.int64)
    subscription = values["subscription"].astype(np.int64)
    charged = lines(stream.subject, subscription, stream.time, values["amount"], values["period"], ends, grace_days)
    at = np.array(instants, np.int64)
    return movements(book(charged, at), at)


def _both(matcher: Matcher, condition: PropertyIs) -> Any:
    return condition if matcher.where is None else All(type="and", conditions=[matcher.where, condition])


def _hidden(start: str) -> RecurringBucket:
    amounts = dict.fromkeys(("mrr", "accounts", *MOVEMENTS, "account_churn"))
    return RecurringBucket(start=start, **amounts)


def _money(amount: Any) -> Decimal:
    return (Decimal(int(amount)) / _UNIT).quantize(_PLACES)


def _per(amount: Decimal | None, number: int | None) -> Decimal | None:
    return (amount / number).quantize(_PLACES) if amount is not None and number else None
