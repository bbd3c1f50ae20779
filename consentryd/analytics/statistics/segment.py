"""Looking things up within the stretch of one subject, for many subjects at once."""

from __future__ import annotations

import numpy as np

from consentryd.analytics.statistics.array import Bools, Ints


def heads(*sorted_by: Ints) -> Bools:
    """Which rows begin a run of equal values in all columns; the columns are of one length."""
    rows = len(sorted_by[0])
    begins = np.zeros(rows, np.bool_)
    begins[:1] = True
    for column in sorted_by:
        begins[1:] |= column[1:] != column[:-1]
    return begins


def first_at_or_after(time: Ints, low: Ints, high: Ints, target: Ints) -> Ints:
    """For each i the first position in [low[i], high[i]) with time >= target[i], or high[i]; `time` ascends within each stretch."""
    low, high = low.copy(), high.copy()
    while (seeking := low < high).any():
        middle = (low + high) // 2
        early = seeking.copy()
        early[seeking] = time[middle[seeking]] < target[seeking]
        low = np.where(early, middle + 1, low)
        high = np.where(seeking & ~early, middle, high)
    return low


def expand(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """All positions of the stretches [low[i], high[i]), one after the other: i, and the position."""
    sizes = high - low
    owner = np.repeat(np.arange(len(low)), sizes)
    return owner, np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes - low, sizes)


def offsets(sizes: Ints) -> Ints:
    """Where stretches of these sizes begin when laid end to end, and where the last ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
