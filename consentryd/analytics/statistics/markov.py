"""Credit by what would be lost without a channel: a Markov chain of order 1, solved exactly (1.11).

States are the channels, then start, conversion and null. Counts of transitions add up over streams; everything else is made of them.
"""

from __future__ import annotations

import numpy as np

from consentryd.analytics.statistics.array import Floats, Ints
from consentryd.analytics.statistics.attribution import Credit
from consentryd.analytics.statistics.touch import Journeys


def transitions(journeys: Journeys, channels: int, *, converted: bool) -> Ints:
    """int64[channels + 3, channels + 3]: how often each state followed another. Journeys without a touch are left out."""
    start, end = channels, channels + (1 if converted else 2)
    touched = journeys.sizes > 0
    begins, ends = journeys.offset[:-1][touched], journeys.offset[1:][touched]
    before = np.insert(journeys.channel, begins, start)
    after = np.insert(journeys.channel, ends, end)
    states = channels + 3
    return np.bincount(before * states + after, minlength=states * states).astype(np.int64).reshape(states, states)


def conversion_chance(counts: Ints, without: int | None = None) -> float:
    """From start to conversion; with a channel taken out, all that would come to it is lost. 0 where no journey was."""
    channels = len(counts) - 3
    totals = counts.sum(axis=1, keepdims=True)
    chances = np.divide(counts, totals, where=totals > 0, out=np.zeros(counts.shape))
    if without is not None:
        chances[:, without] = 0.0
    reached = np.linalg.solve(np.eye(channels) - chances[:channels, :channels], chances[:channels, channels + 1])
    return float(chances[channels, :channels] @ reached)


def removal_effects(counts: Ints) -> Floats:
    """float64[channels]: 1 - P(conversion without it) / P(conversion); 0 where nothing converts."""
    channels = len(counts) - 3
    whole = conversion_chance(counts)
    if whole <= 0:
        return np.zeros(channels)
    return np.array([1 - conversion_chance(counts, channel) / whole for channel in range(channels)])


def credited(counts: Ints, journeys: Credit) -> Credit:
    """Conversions and value shared out in proportion to removal effects; `journeys` is any rule's credit of the same conversions, of which
    the totals are kept."""
    effects = removal_effects(counts)
    shares = effects / effects.sum() if effects.sum() > 0 else effects
    return journeys._replace(conversions=shares * journeys.conversions.sum(), value=shares * journeys.value.sum())
