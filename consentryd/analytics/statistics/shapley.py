"""Shapley's credit, exact for any number of channels (1.11).

With v(S) the conversions of journeys whose channels all lie in S, the game is a sum of one unanimity game per journey, and the Shapley
value of such a game is an equal part for each of its members. So no coalition needs to be enumerated and no permutation sampled.
"""

from __future__ import annotations

import numpy as np

from consentryd.analytics.statistics.array import Floats
from consentryd.analytics.statistics.touch import Journeys


def shares(journeys: Journeys) -> Floats:
    """One share per touch, for `attribution.credited`: equal for each distinct channel of the journey, equal among the channel's touches."""
    channels = int(journeys.channel.max()) + 1 if len(journeys.channel) else 1
    owner = journeys.owner
    keys, place, repeats = np.unique(owner * channels + journeys.channel, return_inverse=True, return_counts=True)
    distinct = np.bincount(keys // channels, minlength=len(journeys.subject))
    return np.asarray(1.0 / (distinct[owner] * repeats[place]), np.float64)
