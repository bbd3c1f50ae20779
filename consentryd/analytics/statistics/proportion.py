"""Conversion of two arms compared: score test, Fisher's exact test, and intervals for the difference and the ratio."""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Final, Literal, NamedTuple

import numpy as np

from consentryd.analytics.statistics.distribution import normal_ppf, normal_sf
from consentryd.analytics.statistics.estimate import Estimate

MIN_EXPECTED: Final = 5
MIN_EACH: Final = 5
#: Tables as likely as the observed one count as at least as extreme in spite of rounding; scipy and R allow the same.
_SAME_LIKELIHOOD: Final = 1e-7


class Proportion(NamedTuple):
    """An arm: `successes` of `n` subjects converted."""

    successes: int
    n: int

    @property
    def rate(self) -> float:
        """Nan of nobody."""
        return self.successes / self.n if self.n else float("nan")

    @property
    def few(self) -> bool:
        """Below 5 conversions or 5 non-conversions, where normal methods do not hold."""
        return min(self.successes, self.n - self.successes) < MIN_EACH

    def merge(self, other: Proportion) -> Proportion:
        """Of both; the parts must have no subject in common."""
        return Proportion(self.successes + other.successes, self.n + other.n)

    def estimate(self) -> Estimate:
        """The rate with its binomial variance."""
        return Estimate(self.rate, self.rate * (1 - self.rate) / self.n if self.n else float("nan"), self.n)


class Interval(NamedTuple):
    """A confidence interval, ends included."""

    low: float
    high: float


class Decision(NamedTuple):
    """The p-value that decides, and by which test."""

    p_value: float
    test: Literal["score", "fisher"]


def decide(control: Proportion, treatment: Proportion) -> Decision | None:
    """The score test, or Fisher's where an expected cell is below 5 or an arm has fewer than 5 of either outcome. None without subjects."""
    if not control.n or not treatment.n:
        return None
    if control.few or treatment.few or min_expected(control, treatment) < MIN_EXPECTED:
        return Decision(fisher(control, treatment), "fisher")
    return Decision(score(control, treatment), "score")


def score(control: Proportion, treatment: Proportion) -> float:
    """Two-sided p of the pooled z test, the chi-square test without continuity correction. 1 where nobody or everybody converted."""
    pooled = control.merge(treatment).rate
    error = sqrt(pooled * (1 - pooled) * (1 / control.n + 1 / treatment.n))
    return min(1.0, 2 * normal_sf(abs(treatment.rate - control.rate) / error)) if error > 0 else 1.0


def fisher(control: Proportion, treatment: Proportion) -> float:
    """Two-sided p: of all tables with these margins, the share of those no likelier than the one seen."""
    successes = control.successes + treatment.successes
    low, high = max(0, successes - control.n), min(successes, treatment.n)
    k = np.arange(low, high, dtype=np.float64)
    steps = np.log((treatment.n - k) * (successes - k)) - np.log((k + 1) * (control.n - successes + k + 1))
    logs = np.concatenate([[0.0], np.cumsum(steps)])
    weights = np.exp(logs - logs.max())
    seen = weights[treatment.successes - low]
    return float(min(1.0, weights[weights <= seen * (1 + _SAME_LIKELIHOOD)].sum() / weights.sum()))


def min_expected(control: Proportion, treatment: Proportion) -> float:
    """The smallest expected cell of the two by two table."""
    total = control.merge(treatment)
    return min(control.n, treatment.n) * min(total.rate, 1 - total.rate)


def wald(control: Proportion, treatment: Proportion, alpha: float = 0.05) -> Interval:
    """Difference of rates: the textbook interval, too narrow for small counts."""
    effect = treatment.rate - control.rate
    half = normal_ppf(1 - alpha / 2) * sqrt(control.estimate().variance + treatment.estimate().variance)
    return Interval(effect - half, effect + half)


def newcombe(control: Proportion, treatment: Proportion, alpha: float = 0.05) -> Interval:
    """Difference of rates: Newcombe's hybrid of Wilson intervals, which never leaves [-1, 1]."""
    effect = treatment.rate - control.rate
    before, after = wilson(control, alpha), wilson(treatment, alpha)
    below = sqrt((treatment.rate - after.low) ** 2 + (before.high - control.rate) ** 2)
    above = sqrt((after.high - treatment.rate) ** 2 + (control.rate - before.low) ** 2)
    return Interval(effect - below, effect + above)


def wilson(arm: Proportion, alpha: float = 0.05) -> Interval:
    """One rate."""
    z = normal_ppf(1 - alpha / 2)
    middle = (arm.successes + z * z / 2) / (arm.n + z * z)
    half = z / (arm.n + z * z) * sqrt(arm.n * arm.rate * (1 - arm.rate) + z * z / 4)
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def katz(control: Proportion, treatment: Proportion, alpha: float = 0.05) -> Interval | None:
    """Relative change (rate / rate - 1) by the logarithm of the risk ratio. None where an arm has no conversion."""
    if not control.successes or not treatment.successes:
        return None
    error = sqrt(1 / treatment.successes - 1 / treatment.n + 1 / control.successes - 1 / control.n)
    middle = log(treatment.rate / control.rate)
    half = normal_ppf(1 - alpha / 2) * error
    return Interval(exp(middle - half) - 1, exp(middle + half) - 1)
