"""Monthly recurring revenue: how it moved from one instant to the next, and how much of it stayed (1.12)."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

import numpy as np

from consentryd.analytics.statistics.array import Floats, Ints, shares
from consentryd.analytics.statistics.subscription import Book

Movement = Literal["new", "reactivation", "expansion", "contraction", "churn"]
MOVEMENTS: Final[tuple[Movement, ...]] = get_args(Movement)
YEAR: Final = 12


class Movements(NamedTuple):
    """At n instants: `mrr` int64[n] and `paying` accounts int64[n]. Between them, by row in the order of `MOVEMENTS`: `amount`
    int64[5, n - 1] (contraction and churn negative) and `accounts` int64[5, n - 1]. Everything adds up over disjoint accounts, and
    mrr[b] = mrr[b - 1] + amount[:, b - 1].sum() holds exactly.
    """

    mrr: Ints
    paying: Ints
    amount: Ints
    accounts: Ints

    def merge(self, other: Movements) -> Movements:
        """Of both, at the same instants; the parts must have no account in common."""
        return Movements(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))

    def logo_churn(self) -> Floats:
        """float64[n - 1]: accounts that ceased to pay over those that paid before; nan of none."""
        return shares(self.accounts[MOVEMENTS.index("churn")], self.paying[:-1])


def movements(book: Book, instants: Ints) -> Movements:
    """By account: what went up and down between two instants nets out. Who paid at any time before the earlier instant is reactivated, not
    new."""
    before, after = book.mrr[:, :-1], book.mrr[:, 1:]
    change = after - before
    known = book.paid_since[:, None] < instants[None, :-1]
    came, stayed = (before == 0) & (after > 0), (before > 0) & (after > 0)
    kinds = (came & ~known, came & known, stayed & (change > 0), stayed & (change < 0), (before > 0) & (after == 0))
    return Movements(
        mrr=book.mrr.sum(axis=0),
        paying=(book.mrr > 0).sum(axis=0),
        amount=np.stack([(change * kind).sum(axis=0) for kind in kinds]),
        accounts=np.stack([kind.sum(axis=0) for kind in kinds]),
    )


class Kept(NamedTuple):
    """For each instant `lag` or more after the first, int64[n - lag]: `base` is the MRR then of those who paid, `net` what the same
    accounts pay now, `gross` the same with no account above what it paid then. `accounts` int64[4, n - lag]: that paid then, that pay now
    and did not then, that pay more, that pay less."""

    base: Ints
    net: Ints
    gross: Ints
    accounts: Ints

    def net_retention(self) -> Floats:
        """Net revenue retention; nan where nobody paid then."""
        return shares(self.net, self.base)

    def gross_retention(self) -> Floats:
        """Never above 1."""
        return shares(self.gross, self.base)


def kept(book: Book, lag: int = YEAR) -> Kept:
    """Over `lag` instants, a year of monthly ones by default."""
    instants = book.mrr.shape[1]
    then, now = book.mrr[:, : max(0, instants - lag)], book.mrr[:, lag:]
    paid = then > 0
    accounts = np.stack([kind.sum(axis=0) for kind in (paid, ~paid & (now > 0), paid & (now > then), now < then)])
    return Kept(then.sum(axis=0), (now * paid).sum(axis=0), np.minimum(then, now).sum(axis=0), accounts)
