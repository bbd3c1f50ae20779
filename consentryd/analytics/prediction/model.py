"""Predictions as they are asked, and as they are answered (section 1.17)."""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from consentryd.analytics.condition import Matcher
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.shape import EventName
from consentryd.analytics.statistics.feature import WINDOWS
from consentryd.analytics.statistics.propensity import Refusal

#: Whoever refuses this purpose is neither learned from nor scored (GDPR, articles 21 and 22).
PROFILING: Final = "profiling"
MAX_EVENTS: Final = 20
TENTHS: Final = 10
ANYTHING: Final = Matcher()


class PredictionQuery(Question):
    """How likely subjects are to do something, or to stay away, in the days after the range's last day.

    The model learns at one cut-off, is tried at a later one, and is answered only if it held. Of the range only its end counts.
    """

    kind: Literal["prediction"]
    outcome: Literal["conversion", "churn"] = Field(
        description="`conversion`: does `target` in the horizon; `churn`: does nothing of `activity` in it."
    )
    target: Matcher | None = Field(None, description="What converting is.")
    first: bool = Field(False, description="Only of subjects who have not converted before the cut-off.")
    activity: Matcher = Field(ANYTHING, description="What counts as being active; default: any event.")
    active_days: int = Field(
        WINDOWS[-1], ge=1, le=WINDOWS[-1], description="It is about subjects active in so many days before the cut-off."
    )
    horizon_days: int = Field(7, ge=1, le=90, description="The days that are predicted.")
    gap_days: int | None = Field(
        None,
        ge=1,
        le=365,
        description="From the cut-off of learning to that of trial; at least the horizon, which is the default.",
    )
    events: list[EventName] = Field(
        default=[],
        max_length=MAX_EVENTS,
        description="Events whose counts it may look at; default: the 10 that most subjects did.",
    )
    categories: list[Literal["country", "device"]] = Field(
        default=["country", "device"],
        max_length=2,
        description="Columns it may look at; properties of events and traits it never does.",
    )

    most_events: int | None = Field(
        3_000_000,
        ge=10_000,
        description="Where the days looked at have more events, a sample of subjects is looked at; the answer says so. Null: all.",
    )

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.outcome == "conversion") != (self.target is not None):
            raise ValueError("`conversion` needs a `target`, and `churn` has none")
        if self.outcome == "churn" and self.first:
            raise ValueError("`first` is for conversions")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError("`categories` are named once")
        if self.gap_days is not None and self.gap_days < self.horizon_days:
            raise ValueError("`gap_days` must not be less than `horizon_days`: what it learned from would be what it is tried on")
        return self

    @property
    def gap(self) -> int:
        """Days between the two cut-offs."""
        return self.gap_days or self.horizon_days


class CutoffSize(Answered):
    """The subjects it was about at a cut-off, a local day's start, and how many of them had the outcome."""

    cutoff: str
    subjects: int | None
    positives: int | None


class Weight(Answered):
    """What a feature adds to the log-odds when it is one standard deviation above its mean."""

    feature: str
    weight: float


class PredictionModel(Answered):
    """`version` changes with any number of the model; its scores are not to be used from `expires` on."""

    version: str
    expires: str
    features: list[Weight]


class PredictionQuality(Answered):
    """On the later cut-off. `lift`: how much likelier the top tenth is than all; `calibration_error`: the mean gap of the table below."""

    auc: float | None
    brier: float
    lift: float | None
    calibration_error: float


class CalibrationBin(Answered):
    """A tenth of the subjects of the later cut-off, by score ascending: what was predicted, and what came."""

    subjects: int | None
    predicted: float | None
    observed: float | None


class Tenth(Answered):
    """A tenth of today's subjects, the likeliest first, and their chances."""

    tenth: int
    subjects: int | None
    mean: float | None
    lowest: float | None
    highest: float | None


class PredictionResult(Envelope):
    """Without `refusals` there is a `model`, today's `scored` subjects, how many of them are `expected` to have the outcome, and `tenths`.

    `opted_out`: subjects left out of everything because they refuse the purpose `profiling`.
    """

    kind: Literal["prediction"] = "prediction"
    outcome: Literal["conversion", "churn"]
    horizon_days: int
    training: CutoffSize
    trial: CutoffSize
    opted_out: int | None
    refusals: list[Refusal]
    quality: PredictionQuality | None
    calibration: list[CalibrationBin]
    model: PredictionModel | None
    scored: int | None
    expected: float | None
    tenths: list[Tenth]

    def rows(self) -> list[dict[str, Any]]:
        """Today's tenths, and those of the trial."""
        today = [{"part": "today", **tenth.model_dump(), "observed": None} for tenth in self.tenths]
        trial = [
            {
                "part": "trial",
                "tenth": len(self.calibration) - 1 - number,
                "subjects": each.subjects,
                "mean": each.predicted,
                "lowest": None,
                "highest": None,
                "observed": each.observed,
            }
            for number, each in enumerate(self.calibration)
        ]
        return [*today, *reversed(trial)]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """The tenths, and what the model makes of each feature."""
        features = [] if self.model is None else [weight.model_dump() for weight in self.model.features]
        return {"": self.rows(), "features": features}
