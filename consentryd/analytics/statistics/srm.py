"""Sample ratio mismatch: were the arms filled as planned? Asked before any result is looked at (1.10)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from consentryd.analytics.statistics.distribution import chi_square_sf

ALARM: Final = 0.001
AMBER: Final = 0.01


class Split(NamedTuple):
    """`alarm`: p < 0.001, results are invalid; `amber`: p < 0.01, worth a look."""

    chi_square: float
    p_value: float
    level: Literal["ok", "amber", "alarm"]


def split(exposed: Sequence[int], weights: Sequence[float]) -> Split | None:
    """Chi-square of exposed counts against the planned shares (any positive scale). None with nobody exposed or fewer than two arms.

    Raises ValueError if a weight is not positive or the lengths differ.
    """
    if len(exposed) != len(weights) or any(weight <= 0 for weight in weights):
        raise ValueError("each arm needs one positive weight")
    total = sum(exposed)
    if not total or len(exposed) <= 1:
        return None
    expected = [total * weight / sum(weights) for weight in weights]
    chi_square = sum((seen - wanted) ** 2 / wanted for seen, wanted in zip(exposed, expected, strict=True))
    p_value = chi_square_sf(chi_square, len(exposed) - 1)
    return Split(chi_square, p_value, "alarm" if p_value < ALARM else "amber" if p_value < AMBER else "ok")
