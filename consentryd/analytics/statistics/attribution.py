"""How a conversion's credit is shared out among the touches before it, by rule (1.11).

Each model gives one share per touch; those of one journey sum to 1. `credited` adds them up by channel.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.statistics.array import Floats, Ints
from consentryd.analytics.statistics.touch import DAY, Journeys

HALF_LIFE: Final = 7 * DAY
_ENDS: Final = 0.4


class Credit(NamedTuple):
    """By channel code, float64[channels]: conversions and their value; and what had no touch, a row of its own."""

    conversions: Floats
    value: Floats
    unattributed: float
    unattributed_value: float

    def merge(self, other: Credit) -> Credit:
        """Of both; the parts must have no conversion in common."""
        return Credit(
            self.conversions + other.conversions,
            self.value + other.value,
            self.unattributed + other.unattributed,
            self.unattributed_value + other.unattributed_value,
        )


def first(journeys: Journeys) -> Floats:
    """All to the first touch."""
    return _at(journeys, journeys.offset[:-1])


def last(journeys: Journeys) -> Floats:
    """All to the last touch; with direct channels named in `Touching`, to the last that is not direct."""
    return _at(journeys, journeys.offset[1:] - 1)


def linear(journeys: Journeys) -> Floats:
    """The same to each touch."""
    sizes = journeys.sizes
    return 1.0 / np.repeat(sizes, sizes)


def position(journeys: Journeys) -> Floats:
    """40 % to the first and the last, 20 % shared by those between; halves where there are two."""
    sizes = journeys.sizes
    each = np.repeat(sizes, sizes)
    shares = np.divide(1 - 2 * _ENDS, each - 2, where=each > 2, out=np.where(each == 1, 1.0, 0.5))  # noqa: PLR2004 - two ends
    ends = (first(journeys) + last(journeys) > 0) & (each > 2)  # noqa: PLR2004 - the same
    return np.where(ends, _ENDS, shares)


def decay(journeys: Journeys, half_life: float = HALF_LIFE) -> Floats:
    """Weights halve with every `half_life` microseconds before the conversion."""
    if not len(journeys.age):
        return np.zeros(0)
    begins = journeys.offset[:-1][journeys.sizes > 0]
    sizes = journeys.sizes[journeys.sizes > 0]
    youngest = np.repeat(np.minimum.reduceat(journeys.age, begins), sizes)
    weights = np.exp2((youngest - journeys.age) / half_life)
    return np.asarray(weights / np.repeat(np.add.reduceat(weights, begins), sizes), np.float64)


def credited(journeys: Journeys, shares: Floats, channels: int) -> Credit:
    """Adds up shares, one for each touch, by channel code below `channels`."""
    alone = journeys.sizes == 0
    return Credit(
        conversions=np.bincount(journeys.channel, shares, channels).astype(np.float64),
        value=np.bincount(journeys.channel, shares * journeys.value[journeys.owner], channels).astype(np.float64),
        unattributed=float(alone.sum()),
        unattributed_value=float(journeys.value[alone].sum()),
    )


def _at(journeys: Journeys, touch: Ints) -> Floats:
    shares = np.zeros(len(journeys.channel))
    shares[touch[journeys.sizes > 0]] = 1.0
    return shares
