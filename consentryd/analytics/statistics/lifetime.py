"""What a customer brings: revenue per head, and per head of a cohort by age (1.12). Money in 1/10,000 unless it is divided."""

from __future__ import annotations

import numpy as np

from consentryd.analytics.statistics.array import Bools, Floats, Ints, shares


def arpu(net: float, active: int) -> float | None:
    """Net revenue per active subject; None of nobody."""
    return _per(net, active)


def arppu(net: float, paying: int) -> float | None:
    """Net revenue per paying subject; None of nobody."""
    return _per(net, paying)


def order_value(revenue: float, orders: int) -> float | None:
    """Average order value; None of no order."""
    return _per(revenue, orders)


def predicted(revenue_per_user: float, gross_margin: float, churn_rate: float) -> float | None:
    """The simple model: ARPU x gross margin / churn rate, both per the same period. None where nobody churns: it has no end then."""
    return revenue_per_user * gross_margin / churn_rate if churn_rate > 0 else None


def historical(cohort: Ints, age: Ints, amount: Ints, sizes: Ints, complete: Bools) -> Floats:
    """float64[cohorts, ages]: cumulative net revenue per member up to and including each age.

    One row for each sale or refund: its cohort, age in buckets (ages beyond the matrix are left out) and amount. `sizes` int64[cohorts];
    `complete` bool[cohorts, ages]; nan where the age is not complete or the cohort is empty.
    """
    revenue = np.zeros(complete.shape, np.int64)
    inside = (age >= 0) & (age < complete.shape[1])
    np.add.at(revenue, (cohort[inside], age[inside]), amount[inside])
    return shares(np.cumsum(revenue, axis=1), np.where(complete, sizes[:, None], 0))


def accrued(time: Ints, order: Ints, refund: Bools) -> Ints:
    """When each sale or refund counts in the accrual view: a refund at its order's first sale. Refunds of unknown orders, and those with the
    order code -1, stay where they are, as all do in the cash view."""
    sale = ~refund & (order >= 0)
    orders, place = np.unique(order[sale], return_inverse=True)
    first = np.full(len(orders), np.iinfo(np.int64).max)
    np.minimum.at(first, place, time[sale])
    moved = refund & np.isin(order, orders)
    when = time.copy()
    when[moved] = first[np.searchsorted(orders, order[moved])]
    return when


def _per(amount: float, heads: int) -> float | None:
    return amount / heads if heads else None
