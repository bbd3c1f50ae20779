"""Why accounts ceased to pay: of their own will, because a payment failed, or unknown (1.13)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from consentryd.analytics.statistics.array import Ints
from consentryd.analytics.statistics.segment import first_at_or_after
from consentryd.analytics.statistics.subscription import Book


class Cancellations(NamedTuple):
    """One row per cancellation, by (account, time) ascending; `reason` is a code of 0 or more."""

    account: Ints
    time: Ints
    reason: Ints


class Lost(NamedTuple):
    """int64[r + 1, n - 1]: accounts, and the MRR they took along (negative), by reason and bucket; the last row had no reason given."""

    accounts: Ints
    amount: Ints

    def merge(self, other: Lost) -> Lost:
        """Of both; the parts must have no account in common."""
        return Lost(self.accounts + other.accounts, self.amount + other.amount)


def lost(book: Book, instants: Ints, cancellations: Cancellations, reasons: int) -> Lost:
    """The churn of `mrr.movements` by the reason of the account's last cancellation before the instant at which it no longer paid, if that
    came after it first paid."""
    before, after = book.mrr[:, :-1], book.mrr[:, 1:]
    row, bucket = np.nonzero((before > 0) & (after == 0))
    low, high = (np.searchsorted(cancellations.account, book.account[row], side) for side in ("left", "right"))
    place = first_at_or_after(cancellations.time, low, high, instants[bucket + 1]) - 1
    known = place >= low
    known[known] = cancellations.time[place[known]] >= book.paid_since[row[known]]
    reason = np.full(len(row), reasons)
    reason[known] = cancellations.reason[place[known]]
    accounts = np.zeros((reasons + 1, before.shape[1]), np.int64)
    amount = np.zeros_like(accounts)
    np.add.at(accounts, (reason, bucket), 1)
    np.add.at(amount, (reason, bucket), -before[row, bucket])
    return Lost(accounts, amount)
