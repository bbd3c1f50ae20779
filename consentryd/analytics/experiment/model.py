"""Experiments as they are asked about, and as they are answered (section 1.10)."""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from consentryd.analytics.condition import Matcher
from consentryd.analytics.period import Moment
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.shape import PropertyName, Shape, Text
from consentryd.analytics.statistics.experiment import Method, Status

MAX_STEPS: Final = 10
#: Of two weights: beyond it a share of subjects is none.
MAX_RATIO: Final = 1_000_000


class ExperimentMetric(Shape):
    """`conversion`: did it at all. `mean`: how often, or the sum of `property`, per subject. `ratio`: `event` by `per`, both summed.

    `retention`: did it `from_days` or more, and less than `to_days`, after the exposure. `funnel`: did it and then all of `steps`, in order.
    """

    name: Text
    event: Matcher
    type: Literal["conversion", "mean", "ratio", "retention", "funnel"] = "conversion"
    property: PropertyName | None = None
    per: Matcher | None = None
    from_days: float | None = Field(None, gt=0, le=366)
    to_days: float | None = Field(None, gt=0, le=366)
    steps: list[Matcher] = Field(default=[], max_length=MAX_STEPS)
    smallest_effect: float | None = Field(None, gt=0, description="The absolute difference that is worth seeing, to plan for.")
    direction: Literal["increase", "decrease"] = "increase"
    primary: bool = True

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.type == "ratio") != (self.per is not None):
            raise ValueError("`ratio` needs `per`, and nothing else has it")
        if self.property is not None and self.type not in {"mean", "ratio"}:
            raise ValueError("only means and ratios are of a property")
        if (self.type == "retention") != (self.from_days is not None and self.to_days is not None):
            raise ValueError("`retention` needs `from_days` and `to_days`, and nothing else has them")
        if self.from_days is not None and self.to_days is not None and self.from_days >= self.to_days:
            raise ValueError("`from_days` must be less than `to_days`")
        if (self.type == "funnel") != bool(self.steps):
            raise ValueError("`funnel` needs `steps`, and nothing else has them")
        return self


class Planned(Shape):
    """How many subjects, all arms together, were to be looked at, and since when that stands written."""

    subjects: int = Field(ge=2)
    at: Moment


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
    method: Method = Field(
        "sequential", description="`frequentist` needs `planned`, and is `sequential` until as many are exposed."
    )
    planned: Planned | None = None
    winsorise: float | None = Field(
        None, ge=0.9, lt=1, description="Values of means above this quantile of all arms are brought down to it, such as 0.995."
    )
    alpha: float = Field(0.05, ge=1e-9, lt=0.5)
    mixed: Literal["exclude", "first"] = Field("exclude", description="What becomes of subjects that saw several variants.")
    look_back_days: float = Field(
        0, ge=0, le=366, description="With more than 0, means are adjusted by what came before (CUPED)."
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.weights and (len(self.weights) != len(self.variants) or min(self.weights) <= 0):
            raise ValueError("`weights` are above 0, one for each variant")
        if self.weights and max(self.weights) / min(self.weights) > MAX_RATIO:
            raise ValueError(f"a weight is at most {MAX_RATIO:,} times another")
        if len({metric.name for metric in self.metrics}) < len(self.metrics) or len(set(self.variants)) < len(self.variants):
            raise ValueError("metrics and variants have names of their own")
        if self.method == "frequentist" and self.planned is None:
            raise ValueError("`frequentist` needs `planned`: without a number fixed before, looking again makes false positives")
        return self


class ArmRow(Answered):
    """A variant under a metric; `effect` is variant minus control, `relative` by control. What the method does not give is null.

    `detectable`: the smallest absolute effect that would be seen 4 times of 5 with as many subjects as there are now; `needed`: subjects per
    arm to see the metric's `smallest_effect` so.
    """

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
    detectable: float | None = None
    needed: int | None = None


class SplitCheck(Answered):
    chi_square: float
    p_value: float
    level: Literal["ok", "amber", "alarm"]


class ExperimentResult(Envelope):
    """`method`: the one used. `days_to_go`: until the planned number, or what the metrics need, is exposed at the pace so far."""

    kind: Literal["experiment"] = "experiment"
    method: Method
    days_to_go: int | None
    exposed: dict[str, int]
    mixed: int | None
    split: SplitCheck | None
    controls: list[ArmRow]
    arms: list[ArmRow]
    variance_reduction: dict[str, float | None]
    notes: list[str]

    def rows(self) -> list[dict[str, Any]]:
        return [row.model_dump() for row in [*self.controls, *self.arms]]
