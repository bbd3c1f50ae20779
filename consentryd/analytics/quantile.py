"""Quantiles of weighted values, exact: type 7, the linear interpolation that `quantile_cont` and numpy use."""

from __future__ import annotations

import numpy as np

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]
Counts = np.ndarray[tuple[int], np.dtype[np.int64]]


def quantile(values: Floats, counts: Counts, share: float) -> float | None:
    """The `share` quantile of `values`, each of which is there `counts` times; None of nothing."""
    order = np.argsort(values, kind="stable")
    ends = np.cumsum(counts[order])
    if not len(ends) or not ends[-1]:
        return None
    position = float(ends[-1] - 1) * share
    low = int(position)
    below, above = (float(values[order[np.searchsorted(ends, rank, "right")]]) for rank in (low, min(low + 1, int(ends[-1]) - 1)))
    return below + (above - below) * (position - low)
