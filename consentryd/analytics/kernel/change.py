"""Where a column changes: the first event of each run of equal values."""

from __future__ import annotations

import numpy as np

from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.stream import Values


def changes(column: Values) -> Bools:
    """True for the first of equal neighbours; missing numbers (nan) are equal."""
    found = np.ones(len(column), np.bool_)
    np.not_equal(column[1:], column[:-1], out=found[1:])
    if column.dtype.kind == "f":
        found[1:] &= ~(np.isnan(column[1:]) & np.isnan(column[:-1]))
    return found


def firsts(column: Values) -> Ints:
    """Positions of these."""
    return np.flatnonzero(changes(column))
