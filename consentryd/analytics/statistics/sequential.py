"""Looking at a running experiment as often as one likes: the asymptotic confidence sequence of Waudby-Smith et al."""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Final, Literal, NamedTuple

#: The number of subjects at which the sequence is tightest.
TUNED_AT: Final = 5_000


class Sequence(NamedTuple):
    """An interval that holds at every look at once, and the p-value that may be read at every look."""

    low: float
    high: float
    p_value: float


def half_width(error: float, n: int, alpha: float = 0.05, tuned_at: int = TUNED_AT) -> float:
    """`error` is the standard error of the effect, `n` subjects in both arms together."""
    r2 = _r2(alpha, tuned_at)
    return error * sqrt(n) * sqrt(2 * (n * r2 + 1) / (n * n * r2) * log(sqrt(n * r2 + 1) / alpha))


def sequence(effect: float, error: float, n: int, alpha: float = 0.05, tuned_at: int = TUNED_AT) -> Sequence:
    """The p-value is the smallest alpha whose sequence, tuned the same, leaves out 0: below `alpha` exactly when this interval does."""
    half = half_width(error, n, alpha, tuned_at)
    spread = n * _r2(alpha, tuned_at) + 1
    exponent = (effect / error) ** 2 * (spread - 1) / (2 * spread)
    return Sequence(effect - half, effect + half, min(1.0, sqrt(spread) * exp(-exponent)))


def method(planned: int | None, planned_at: int | None, started_at: int, n: int) -> Literal["frequentist", "sequential"]:
    """A fixed-horizon test only if its sample size was stored before the start, and is reached. Instants in microseconds."""
    stored = planned is not None and planned_at is not None and planned_at <= started_at
    return "frequentist" if stored and planned is not None and n >= planned else "sequential"


def _r2(alpha: float, tuned_at: int) -> float:
    doubled = -2 * log(alpha)
    return (doubled + log(doubled + 1)) / tuned_at
