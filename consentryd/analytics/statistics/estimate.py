"""An estimated number with its uncertainty, and the contrast of two by Welch's t."""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

from consentryd.analytics.statistics.distribution import t_ppf, t_sf


class Estimate(NamedTuple):
    """`variance` is that of the estimate itself (its squared standard error); `n` subjects."""

    value: float
    variance: float
    n: int


class Contrast(NamedTuple):
    """Treatment against control: the effect, its standard error, degrees of freedom, two-sided p and 1 - alpha interval."""

    effect: float
    error: float
    freedom: float
    p_value: float
    low: float
    high: float


def difference(control: Estimate, treatment: Estimate, alpha: float = 0.05) -> Contrast | None:
    """Treatment minus control; the p-value decides (1.10). None with fewer than 2 subjects in an arm, or without any variance."""
    freedom = _freedom(control, treatment)
    if freedom is None:
        return None
    return _contrast(treatment.value - control.value, control.variance + treatment.variance, freedom, alpha)


def relative(control: Estimate, treatment: Estimate, alpha: float = 0.05) -> Contrast | None:
    """Treatment / control - 1 by the delta method, as PostHog and GrowthBook have it. Shown, never decided by: its p-value depends on
    which arm is in the denominator. None as `difference`, with a control of 0, and where nobody of the treatment has anything."""
    freedom = _freedom(control, treatment)
    square = control.value * control.value
    if freedom is None or square == 0:
        return None
    ratio = treatment.value / control.value
    variance = (treatment.variance + ratio * ratio * control.variance) / square
    return _contrast(ratio - 1, variance, freedom, alpha) if variance > 0 else None


def _freedom(control: Estimate, treatment: Estimate) -> float | None:
    """Welch and Satterthwaite, of each arm's share of the variance: squares of variances themselves may be too small to be told from 0."""
    total = control.variance + treatment.variance
    if min(control.n, treatment.n) < 2 or not total > 0:  # noqa: PLR2004 - one subject has no variance
        return None
    ours, theirs = control.variance / total, treatment.variance / total
    return 1 / (ours * ours / (control.n - 1) + theirs * theirs / (treatment.n - 1))


def _contrast(effect: float, variance: float, freedom: float, alpha: float) -> Contrast:
    error = sqrt(variance)
    half = t_ppf(1 - alpha / 2, freedom) * error
    p_value = min(1.0, 2 * t_sf(abs(effect) / error, freedom))
    return Contrast(effect, error, freedom, p_value, effect - half, effect + half)
