"""Chances instead of p-values: Beta(1, 1) for conversion, the flat prior and normal approximation for means.

Stop on the expected loss, never on the chance alone (1.10): the chance passes any threshold sooner or later when looked at often enough.
"""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.statistics.array import Floats
from consentryd.analytics.statistics.distribution import beta_ppf, normal_cdf, normal_pdf, normal_ppf
from consentryd.analytics.statistics.proportion import Interval, Proportion

PRIOR: Final = (1.0, 1.0)
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(16)
#: Densities are looked at within 40 standard deviations: exponential tails beyond are below 1e-17.
_REACH: Final = 40.0
_PANELS: Final = 128
_HALVINGS: Final = 60


class Belief(NamedTuple):
    """`chance` that treatment is above control; `loss_of_treatment` and `loss_of_control`: what choosing that arm is expected to cost, in
    units of the effect; `interval`: the effect lies in it with a probability of 1 - alpha."""

    chance: float
    loss_of_treatment: float
    loss_of_control: float
    interval: Interval


def normal(effect: float, error: float, alpha: float = 0.05) -> Belief:
    """Of an effect with a standard error above 0, under a flat prior; a relative effect comes from `estimate.relative`."""
    z = effect / error
    gain = error * (normal_pdf(z) + z * normal_cdf(z))
    half = normal_ppf(1 - alpha / 2) * error
    return Belief(normal_cdf(z), gain - effect, gain, Interval(effect - half, effect + half))


class Beta(NamedTuple):
    """A rate's posterior; a and b at least 1."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        """The expected rate."""
        return self.a / (self.a + self.b)

    @property
    def deviation(self) -> float:
        """Its standard deviation."""
        n = self.a + self.b
        return sqrt(self.a * self.b / (n + 1)) / n

    def interval(self, alpha: float = 0.05) -> Interval:
        """With equal tails."""
        return Interval(beta_ppf(alpha / 2, self.a, self.b), beta_ppf(1 - alpha / 2, self.a, self.b))


def posterior(arm: Proportion, prior: tuple[float, float] = PRIOR) -> Beta:
    """The prior's parameters must be at least 1."""
    return Beta(prior[0] + arm.successes, prior[1] + arm.n - arm.successes)


def rates(control: Beta, treatment: Beta, alpha: float = 0.05) -> Belief:
    """Of the difference of two rates, treatment minus control, by quadrature exact to 1e-10."""
    chance = above(treatment, control)
    gain = treatment.mean * above(Beta(treatment.a + 1, treatment.b), control)
    gain -= control.mean * above(treatment, Beta(control.a + 1, control.b))
    interval = _interval(lambda shift: above(treatment, control, shift=shift), -1.0, 1.0, alpha)
    return Belief(chance, gain - (treatment.mean - control.mean), gain, interval)


def relative_interval(control: Beta, treatment: Beta, alpha: float = 0.05) -> Interval:
    """Of treatment / control - 1."""
    high = 1.0
    while above(treatment, control, scale=1 + high) > alpha / 2:
        high *= 2
    return _interval(lambda change: above(treatment, control, scale=1 + change), -1.0, high, alpha)


def above(treatment: Beta, control: Beta, shift: float = 0.0, scale: float = 1.0) -> float:
    """P(treatment > scale x control + shift), scale >= 0: the integral of one density times the other's distribution function."""
    if scale == 0:
        return 1.0 if shift <= 0 else float("nan")
    edges = np.unique(np.concatenate([_reach(treatment), _reach(control) * scale + shift]))
    half = np.diff(edges) / 2
    x = (edges[:-1] + half)[:, None] + half[:, None] * _NODES
    weight = _density(treatment, x) * half[:, None]
    other = _density(control, (x - shift) / scale) * half[:, None]
    before = np.concatenate([[0.0], np.cumsum((other @ _WEIGHTS)[:-1])])
    below = (before[:, None] + other @ _ANTIDERIVATIVE) / (other @ _WEIGHTS).sum()
    return float(((weight * below) @ _WEIGHTS).sum() / (weight @ _WEIGHTS).sum())


def _interval(chance_above: Callable[[float], float], low: float, high: float, alpha: float) -> Interval:
    return Interval(*(_crossing(chance_above, low, high, share) for share in (1 - alpha / 2, alpha / 2)))


def _crossing(falling: Callable[[float], float], low: float, high: float, share: float) -> float:
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > share else (low, middle)
    return (low + high) / 2


def _reach(beta: Beta) -> Floats:
    low, high = (min(1.0, max(0.0, beta.mean + side * _REACH * beta.deviation)) for side in (-1, 1))
    return np.linspace(low, high, _PANELS + 1)


def _density(beta: Beta, x: Floats) -> Floats:
    """Relative to the density at the mean, so that large counts do not cancel."""
    inside = (x > 0) & (x < 1)
    gap = np.where(inside, x, beta.mean) - beta.mean
    logs = (beta.a - 1) * np.log1p(gap / beta.mean) + (beta.b - 1) * np.log1p(-gap / (1 - beta.mean))
    return np.where(inside, np.exp(logs), 0.0)


def _antiderivative() -> Floats:
    """Takes values at the 16 nodes to their integral from -1 up to each node: exact for polynomials of degree 15."""
    fit = np.polynomial.legendre.legvander(_NODES, 15) * _WEIGHTS[:, None] * (np.arange(16) + 0.5)
    integral = np.polynomial.legendre.legint(np.eye(16), axis=1, lbnd=-1)
    return np.asarray(fit @ np.polynomial.legendre.legval(_NODES, integral.T), np.float64)


_ANTIDERIVATIVE: Final = _antiderivative()
