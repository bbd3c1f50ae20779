"""Logistic regression by Newton's method, with a ridge that keeps weights finite where classes separate."""

from __future__ import annotations

from typing import Final

import numpy as np

from consentryd.analytics.statistics.array import Bools, Floats

RIDGE: Final = 1.0
MAX_STEPS: Final = 100
CLOSE: Final = 1e-10


def fit(x: Floats, y: Bools, ridge: float = RIDGE, start: Floats | None = None, close: float = CLOSE) -> Floats:
    """float64[f + 1], the intercept first, for n rows of f features: least -log likelihood + ridge / 2 x squared weights, intercept free.

    `start`: weights to begin with; they do not change the result. It stops where a step takes off less than `close` of the loss.
    """
    design = np.column_stack([np.ones(len(x)), x])
    penalty = np.full(design.shape[1], ridge)
    penalty[0] = 0.0
    weights = np.zeros(design.shape[1]) if start is None else start
    best = _loss(design, y, weights, penalty)
    for _ in range(MAX_STEPS):
        chance = probability(design @ weights)
        slope = design.T @ (chance - y) + penalty * weights
        curve = (design.T * (chance * (1 - chance))) @ design + np.diag(penalty)
        step = np.linalg.lstsq(curve, slope, rcond=None)[0]
        weights, now = _descend(design, y, weights, penalty, step, best)
        if best - now <= close * abs(best):
            break
        best = now
    return weights


def probability(logit: Floats) -> Floats:
    """1 / (1 + e^-logit), without overflow."""
    small = np.exp(-np.abs(logit))
    return np.where(logit >= 0, 1.0, small) / (1.0 + small)


def _descend(design: Floats, y: Bools, weights: Floats, penalty: Floats, step: Floats, best: float) -> tuple[Floats, float]:
    """The step, halved until the loss falls; where it does not, nothing moves."""
    for halving in range(30):
        moved = weights - step / 2**halving
        loss = _loss(design, y, moved, penalty)
        if loss <= best:
            return moved, loss
    return weights, best


def _loss(design: Floats, y: Bools, weights: Floats, penalty: Floats) -> float:
    logit = design @ weights
    return float((np.logaddexp(0.0, logit) - y * logit).sum() + (penalty * weights * weights).sum() / 2)
