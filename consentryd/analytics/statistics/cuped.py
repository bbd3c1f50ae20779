"""CUPED: what subjects did before they were exposed takes out variance that the experiment did not cause."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from consentryd.analytics.statistics.array import Floats
from consentryd.analytics.statistics.moments import Moments, Pair, moments, pair


class Arm(NamedTuple):
    """`known`: x is before, y is since, of subjects that have a time before; `new`: since, of those that have none."""

    known: Pair = Pair()
    new: Moments = Moments()

    def merge(self, other: Arm) -> Arm:
        """Of both; the parts must have no subject in common."""
        return Arm(self.known.merge(other.known), self.new.merge(other.new))

    @property
    def plain(self) -> Moments:
        """Since, unadjusted, of all."""
        return Moments(self.known.n, self.known.y, self.known.yy).merge(self.new)


class Adjusted(NamedTuple):
    """`arms` as adjusted; `reduction`: the share of variance taken out, over all arms, None where there was none."""

    arms: tuple[Moments, ...]
    theta: float
    reduction: float | None


def arm(before: Floats, since: Floats) -> Arm:
    """One value per subject, aligned; `before` is nan for subjects that were not there before their exposure."""
    known = ~np.isnan(before)
    return Arm(pair(before[known], since[known]), moments(since[~known]))


def adjust(arms: Sequence[Arm]) -> Adjusted:
    """Since - theta (before - mean before of all arms); theta is the slope within arms, 0 where nothing varied before.

    Subjects without a time before stand at the mean: they are not moved.
    """
    within = sum(each.known.xx for each in arms)
    theta = sum(each.known.xy for each in arms) / within if within > 0 else 0.0
    known = sum(each.known.n for each in arms)
    centre = sum(each.known.n * each.known.x for each in arms) / known if known else 0.0
    adjusted = tuple(_moved(each.known, theta, centre).merge(each.new) for each in arms)
    plain, after = sum(each.plain.squares for each in arms), sum(each.squares for each in adjusted)
    return Adjusted(adjusted, theta, 1 - after / plain if plain > 0 else None)


def _moved(known: Pair, theta: float, centre: float) -> Moments:
    squares = known.yy - 2 * theta * known.xy + theta * theta * known.xx
    return Moments(known.n, known.y - theta * (known.x - centre), max(0.0, squares)) if known.n else Moments()
