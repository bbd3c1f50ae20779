"""Monthly recurring revenue at the ends of buckets: how it moved, what stayed of it after a year, and why accounts left."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final, NamedTuple

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.period import Period, earlier
from consentryd.analytics.revenue.charge import Accounts, Reasons, cancelled, charged
from consentryd.analytics.revenue.model import LostBy, RecurringBucket, RevenueQuery
from consentryd.analytics.statistics.array import Floats, Ints
from consentryd.analytics.statistics.cancellation import Cancellations, Lost, lost
from consentryd.analytics.statistics.mrr import MOVEMENTS, Movements, kept, movements
from consentryd.analytics.statistics.subscription import book
from consentryd.analytics.suppression import Balance, balances
from consentryd.analytics.trends.measuring import scaled

_UNIT: Final = Decimal(10_000)
_PLACES: Final = Decimal("0.0001")


class Recurring(NamedTuple):
    """`churn`: accounts lost by accounts there were, over the buckets that are over; None of none, and where it tells of too few."""

    buckets: list[RecurringBucket]
    churn: float | None


class _Found(NamedTuple):
    """Of the instants at and before the first bucket, and at the end of each."""

    moved: Movements
    net: Floats
    gross: Floats
    stayed: Ints
    lost: Lost
    names: list[str]
    lag: int


def recurring_buckets(question: RevenueQuery, charges: Matcher, period: Period, asked: Asked) -> Recurring:
    """Instants are the ends of the buckets, and of as many before them as retention looks back."""
    lag = question.lag
    instants = np.array([*earlier(period, lag - 1).edges, *period.edges[1:]], np.int64)
    accounts = Accounts()
    held = book(charged(question, charges, period.until, accounts, asked), instants)
    stayed = kept(held, lag)
    reasons = Reasons(Cancellations(*(np.zeros(0, np.int64),) * 3), [])
    if question.cancellation is not None:
        reasons = cancelled(question, question.cancellation, period.until, accounts, asked)
    gone = lost(held, instants, reasons.told, len(reasons.names))
    found = _Found(
        movements(held, instants), stayed.net_retention(), stayed.gross_retention(), stayed.accounts, gone, reasons.names, lag
    )
    over = asked.complete(period)
    told = balances(found.moved.paying[lag - 1 :].tolist(), found.moved.accounts[:, lag - 1 :].T.tolist(), asked.least, sum)
    rows = enumerate(zip(period.labels(), told, over, strict=True))
    buckets = [_bucket(number, start, found, each, asked, complete=done) for number, (start, each, done) in rows]
    return Recurring(buckets, _churn(found, told, sum(over), asked))


def _churn(found: _Found, told: list[Balance], over: int, asked: Asked) -> float | None:
    """Over the buckets whose movements are shown."""
    own = np.flatnonzero([each.moves for each in told[:over]]) + found.lag - 1
    churned = int(found.moved.accounts[MOVEMENTS.index("churn"), own].sum())
    before = int(found.moved.paying[own].sum())
    return None if asked.hides(churned) or before < max(1, asked.least) else churned / before


def _bucket(number: int, start: str, found: _Found, told: Balance, asked: Asked, *, complete: bool) -> RecurringBucket:
    """Instant `place` is the bucket's end."""
    place = number + found.lag
    moved, paying = found.moved, found.moved.paying
    counts = [int(count) for count in moved.accounts[:, place - 1]]
    before = int(paying[place - 1])
    churned = counts[MOVEMENTS.index("churn")]
    return RecurringBucket(
        start=start,
        mrr=_money(moved.mrr[place], asked) if told.level else None,
        accounts=scaled(int(paying[place]), asked.scale) if told.level else None,
        **{name: _money(moved.amount[row, place - 1], asked) if told.moves else None for row, name in enumerate(MOVEMENTS)},
        accounts_by={
            name: scaled(count, asked.scale) if told.moves else None for name, count in zip(MOVEMENTS, counts, strict=True)
        },
        account_churn=churned / before if told.moves and before >= max(1, asked.least) else None,
        net_retention=_ratio(found.net[number], found.stayed[:, number], asked),
        gross_retention=_ratio(found.gross[number], found.stayed[:, number], asked),
        lost=_lost(found.lost, found.names, place - 1, asked) if told.moves else [],
        complete=complete,
    )


def _lost(found: Lost, names: list[str], bucket: int, asked: Asked) -> list[LostBy]:
    """By reason, the one without last; small ones are counted with it, and with them the next smallest until it is large enough."""
    counts, amounts = found.accounts[:, bucket].copy(), found.amount[:, bucket].copy()
    rest = len(names)
    shown = [reason for reason in np.argsort(-counts[:rest], kind="stable").tolist() if not asked.hides(counts[reason])]
    small = [reason for reason in range(rest) if asked.hides(counts[reason])]
    while asked.hides(int(counts[[*small, rest]].sum())) and any(counts[shown]):
        small.append(next(reason for reason in reversed(shown) if counts[reason]))
        shown.remove(small[-1])
    for reason in small:
        counts[rest] += counts[reason]
        amounts[rest] += amounts[reason]
        counts[reason] = amounts[reason] = 0
    hidden = asked.hides(counts[rest])
    return [
        LostBy(
            reason=name,
            accounts=None if hidden and name is None else scaled(int(count), asked.scale),
            mrr=None if hidden and name is None else _money(amount, asked),
        )
        for name, count, amount in zip([*names, None], counts, amounts, strict=True)
        if count
    ]


def _ratio(value: Any, accounts: Ints, asked: Asked) -> float | None:
    """Null too where few have come, grown or shrunk since: what they pay would follow from the revenue then and now."""
    paid, *changed = accounts.tolist()
    few = paid < max(1, asked.least) or any(asked.hides(count) for count in changed)
    return None if np.isnan(value) or few else float(value)


def _money(amount: Any, asked: Asked) -> Decimal:
    found: Decimal = scaled((Decimal(int(amount)) / _UNIT).quantize(_PLACES), asked.scale)
    return found
