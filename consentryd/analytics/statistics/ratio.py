"""Ratio metrics whose denominator varies by subject (pages per session): the delta method over subjects."""

from __future__ import annotations

from consentryd.analytics.statistics.estimate import Estimate
from consentryd.analytics.statistics.moments import Pair


def ratio(pair: Pair) -> Estimate | None:
    """Sum of x over sum of y, with the variance of that ratio. None where y sums to 0, or with fewer than 2 subjects."""
    if pair.n <= 1 or pair.y == 0:
        return None
    value = pair.x / pair.y
    spread = pair.xx - 2 * value * pair.xy + value * value * pair.yy
    return Estimate(value, max(0.0, spread) / (pair.n - 1) / pair.n / pair.y**2, pair.n)
