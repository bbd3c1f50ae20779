"""Distribution functions of the normal, chi-square, t and beta, to a relative error below 1e-10 (tested against scipy).

The factors x^a (1-x)^b / B(a, b) and x^a e^-x / Gamma(a) are formed by Loader's saddle-point expansion, so they stay exact for counts of
hundreds of millions, where differences of log-gammas lose their digits.
"""

from __future__ import annotations

from collections.abc import Callable
from math import erfc, exp, inf, isinf, lgamma, log, pi, sqrt
from statistics import NormalDist
from typing import Final

MAX_TERMS: Final = 200_000
_EPSILON: Final = 1e-16
_TINY: Final = 1e-300
_STANDARD: Final = NormalDist()
_SERIES_FROM: Final = 15.0
_NEAR: Final = 0.1


def normal_cdf(x: float) -> float:
    """P(Z <= x)."""
    return 0.5 * erfc(-x / sqrt(2))


def normal_sf(x: float) -> float:
    """P(Z > x), exact far out too."""
    return 0.5 * erfc(x / sqrt(2))


def normal_pdf(x: float) -> float:
    """The density at x."""
    return exp(-x * x / 2) / sqrt(2 * pi)


def normal_ppf(share: float) -> float:
    """The x with P(Z <= x) = share; share in (0, 1)."""
    return _STANDARD.inv_cdf(share)


def chi_square_sf(x: float, freedom: float) -> float:
    """P(X > x) with `freedom` > 0 degrees of freedom."""
    return gamma_sf(freedom / 2, x / 2)


def gamma_sf(shape: float, x: float) -> float:
    """The regularised upper incomplete gamma function Q(shape, x), shape > 0."""
    if x <= 0:
        return 1.0
    if isinf(x):
        return 0.0
    point = _poisson(shape, x)
    return 1.0 - point * _gamma_series(shape, x) if x < shape + 1 else point * shape * _gamma_fraction(shape, x)


def beta_cdf(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), a and b > 0."""
    return _beta(x, 1.0 - x, a, b)


def beta_ppf(share: float, a: float, b: float) -> float:
    """The x with I_x(a, b) = share."""
    return _inverse(lambda x: beta_cdf(x, a, b), share, 0.0, 1.0)


def t_sf(x: float, freedom: float) -> float:
    """P(T > x) with `freedom` > 0 degrees of freedom, which may be infinite."""
    if isinf(freedom):
        return normal_sf(x)
    if isinf(x):
        return 0.0 if x > 0 else 1.0
    total = freedom + x * x
    tail = 0.5 * _beta(freedom / total, x * x / total, freedom / 2, 0.5)
    return tail if x >= 0 else 1.0 - tail


def t_ppf(share: float, freedom: float) -> float:
    """The x with P(T <= x) = share."""
    if share < 0.5:  # noqa: PLR2004 - the median
        return -t_ppf(1.0 - share, freedom)
    high = 1.0
    while t_sf(high, freedom) > 1.0 - share:
        high *= 2
    return _inverse(lambda x: 1.0 - t_sf(x, freedom), share, 0.0, high)


def _inverse(rising: Callable[[float], float], share: float, low: float, high: float) -> float:
    """By halving, until no number is left between the bounds."""
    while True:
        middle = (low + high) / 2
        if not low < middle < high:
            return middle
        low, high = (middle, high) if rising(middle) < share else (low, middle)


def _beta(x: float, y: float, a: float, b: float) -> float:
    """I_x(a, b) with y = 1 - x given apart, so that neither end loses digits."""
    if x <= 0:
        return 0.0
    if y <= 0:
        return 1.0
    n = a + b
    point = _binomial(a, b, x, y)
    if x < (a + 1) / (n + 2):
        return point * (b / n) * _beta_fraction(a, b, x)
    return 1.0 - point * (a / n) * _beta_fraction(b, a, y)


def _beta_fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b), by Lentz's method."""
    c = 1.0
    d = 1.0 / _nonzero(1.0 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, MAX_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = value
        for term in (even, odd):
            d = 1.0 / _nonzero(1.0 + term * d)
            c = _nonzero(1.0 + term / c)
            value *= c * d
        if abs(value - before) <= _EPSILON * value:
            break
    return value


def _gamma_series(shape: float, x: float) -> float:
    term = value = 1.0
    for k in range(1, MAX_TERMS):
        term *= x / (shape + k)
        value += term
        if term <= _EPSILON * value:
            break
    return value


def _gamma_fraction(shape: float, x: float) -> float:
    b = x + 1.0 - shape
    c = 1.0 / _TINY
    d = 1.0 / _nonzero(b)
    value = d
    for k in range(1, MAX_TERMS):
        term = -k * (k - shape)
        b += 2.0
        d = 1.0 / _nonzero(term * d + b)
        c = _nonzero(b + term / c)
        value *= c * d
        if abs(c * d - 1.0) <= 2 * _EPSILON:
            break
    return value


def _nonzero(x: float) -> float:
    return x if abs(x) > _TINY else _TINY


def _binomial(a: float, b: float, x: float, y: float) -> float:
    """Gamma(a+b+1) / (Gamma(a+1) Gamma(b+1)) x^a y^b, with x + y = 1."""
    n = a + b
    exponent = _stirling_rest(n) - _stirling_rest(a) - _stirling_rest(b) - _deviance(a, n * x) - _deviance(b, n * y)
    return exp(exponent) * sqrt(n / (2 * pi * a * b))


def _poisson(a: float, x: float) -> float:
    """x^a e^-x / Gamma(a+1)."""
    return exp(-_stirling_rest(a) - _deviance(a, x)) / sqrt(2 * pi * a)


def _stirling_rest(n: float) -> float:
    """ln(n!) less Stirling's formula; the series' error from 15 on is below 3e-16."""
    if n < _SERIES_FROM:
        return lgamma(n + 1) - (n + 0.5) * log(n) + n - 0.5 * log(2 * pi)
    m = n * n
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / 1188 / m) / m) / m) / m) / n


def _deviance(x: float, mean: float) -> float:
    """X ln(x / mean) + mean - x, without cancellation near x = mean."""
    if mean <= 0:
        return inf
    v = (x - mean) / (x + mean)
    if abs(v) >= _NEAR:
        return x * log(x / mean) + mean - x
    value = (x - mean) * v
    term = 2 * x * v
    for k in range(3, MAX_TERMS, 2):
        term *= v * v
        after = value + term / k
        if after == value:
            break
        value = after
    return value
