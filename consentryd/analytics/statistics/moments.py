"""Count, mean and spread of one number per subject, or of two together: what is added up bucket by bucket.

Sums of squares are kept about the mean (Chan's update), so that large values with little spread keep their digits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from consentryd.analytics.statistics.array import Floats
from consentryd.analytics.statistics.estimate import Estimate


class Moments(NamedTuple):
    """`squares` is the sum of squared deviations from the mean."""

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def total(self) -> float:
        """The sum of the values."""
        return self.n * self.mean

    @property
    def variance(self) -> float:
        """Of the values, unbiased; nan below 2."""
        return self.squares / (self.n - 1) if self.n > 1 else float("nan")

    def merge(self, other: Moments) -> Moments:
        """Of both; the parts must have no subject in common."""
        n = self.n + other.n
        if not n:
            return Moments()
        gap = other.mean - self.mean
        weight = other.n / n
        return Moments(n, self.mean + gap * weight, self.squares + other.squares + gap * gap * self.n * weight)

    def estimate(self) -> Estimate:
        """The mean with its uncertainty; nan variance below 2 subjects."""
        return Estimate(self.mean, self.variance / self.n if self.n else float("nan"), self.n)


def moments(values: Floats) -> Moments:
    """Of one value per subject; no nan."""
    if not len(values):
        return Moments()
    mean = float(values.mean())
    return Moments(len(values), mean, float(np.square(values - mean).sum()))


def moments_of_sums(n: int, total: float, squares: float) -> Moments:
    """From a plain sum and a sum of squares."""
    return Moments(n, total / n, max(0.0, squares - total * total / n)) if n else Moments()


class Pair(NamedTuple):
    """Two numbers, x and y, per subject. `xx`, `yy`, `xy` are sums of products of deviations from the means."""

    n: int = 0
    x: float = 0.0
    y: float = 0.0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0

    def merge(self, other: Pair) -> Pair:
        """Of both; the parts must have no subject in common."""
        n = self.n + other.n
        if not n:
            return Pair()
        dx, dy, weight = other.x - self.x, other.y - self.y, other.n / n
        shared = self.n * weight
        return Pair(
            n,
            self.x + dx * weight,
            self.y + dy * weight,
            self.xx + other.xx + dx * dx * shared,
            self.yy + other.yy + dy * dy * shared,
            self.xy + other.xy + dx * dy * shared,
        )


def pair(x: Floats, y: Floats) -> Pair:
    """Of two values per subject, aligned; no nan."""
    if not len(x):
        return Pair()
    mean_x, mean_y = float(x.mean()), float(y.mean())
    dx, dy = x - mean_x, y - mean_y
    return Pair(len(x), mean_x, mean_y, float(dx @ dx), float(dy @ dy), float(dx @ dy))


def pair_of_sums(n: int, x: float, y: float, xx: float, yy: float, xy: float) -> Pair:
    """From plain sums, sums of squares and of products."""
    return Pair(n, x / n, y / n, xx - x * x / n, yy - y * y / n, xy - x * y / n) if n else Pair()
