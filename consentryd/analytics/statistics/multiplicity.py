"""P-values of many questions at once. nan (a test that could not be made) stays nan and does not count."""

from __future__ import annotations

import numpy as np

from consentryd.analytics.statistics.array import Bools, Floats, Ints


def holm(p_values: Floats) -> Floats:
    """Adjusted for the chance of any false alarm: variants x primary metrics."""
    known, order, m = _ascending(p_values)
    adjusted = np.maximum.accumulate(p_values[known][order] * np.arange(m, 0, -1))
    return _put_back(p_values, known, order, adjusted)


def benjamini_hochberg(p_values: Floats) -> Floats:
    """Adjusted for the share of false alarms among alarms: secondary metrics, labelled exploratory."""
    known, order, m = _ascending(p_values)
    scaled = p_values[known][order] * m / np.arange(1, m + 1)
    return _put_back(p_values, known, order, np.minimum.accumulate(scaled[::-1])[::-1])


def _ascending(p_values: Floats) -> tuple[Bools, Ints, int]:
    known = ~np.isnan(p_values)
    return known, np.argsort(p_values[known], kind="stable"), int(known.sum())


def _put_back(p_values: Floats, known: Bools, order: Ints, adjusted: Floats) -> Floats:
    found = np.empty(len(order))
    found[order] = np.minimum(adjusted, 1.0)
    whole = np.full(len(p_values), np.nan)
    whole[known] = found
    return whole
