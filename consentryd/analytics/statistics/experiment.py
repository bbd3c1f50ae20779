"""An experiment's report: checks first, then one row for each metric and variant against control (1.10)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np

from consentryd.analytics.statistics import bayes, cuped, multiplicity, proportion, sequential
from consentryd.analytics.statistics.estimate import Contrast, Estimate, difference, relative
from consentryd.analytics.statistics.moments import Moments, Pair
from consentryd.analytics.statistics.proportion import Interval, Proportion
from consentryd.analytics.statistics.ratio import ratio
from consentryd.analytics.statistics.srm import Split, split

Method = Literal["frequentist", "bayesian", "sequential"]
Status = Literal[
    "inconclusive", "better", "worse", "invalid: sample ratio mismatch", "invalid: too few", "invalid: mixed exposure"
]
Measure = Proportion | Moments | Pair | cuped.Arm
#: Above these shares of subjects that saw several variants: a warning; no valid result.
MIXED_WARNING: Final = 0.01
MIXED_INVALID: Final = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """`loss`: a Bayesian result is conclusive when choosing wrongly costs less than this share of control's mean; `weights`: the planned
    split, equal if empty."""

    alpha: float = 0.05
    method: Method = "sequential"
    loss: float = 0.005
    weights: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """`name` is unique. `arms` of one kind, control first: conversion (`Proportion`), mean of a sum or count per subject (`Moments`), ratio
    (`Pair`, x over y), or a mean adjusted by what came before (`cuped.Arm`)."""

    name: str
    arms: tuple[Measure, ...]
    direction: Literal["increase", "decrease"] = "increase"
    primary: bool = True


@dataclass(frozen=True, slots=True)
class Row:
    """`arm` counts from 1, control is 0. `total` and `mean` are unadjusted (of a ratio: of the numerator, and the ratio).

    `effect` is absolute, treatment minus control. `chance` that the arm is the better one; `expected_loss` of choosing it, as a share of
    control's mean. Numbers that the method does not give are None. `exploratory`: a secondary metric.
    """

    metric: str
    arm: int
    n: int
    total: float
    mean: float | None
    effect: float | None = None
    interval: Interval | None = None
    relative: float | None = None
    relative_interval: Interval | None = None
    p_value: float | None = None
    adjusted_p: float | None = None
    test: str | None = None
    chance: float | None = None
    expected_loss: float | None = None
    status: Status = "inconclusive"
    exploratory: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """`controls` are the rows of control. `reductions`: variance taken out by CUPED, by metric name."""

    split: Split | None
    mixed_share: float
    controls: tuple[Row, ...]
    rows: tuple[Row, ...]
    reductions: dict[str, float | None] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def report(metrics: Sequence[Metric], exposed: Sequence[int], mixed: int, seen: int, plan: Plan) -> Report:
    """`exposed`: subjects by arm, control first, mixed ones left out or kept as in the metrics; `mixed` of all `seen` subjects saw several
    variants. Every metric has one measure for each arm."""
    checked = split(exposed, plan.weights or [1.0] * len(exposed))
    mixed_share = mixed / max(1, seen)
    reductions: dict[str, float | None] = {}
    controls, rows = [], []
    for metric in metrics:
        estimates, reduction = _estimates(metric.arms)
        if reduction is not None:
            reductions[metric.name] = reduction[0]
        controls.append(_described(metric, 0))
        rows += [_compared(metric, arm, estimates, plan) for arm in range(1, len(metric.arms))]
    rows = _concluded(metrics, _adjusted(rows), plan)
    invalid = _invalid(checked, mixed_share)
    if invalid is not None:
        rows = [replace(row, status=invalid) for row in rows]
    return Report(checked, mixed_share, tuple(controls), tuple(rows), reductions, _warnings(checked, mixed_share))


def _estimates(arms: tuple[Measure, ...]) -> tuple[list[Estimate | None], tuple[float | None] | None]:
    """Each arm's; and for CUPED, in a tuple, the variance it took out."""
    before = [arm for arm in arms if isinstance(arm, cuped.Arm)]
    if before:
        adjusted = cuped.adjust(before)
        return [arm.estimate() for arm in adjusted.arms], (adjusted.reduction,)
    return [ratio(arm) if isinstance(arm, Pair) else arm.estimate() for arm in arms if not isinstance(arm, cuped.Arm)], None


def _described(metric: Metric, arm: int) -> Row:
    measure = metric.arms[arm]
    if isinstance(measure, Proportion):
        total, mean = float(measure.successes), measure.rate
    elif isinstance(measure, Pair):
        total, mean = measure.n * measure.x, measure.x / measure.y if measure.y else float("nan")
    else:
        plain = measure.plain if isinstance(measure, cuped.Arm) else measure
        total, mean = plain.total, plain.mean if plain.n else float("nan")
    n = measure.plain.n if isinstance(measure, cuped.Arm) else measure.n
    return Row(metric.name, arm, n, total, None if np.isnan(mean) else mean, exploratory=not metric.primary)


def _compared(metric: Metric, arm: int, estimates: Sequence[Estimate | None], plan: Plan) -> Row:
    row = _described(metric, arm)
    control, treatment = metric.arms[0], metric.arms[arm]
    before, after = estimates[0], estimates[arm]
    if isinstance(control, Proportion) and isinstance(treatment, Proportion):
        return _of_rates(row, metric, control, treatment, plan)
    return (
        replace(row, status="invalid: too few")
        if before is None or after is None
        else _of_means(row, metric, before, after, plan)
    )


def _of_rates(row: Row, metric: Metric, control: Proportion, treatment: Proportion, plan: Plan) -> Row:
    if not control.n or not treatment.n:
        return replace(row, status="invalid: too few")
    effect = treatment.rate - control.rate
    change = treatment.rate / control.rate - 1 if control.successes else None
    row = replace(row, effect=effect, relative=change)
    if plan.method == "bayesian":
        before, after = bayes.posterior(control), bayes.posterior(treatment)
        changes = bayes.relative_interval(before, after, plan.alpha)
        belief = bayes.rates(before, after, plan.alpha)
        return _believed(replace(row, interval=belief.interval, relative_interval=changes), metric, belief, before.mean, plan)
    if plan.method == "sequential":
        contrast = difference(control.estimate(), treatment.estimate(), plan.alpha)
        if contrast is None or control.few or treatment.few:
            return replace(row, status="invalid: too few")
        return _looked_at(row, contrast, control.n + treatment.n, plan)
    decision = proportion.decide(control, treatment)
    assert decision is not None
    return replace(
        row,
        interval=proportion.newcombe(control, treatment, plan.alpha),
        relative_interval=proportion.katz(control, treatment, plan.alpha),
        p_value=decision.p_value,
        test=decision.test,
    )


def _of_means(row: Row, metric: Metric, before: Estimate, after: Estimate, plan: Plan) -> Row:
    contrast, change = difference(before, after, plan.alpha), relative(before, after, plan.alpha)
    if contrast is None:
        return replace(row, status="invalid: too few")
    changes = Interval(change.low, change.high) if change else None
    row = replace(row, effect=contrast.effect, relative=change.effect if change else None)
    if plan.method == "bayesian":
        belief = bayes.normal(contrast.effect, contrast.error, plan.alpha)
        row = replace(row, interval=belief.interval, relative_interval=changes)
        if change is None or before.value < 0:
            return _believed(row, metric, belief, abs(before.value), plan)
        found = bayes.normal(change.effect, change.error, plan.alpha)
        return _believed(replace(row, relative_interval=found.interval), metric, found, 1.0, plan)
    if plan.method == "sequential":
        return _looked_at(row, contrast, before.n + after.n, plan)
    interval = Interval(contrast.low, contrast.high)
    return replace(row, interval=interval, relative_interval=changes, p_value=contrast.p_value, test="welch")


def _looked_at(row: Row, contrast: Contrast, n: int, plan: Plan) -> Row:
    found = sequential.sequence(contrast.effect, contrast.error, n, plan.alpha)
    return replace(row, interval=Interval(found.low, found.high), p_value=found.p_value, test="confidence sequence")


def _believed(row: Row, metric: Metric, belief: bayes.Belief, unit: float, plan: Plan) -> Row:
    """Conclusive when choosing one arm costs next to nothing, and choosing the other does not; losses are in `unit`s."""
    rises = metric.direction == "increase"
    chance = belief.chance if rises else 1 - belief.chance
    if unit == 0:
        return replace(row, chance=chance)
    losses = belief.loss_of_treatment / unit, belief.loss_of_control / unit
    loss, other = losses if rises else losses[::-1]
    status: Status = "inconclusive"
    if (loss < plan.loss) != (other < plan.loss):
        status = "better" if loss < plan.loss else "worse"
    return replace(row, chance=chance, expected_loss=loss, status=status)


def _adjusted(rows: Sequence[Row]) -> list[Row]:
    """Holm over primary metrics and variants; Benjamini and Hochberg over the secondary ones."""
    found = list(rows)
    for exploratory, adjust in ((False, multiplicity.holm), (True, multiplicity.benjamini_hochberg)):
        places = [place for place, row in enumerate(rows) if row.exploratory == exploratory and row.p_value is not None]
        values = adjust(np.array([rows[place].p_value for place in places], np.float64))
        for place, value in zip(places, values, strict=True):
            found[place] = replace(rows[place], adjusted_p=float(value))
    return found


def _concluded(metrics: Sequence[Metric], rows: Sequence[Row], plan: Plan) -> list[Row]:
    directions = {metric.name: metric.direction for metric in metrics}
    return [_decided(row, directions[row.metric], plan) for row in rows]


def _decided(row: Row, direction: str, plan: Plan) -> Row:
    if row.adjusted_p is None or row.effect is None or row.adjusted_p >= plan.alpha:
        return row
    return replace(row, status="better" if (row.effect > 0) == (direction == "increase") else "worse")


def _invalid(checked: Split | None, mixed_share: float) -> Status | None:
    if checked is not None and checked.level == "alarm":
        return "invalid: sample ratio mismatch"
    return "invalid: mixed exposure" if mixed_share > MIXED_INVALID else None


def _warnings(checked: Split | None, mixed_share: float) -> tuple[str, ...]:
    return tuple(filter(None, (split_warning(checked), mixed_warning(mixed_share))))


def split_warning(checked: Split | None) -> str | None:
    if checked is None or checked.level == "ok":
        return None
    return f"The arms are not filled as planned (p = {checked.p_value:.2g})."


def mixed_warning(share: float) -> str | None:
    return f"{share:.1%} of the subjects saw more than one variant." if share > MIXED_WARNING else None
