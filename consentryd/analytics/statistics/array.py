"""The arrays that statistics are made of."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def shares(part: Ints, whole: Ints) -> Floats:
    """Part / whole, element by element; nan where the whole is 0."""
    found = np.full(whole.shape, np.nan)
    np.divide(part, whole, where=whole > 0, out=found)
    return found
