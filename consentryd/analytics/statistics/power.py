"""How many subjects an experiment needs, and what it can see with those it has."""

from __future__ import annotations

from math import ceil, sqrt
from typing import Final, Literal

from consentryd.analytics.statistics.distribution import normal_ppf

Direction = Literal["increase", "decrease"]


#: More subjects than these nobody has: an effect that needs them cannot be seen.
MOST: Final = 10**12


def sample_size(base: float, wanted: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Subjects per arm to tell a rate of `wanted` from `base`; None of more than `MOST`. Raises ValueError if they are equal or not within
    [0, 1]."""
    if base == wanted or not (0 <= base <= 1 and 0 <= wanted <= 1):
        raise ValueError("needs two different rates between 0 and 1")
    return _whole(sqrt(base * (1 - base) + wanted * (1 - wanted)) / abs(base - wanted), alpha, power)


def sample_size_of_mean(deviation: float, effect: float, alpha: float = 0.05, power: float = 0.8) -> int | None:
    """Subjects per arm to see a difference of means; None of more than `MOST`. Raises ValueError if `effect` is 0."""
    if effect == 0:
        raise ValueError("needs an effect")
    return _whole(sqrt(2) * deviation / abs(effect), alpha, power)


def detectable(base: float, n: int, alpha: float = 0.05, power: float = 0.8, direction: Direction = "increase") -> float | None:
    """The smallest change of rate, signed, that n subjects per arm show; None if not even the largest possible one does."""
    end = 1.0 if direction == "increase" else 0.0
    if n < 1 or end == base or _needed(base, end, alpha, power) > n:
        return None
    near, far = 0.0, end - base
    while abs(far - near) > 1e-12:  # noqa: PLR2004 - far below any rate that could be told apart
        middle = (near + far) / 2
        near, far = (near, middle) if _needed(base, base + middle, alpha, power) <= n else (middle, far)
    return far


def detectable_mean(deviation: float, n: int, alpha: float = 0.05, power: float = 0.8) -> float | None:
    """The smallest difference of means that n subjects per arm show; None of nobody."""
    return _quantiles(alpha, power) * deviation * sqrt(2 / n) if n else None


def days_to_go(needed: int, present: int, per_day: float) -> int | None:
    """Whole days until an arm is full; None if nobody comes."""
    if present >= needed:
        return 0
    return ceil((needed - present) / per_day) if per_day > 0 else None


def _whole(deviations: float, alpha: float, power: float) -> int | None:
    """How many subjects an effect needs that so many deviations are as large as."""
    root = _quantiles(alpha, power) * deviations
    return ceil(root**2) if root <= sqrt(MOST) else None


def _needed(base: float, wanted: float, alpha: float, power: float) -> float:
    return _quantiles(alpha, power) ** 2 * (base * (1 - base) + wanted * (1 - wanted)) / (base - wanted) ** 2


def _quantiles(alpha: float, power: float) -> float:
    return normal_ppf(1 - alpha / 2) + normal_ppf(power)
