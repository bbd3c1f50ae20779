"""The chance that a subject does something, or stays away, within a horizon (1.17): trained on the past, believed only if it held later.

Train at `cutoffs(...).train`, validate at the later `.validate`, score today. A model that does not hold is refused, not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

import numpy as np

from consentryd.analytics.statistics import logistic
from consentryd.analytics.statistics.array import Bools, Floats, Ints
from consentryd.analytics.statistics.feature import Table
from consentryd.analytics.statistics.quality import Quality, quality

MIN_EACH: Final = 500
MIN_AUC: Final = 0.6
MAX_CALIBRATION_ERROR: Final = 0.05
#: Newton's steps take time with the square of the features; more rows than this change no weight that matters.
MAX_ROWS: Final = 20_000
FOLDS: Final = 5
EXPLAINED: Final = 3
#: The folds only tell how much too sure of itself the model is, by two numbers.
_CLOSE_ENOUGH: Final = 1e-7

Refusal = Literal["too few positives", "too few negatives", "too weak", "miscalibrated"]


class Cutoffs(NamedTuple):
    """Day numbers: what is known before each predicts the `horizon` days from it on."""

    train: int
    validate: int


def cutoffs(today: int, horizon: int, gap: int) -> Cutoffs:
    """Split by time, never at random: training ends `gap` days before the last horizon that is over. Raises ValueError below 1 day."""
    if horizon < 1 or gap < 1:
        raise ValueError("horizon and gap are at least a day")
    return Cutoffs(today - horizon - gap, today - horizon)


@dataclass(frozen=True, slots=True)
class Model:
    """Log-odds = `intercept` + `weights` x (value - `centre`) / `scale`, corrected by Platt's slope and offset."""

    names: tuple[str, ...]
    centre: Floats
    scale: Floats
    intercept: float
    weights: Floats
    slope: float
    offset: float
    cutoff: int
    horizon: int

    @property
    def version(self) -> str:
        """Changes with any number of the model."""
        numbers = [self.intercept, self.slope, self.offset, self.cutoff, self.horizon]
        body = np.concatenate([self.centre, self.scale, self.weights, numbers]).tobytes()
        return blake2b("\0".join(self.names).encode() + body, digest_size=8).hexdigest()

    def contributions(self, table: Table) -> Floats:
        """float64[n, f]: what each feature adds to each subject's log-odds, against the average subject's."""
        if table.names != self.names:
            raise ValueError("the features are not those of the model")
        return self.slope * self.weights * (table.values - self.centre) / self.scale

    def chance(self, table: Table) -> Floats:
        """float64[n]. Raises ValueError where the features are not those of the model."""
        return logistic.probability(self.contributions(table).sum(axis=1) + self.slope * self.intercept + self.offset)

    def explain(self, table: Table, top: int = EXPLAINED) -> list[list[tuple[str, float]]]:
        """For each subject the features that move it most, with what they add to its log-odds, strongest first."""
        parts = self.contributions(table)
        order = np.argsort(-np.abs(parts), axis=1, kind="stable")[:, :top]
        return [[(self.names[each], float(row[each])) for each in best] for row, best in zip(parts, order.tolist(), strict=True)]


class Scores(NamedTuple):
    """Of each subject; no longer believed from the day `expires` on."""

    subject: Ints
    chance: Floats
    version: str
    expires: int


class Training(NamedTuple):
    """`model` is None where there are `refusals`; `quality` is that of the later cut-off, None where it could not be tried."""

    model: Model | None
    quality: Quality | None
    refusals: tuple[Refusal, ...]


def train(table: Table, outcome: Bools, later: Table, later_outcome: Bools, when: Cutoffs, horizon: int) -> Training:
    """Fits on the first cut-off's features and outcomes, and is judged by the later's. Same features in both."""
    few = too_few(outcome) or too_few(later_outcome)
    if few:
        return Training(None, None, few)
    model = fitted(table, outcome, when.train, horizon)
    found = quality(model.chance(later), later_outcome)
    refusals = refused(found)
    return Training(None if refusals else model, found, refusals)


def too_few(outcome: Bools) -> tuple[Refusal, ...]:
    """Below 500 who did it, or who did not."""
    positives = int(outcome.sum())
    found: list[Refusal] = ["too few positives"] if positives < MIN_EACH else []
    if len(outcome) - positives < MIN_EACH:
        found.append("too few negatives")
    return tuple(found)


def refused(found: Quality) -> tuple[Refusal, ...]:
    """AUC below 0.6, or a calibration error above 0.05."""
    refusals: list[Refusal] = ["too weak"] if found.auc is None or found.auc < MIN_AUC else []
    if found.calibration_error > MAX_CALIBRATION_ERROR:
        refusals.append("miscalibrated")
    return tuple(refusals)


def fitted(table: Table, outcome: Bools, cutoff: int, horizon: int) -> Model:
    """A model whatever it is worth. Of more than 20,000 subjects every k-th is used; subjects are random numbers, so that is a sample."""
    every = -(-len(outcome) // MAX_ROWS)
    values, did = table.values[::every], outcome[::every]
    centre = values.mean(axis=0)
    spread = values.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    x = (values - centre) / scale
    weights = logistic.fit(x, did)
    offset, slope = logistic.fit(_unseen_logits(x, did, weights)[:, None], did, ridge=0.0)
    return Model(
        table.names, centre, scale, float(weights[0]), weights[1:], float(slope), float(offset), cutoff=cutoff, horizon=horizon
    )


def score(model: Model, table: Table, today: int) -> Scores:
    """The chances of the subjects of a table made at the cut-off `today`."""
    return Scores(table.subject, model.chance(table), model.version, today + model.horizon)


def _unseen_logits(x: Floats, did: Bools, start: Floats) -> Floats:
    """Of each row by a model that did not see it, so that Platt's correction takes out the model's own optimism."""
    fold = np.arange(len(did)) % FOLDS
    logits = np.empty(len(did))
    for each in range(FOLDS):
        unseen = fold == each
        weights = logistic.fit(x[~unseen], did[~unseen], start=start, close=_CLOSE_ENOUGH)
        logits[unseen] = weights[0] + x[unseen] @ weights[1:]
    return logits
