"""Experiments: who was exposed to which variant first, what they did after that, and what it proves (section 1.10)."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from math import isfinite
from typing import Any, Final, Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, model_validator

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.field import field_of
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.selecting import select
from consentryd.analytics.shape import PropertyName, Shape, Text
from consentryd.analytics.source import Source
from consentryd.analytics.statistics import cuped
from consentryd.analytics.statistics.experiment import Measure, Method, Metric, Plan, Row, Status, report
from consentryd.analytics.statistics.exposure import Assignment, Outcome, assign, kept, outcome
from consentryd.analytics.statistics.moments import Moments, Pair, moments, pair
from consentryd.analytics.statistics.proportion import Proportion
from consentryd.analytics.stream import NONE, Stream
from consentryd.analytics.streaming import Column
from consentryd.model.clock import DAY

_VARIANT: Final = "variant"


class ExperimentMetric(Shape):
    """`conversion`: did it at all. `mean`: how often, or the sum of `property`, per subject. `ratio`: `event` by `per`, both summed."""

    name: Text
    event: Matcher
    type: Literal["conversion", "mean", "ratio"] = "conversion"
    property: PropertyName | None = None
    per: Matcher | None = None
    direction: Literal["increase", "decrease"] = "increase"
    primary: bool = True

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.type == "ratio") != (self.per is not None):
            raise ValueError("`ratio` needs `per`, and nothing else has it")
        if self.property is not None and self.type == "conversion":
            raise ValueError("a conversion is of no property")
        return self


class ExperimentQuery(Question):
    """Subjects by the variant of their first exposure in the range; only what they did from then on counts."""

    kind: Literal["experiment"]
    exposure: Matcher = Field(description="The event that tells the variant.")
    variant: PropertyName = Field("variant", description="The property that names it.")
    variants: list[Text] = Field(min_length=2, max_length=20, description="Their names, control first.")
    weights: list[float] = Field(default=[], description="The planned split; empty: equal.")
    metrics: list[ExperimentMetric] = Field(min_length=1, max_length=20)
    window_days: float | None = Field(
        None, gt=0, le=366, description="How long after exposure counts; default: to the end of the data."
    )
    method: Method = "sequential"
    alpha: float = Field(0.05, gt=0, lt=0.5)
    mixed: Literal["exclude", "first"] = Field("exclude", description="What becomes of subjects that saw several variants.")
    look_back_days: float = Field(
        0, ge=0, le=366, description="With more than 0, means are adjusted by what came before (CUPED)."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.weights and (len(self.weights) != len(self.variants) or min(self.weights) <= 0):
            raise ValueError("`weights` are above 0, one for each variant")
        if len({metric.name for metric in self.metrics}) < len(self.metrics) or len(set(self.variants)) < len(self.variants):
            raise ValueError("metrics and variants have names of their own")
        return self


class ArmRow(Answered):
    """A variant under a metric; `effect` is variant minus control, `relative` by control. What the method does not give is null."""

    metric: str
    arm: str
    n: int
    total: float | None
    mean: float | None
    effect: float | None
    interval: tuple[float, float] | None
    relative: float | None
    relative_interval: tuple[float, float] | None
    p_value: float | None
    adjusted_p: float | None
    test: str | None
    chance: float | None
    expected_loss: float | None
    status: Status
    exploratory: bool


class SplitCheck(Answered):
    chi_square: float
    p_value: float
    level: Literal["ok", "amber", "alarm"]


class ExperimentResult(Envelope):
    kind: Literal["experiment"] = "experiment"
    exposed: dict[str, int]
    mixed: int
    split: SplitCheck | None
    controls: list[ArmRow]
    arms: list[ArmRow]
    variance_reduction: dict[str, float | None]
    notes: list[str]

    def rows(self) -> list[dict[str, Any]]:
        return [row.model_dump() for row in [*self.controls, *self.arms]]


class _Part(NamedTuple):
    exposed: list[int]
    mixed: int
    seen: int
    measures: list[list[Measure]]

    def merge(self, other: _Part) -> _Part:
        exposed = [one + two for one, two in zip(self.exposed, other.exposed, strict=True)]
        measures = [
            [one.merge(two) for one, two in zip(mine, theirs, strict=True)]  # type: ignore[arg-type] # of one kind, metric by metric
            for mine, theirs in zip(self.measures, other.measures, strict=True)
        ]
        return _Part(exposed, self.mixed + other.mixed, self.seen + other.seen, measures)


def answer(question: ExperimentQuery, asked: Asked) -> ExperimentResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period("day")
    window = None if question.window_days is None else round(question.window_days * DAY)
    span = Span(period.since - round(question.look_back_days * DAY), None if window is None else period.until + window)
    matchers = [question.exposure]
    for metric in question.metrics:
        matchers += [metric.event, metric.per or metric.event]
    work = partial(
        _part, question=question, window=window, since=period.since, until=period.until, watermark=asked.now - asked.late
    )
    parts = list(asked.execution.streams(select(asked, matchers, partial(_columns, question)), span, work, None))
    found = parts[0]
    for part in parts[1:]:
        found = found.merge(part)
    return _result(question, asked, found, asked.envelope(period, interval=False))


def _columns(question: ExperimentQuery, source: Source) -> list[Column]:
    del source
    values = [
        Column(f"v{number}", "number", field_of(metric.property).number)
        for number, metric in enumerate(question.metrics)
        if metric.property is not None
    ]
    return [Column(_VARIANT, "text", field_of(question.variant).text), *values]


def _part(stream: Stream, *, question: ExperimentQuery, window: int | None, since: int, until: int, watermark: int) -> _Part:
    stream = _within(stream, question.variants, since, until)
    assignment = assign(stream, 0, _VARIANT)
    lines = kept(assignment, watermark, window, question.mixed)
    chosen = Assignment(assignment.subject[lines], assignment.variant[lines], assignment.first[lines], assignment.mixed[lines])
    measures = [_measures(stream, chosen, number, metric, question, window) for number, metric in enumerate(question.metrics)]
    return _Part(chosen.exposed(len(question.variants)), int(assignment.mixed.sum()), len(assignment.subject), measures)


def _within(stream: Stream, variants: list[str], since: int, until: int) -> Stream:
    """Variants as their places in the list; other values, and exposures outside of the range, are none."""
    texts = stream.texts.get(_VARIANT, [])
    places = np.array([*(variants.index(text) if text in variants else NONE for text in texts), NONE], np.int32)
    codes = np.where((stream.time >= since) & (stream.time < until), places[stream.values[_VARIANT]], NONE)
    return stream._replace(values={**stream.values, _VARIANT: codes.astype(np.int32)})


def _measures(
    stream: Stream, lines: Assignment, number: int, metric: ExperimentMetric, question: ExperimentQuery, window: int | None
) -> list[Measure]:
    value = f"v{number}" if metric.property is not None else None
    look_back = round(question.look_back_days * DAY)
    found = outcome(stream, lines, 1 + 2 * number, value, window, look_back)
    below = outcome(stream, lines, 2 + 2 * number, None, window) if metric.type == "ratio" else None
    return [_measure(found, below, lines.variant == arm, metric, cupped=look_back > 0) for arm in range(len(question.variants))]


def _measure(found: Outcome, below: Outcome | None, own: Any, metric: ExperimentMetric, *, cupped: bool) -> Measure:
    if metric.type == "conversion":
        return Proportion(int((found.events[own] > 0).sum()), int(own.sum()))
    if below is not None:
        return pair(found.total[own], below.total[own]) if own.any() else Pair()
    if cupped:
        return cuped.arm(found.before[own], found.total[own])
    return moments(found.total[own]) if own.any() else Moments()


def _result(question: ExperimentQuery, asked: Asked, found: _Part, envelope: dict[str, Any]) -> ExperimentResult:
    metrics = [
        Metric(metric.name, tuple(found.measures[number]), metric.direction, metric.primary)
        for number, metric in enumerate(question.metrics)
    ]
    plan = Plan(alpha=question.alpha, method=question.method, weights=tuple(question.weights))
    told = report(metrics, found.exposed, found.mixed, found.seen, plan)
    hidden = any(0 < count < asked.least for count in found.exposed)
    notes = [*told.warnings, *(["an arm has too few subjects to be shown"] if hidden else [])]
    return ExperimentResult(
        **envelope,
        exposed={} if hidden else dict(zip(question.variants, found.exposed, strict=True)),
        mixed=found.mixed,
        split=None if told.split is None or hidden else SplitCheck(**told.split._asdict()),
        controls=[] if hidden else [_row(row, question) for row in told.controls],
        arms=[] if hidden else [_row(row, question) for row in told.rows],
        variance_reduction={} if hidden else told.reductions,
        notes=notes,
    )


def _row(row: Row, question: ExperimentQuery) -> ArmRow:
    values = asdict(row)
    values["arm"] = question.variants[row.arm]
    return ArmRow(**{name: _finite(value) for name, value in values.items()})


def _finite(value: Any) -> Any:
    """JSON knows no nan and no infinity: null; of an interval without one of its ends, too."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, tuple | list):
        ends = tuple(float(each) for each in value)
        return ends if all(map(isfinite, ends)) else None
    return value
