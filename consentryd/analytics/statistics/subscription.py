"""From charges to what each account pays a month, at given instants (1.12). Money in 1/10,000, instants in UTC microseconds."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.statistics.array import Ints
from consentryd.analytics.statistics.segment import heads

#: Codes of `period` are positions here.
PERIODS: Final = ("day", "week", "month", "quarter", "year")
GRACE_DAYS: Final = 45
#: In `end`: the source gives none.
OPEN: Final = -1
DAY: Final = 86_400_000_000
_PER_MONTH: Final = np.array([365.25 / 12, 52 / 12, 1, 1 / 3, 1 / 12])
_DAYS: Final = np.array([1, 7, 30, 91, 365])
_MONTH: Final = 30


class Lines(NamedTuple):
    """One line per charge, by (account, subscription, time): `monthly` is paid from `time` on and still at `until`."""

    account: Ints
    subscription: Ints
    time: Ints
    until: Ints
    monthly: Ints


class Book(NamedTuple):
    """`account` int64[m] ascending; `mrr` int64[m, n] at the n instants; `paid_since` int64[m], when each first paid anything monthly."""

    account: Ints
    mrr: Ints
    paid_since: Ints


def monthly(amount: Ints, period: Ints) -> Ints:
    """Amounts of a period as amounts of a month, rounded to 1/10,000: year / 12, quarter / 3, week x 52 / 12, day x 365.25 / 12."""
    return np.asarray(np.rint(amount * _PER_MONTH[period]), np.int64)


def lines(
    account: Ints, subscription: Ints, time: Ints, amount: Ints, period: Ints, end: Ints, grace_days: int = GRACE_DAYS
) -> Lines:
    """Of recurring charges in any order, aligned. A later charge of a subscription replaces the earlier; one of 0 ends it.

    `end` is when the charge's service ends, or `OPEN`: then it runs `grace_days` from the charge, and for periods longer than a month as
    much longer as the period is. Charges without a subscription id share one code: they are the account's one subscription. Refunds and
    one-off sales do not belong here.
    """
    order = np.lexsort((time, subscription, account))
    account, subscription, time, amount, period, end = (
        each[order] for each in (account, subscription, time, amount, period, end)
    )
    grace = (grace_days + np.maximum(_DAYS[period] - _MONTH, 0)) * DAY
    until = np.where(end == OPEN, time + grace, end)
    same = ~heads(account, subscription)[1:]
    until[:-1] = np.where(same, np.minimum(until[:-1], time[1:]), until[:-1])
    return Lines(account, subscription, time, until, monthly(amount, period))


def book(lines: Lines, instants: Ints) -> Book:
    """What each account pays at each instant (ascending): all that was charged before it and has not ended before it."""
    accounts, row = np.unique(lines.account, return_inverse=True)
    begin = np.searchsorted(instants, lines.time, "right")
    end = np.maximum(begin, np.searchsorted(instants, lines.until, "right"))
    changes = np.zeros((len(accounts), len(instants) + 1), np.int64)
    np.add.at(changes, (row, begin), lines.monthly)
    np.add.at(changes, (row, end), -lines.monthly)
    paid_since = np.full(len(accounts), np.iinfo(np.int64).max)
    paying = lines.monthly > 0
    np.minimum.at(paid_since, row[paying], lines.time[paying])
    return Book(accounts, np.cumsum(changes, axis=1)[:, :-1], paid_since)
