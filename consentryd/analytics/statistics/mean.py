"""Means of subjects' sums or counts: the cap on outliers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from consentryd.analytics.statistics.array import Floats

WINSORISED_AT: Final = 0.995


def cap(arms: Sequence[Floats], share: float = WINSORISED_AT) -> float | None:
    """The `share` quantile (type 7) of the values of all arms together: one cap for all, or the arms would be cut differently."""
    values = np.concatenate(arms) if arms else np.empty(0)
    return float(np.quantile(values, share)) if len(values) else None


def winsorised(arms: Sequence[Floats], share: float = WINSORISED_AT) -> list[Floats]:
    """The arms with values above the cap brought down to it. An arm compares by `moments(values).estimate()` and `difference`."""
    limit = cap(arms, share)
    return [values if limit is None else np.minimum(values, limit) for values in arms]
