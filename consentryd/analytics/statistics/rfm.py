"""Recency, frequency and monetary value as quintiles, and the segments they name (1.16)."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple, get_args

import numpy as np

from consentryd.analytics.statistics.array import Floats, Ints

Segment = Literal[
    "champions",
    "loyal",
    "potential loyal",
    "new",
    "promising",
    "need attention",
    "about to sleep",
    "at risk",
    "cannot lose",
    "hibernating",
]
SEGMENTS: Final[tuple[Segment, ...]] = get_args(Segment)
QUINTILES: Final = 5
#: By recency 1 to 5 (rows) and the mean of frequency and monetary value, rounded, 1 to 5 (columns): positions in `SEGMENTS`.
_GRID: Final = np.array(
    [
        [9, 9, 7, 7, 8],
        [9, 9, 7, 7, 8],
        [6, 6, 5, 1, 1],
        [4, 2, 2, 1, 1],
        [3, 2, 2, 0, 0],
    ]
)


class Scores(NamedTuple):
    """1 to 5 for each subject, 5 the best; `segment` is a position in `SEGMENTS`."""

    recency: Ints
    frequency: Ints
    monetary: Ints
    segment: Ints


def quintile(values: Floats | Ints) -> Ints:
    """1 for the lowest fifth to 5 for the highest; equal values share the lower rank, so nobody is split from their equals."""
    below = np.searchsorted(np.sort(values), values, "left")
    return 1 + below * QUINTILES // max(1, len(values))


def scores(last_seen: Ints, frequency: Ints, monetary: Ints) -> Scores:
    """Of one subject each, over all subjects compared (not bucket by bucket): last activity as an instant, events, revenue."""
    recency, often, worth = quintile(last_seen), quintile(frequency), quintile(monetary)
    return Scores(recency, often, worth, _GRID[recency - 1, (often + worth + 1) // 2 - 1])


def grid(one: Ints, other: Ints) -> Ints:
    """int64[5, 5]: subjects by two of the scores."""
    return np.bincount((one - 1) * QUINTILES + other - 1, minlength=QUINTILES**2).reshape(QUINTILES, QUINTILES).astype(np.int64)


def flow(subject_before: Ints, before: Ints, subject_after: Ints, after: Ints) -> Ints:
    """int64[s + 1, s + 1] of s segments: how many went from each (row) to each (column); the last row came new, the last column left.

    Subjects ascending and unique in both.
    """
    everyone = np.union1d(subject_before, subject_after)
    outside = len(SEGMENTS)
    places = []
    for subject, segment in ((subject_before, before), (subject_after, after)):
        place = np.full(len(everyone), outside)
        place[np.searchsorted(everyone, subject)] = segment
        places.append(place)
    wide = outside + 1
    return np.bincount(places[0] * wide + places[1], minlength=wide * wide).reshape(wide, wide).astype(np.int64)
