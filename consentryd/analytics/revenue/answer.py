"""Revenue, recurring revenue and lifetimes, each only where it was asked for."""

from __future__ import annotations

from consentryd.analytics.asked import Asked
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.revenue.buckets import revenue_buckets
from consentryd.analytics.revenue.lifetime import lifetime
from consentryd.analytics.revenue.model import MAX_MOVING_BUCKETS, RevenueQuery, RevenueResult
from consentryd.analytics.revenue.recurring import recurring_buckets
from consentryd.model.error import Unprocessable


def answer(question: RevenueQuery, asked: Asked) -> RevenueResult:
    """Raises `Unprocessable` for the anonymous lane, and for recurring revenue or lifetimes in more than 1,000 buckets."""
    require_subjects(asked)
    period = asked.period(question.interval)
    if (question.recurring is not None or question.lifetime is not None) and period.buckets + question.lag > MAX_MOVING_BUCKETS:
        raise Unprocessable(
            "invalid", "Recurring revenue takes at most 1,000 buckets; choose a longer interval.", field="interval"
        )
    buckets, total, hidden = revenue_buckets(question, period, asked)
    recurring = None if question.recurring is None else recurring_buckets(question, question.recurring, period, asked)
    lives = None if question.lifetime is None else lifetime(question, question.lifetime, period, recurring, buckets, asked)
    return RevenueResult(
        **asked.envelope(period),
        currency=asked.rates.base,
        refunds=question.refunds,
        buckets=buckets,
        total=total,
        recurring=[] if recurring is None else recurring.buckets,
        lifetime=lives,
        suppressed_cells=hidden,
    )
