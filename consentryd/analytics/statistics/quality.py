"""How good scores are: whether they rank, whether they are true to size, and what the top is worth."""

from __future__ import annotations

from math import ceil
from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.statistics.array import Bools, Floats

BINS: Final = 10


class Bin(NamedTuple):
    """A tenth of the subjects by score: how many, what was predicted on average, and what happened."""

    n: int
    predicted: float
    observed: float


class Quality(NamedTuple):
    """`lift`: how much likelier the top tenth is than all; `calibration_error`: the bins' mean gap between predicted and observed."""

    auc: float | None
    brier: float
    lift: float | None
    calibration_error: float
    calibration: tuple[Bin, ...]


def quality(scores: Floats, outcome: Bools) -> Quality:
    """Of at least one subject; auc and lift are None where all or none of them did it."""
    table = calibration(scores, outcome)
    gap = sum(each.n * abs(each.predicted - each.observed) for each in table) / len(scores)
    return Quality(auc(scores, outcome), float(np.mean((scores - outcome) ** 2)), lift(scores, outcome), gap, table)


def auc(scores: Floats, outcome: Bools) -> float | None:
    """The chance that one who did it scores above one who did not; equal scores count half."""
    positives = int(outcome.sum())
    negatives = len(outcome) - positives
    if not positives or not negatives:
        return None
    ordered = np.sort(scores[~outcome])
    wins = np.searchsorted(ordered, scores[outcome], "left").sum() + np.searchsorted(ordered, scores[outcome], "right").sum()
    return float(wins / 2 / positives / negatives)


def lift(scores: Floats, outcome: Bools, share: float = 0.1) -> float | None:
    """Rate of the top share over the rate of all; those tied at its edge count in part, so their order does not matter."""
    if not outcome.any():
        return None
    size = ceil(len(scores) * share)
    edge = np.sort(scores)[-size]
    over, at = scores > edge, scores == edge
    hits = outcome[over].sum() + outcome[at].mean() * (size - over.sum())
    return float(hits / size / outcome.mean())


def calibration(scores: Floats, outcome: Bools, bins: int = BINS) -> tuple[Bin, ...]:
    """By score ascending, in bins of equal size."""
    order = np.argsort(scores, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return tuple(Bin(len(part), float(scores[part].mean()), float(outcome[part].mean())) for part in parts)
