"""Retention as it is asked about, and as it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from consentryd.analytics.breakdown import MAX_PROPERTIES, REST, By, ByCohorts
from consentryd.analytics.condition import Matcher
from consentryd.analytics.kernel.retention import Kind
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.shape import PropertyName

ANYTHING: Final = Matcher()
MAX_PERIODS: Final = 366

Metric = Literal["subjects", "events", "sum", "avg"]


class RetentionQuery(Question):
    """Cohorts by the bucket of their start, and what share of each comes back in the buckets after it."""

    kind: Literal["retention"]
    start: Matcher = Field(ANYTHING, description="What makes a subject a member of a cohort; default: any event.")
    back: Matcher = Field(ANYTHING, alias="return", description="What counts as coming back; default: any event.")
    cohort: Kind = Field(
        "recurring", description="Any start, the first matching one of all history, or the first event that also matches."
    )
    interval: Literal["hour", "day", "week", "month"] = "day"
    periods: int = Field(7, ge=1, le=MAX_PERIODS, description="How many intervals after the start are looked at.")
    brackets: list[int] | None = Field(None, min_length=1, max_length=60, description="Lengths of the periods, in intervals.")
    mode: Literal["on", "on_or_after"] = "on"
    window: Literal["calendar", "rolling"] = "calendar"
    min_occurrences: int = Field(1, ge=1, le=1_000)
    period_zero: Literal["all", "returned"] = Field(
        "all", description="What period 0 is: the cohort, or who came back in it later on."
    )
    count_by: Literal["subject", "group"] = Field("subject", description="Who comes back: a subject, or anybody of an account.")
    metric: Metric = "subjects"
    property: PropertyName | None = Field(None, description="The number that `sum` and `avg` are of.")
    mean: Literal["weighted", "simple"] = "weighted"
    breakdown: By | Annotated[list[By], Field(min_length=1, max_length=MAX_PROPERTIES)] | ByCohorts | None = Field(
        None, description="One to three properties of the start, or saved cohorts beside everyone."
    )
    limit: int = Field(25, ge=1, le=500, description="Groups shown; the rest is `Other`.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.metric in {"sum", "avg"}) != (self.property is not None):
            raise ValueError("`sum` and `avg` need a `property`, and nothing else has one")
        if self.brackets is not None and min(self.brackets) < 1:
            raise ValueError("brackets are 1 interval long at least")
        if self.brackets is not None and sum(self.brackets) > MAX_PERIODS:
            raise ValueError(f"`brackets` are {MAX_PERIODS} intervals long at most, all together")
        if isinstance(self.breakdown, ByCohorts) and self.count_by == "group":
            raise ValueError("saved cohorts are of subjects, not of accounts")
        return self

    def properties(self) -> list[By]:
        """The properties that groups are made of."""
        if self.breakdown is None or isinstance(self.breakdown, ByCohorts):
            return []
        return self.breakdown if isinstance(self.breakdown, list) else [self.breakdown]

    def named(self) -> list[str]:
        """The saved cohorts that are groups."""
        return self.breakdown.cohorts if isinstance(self.breakdown, ByCohorts) else []


class Cohort(Answered):
    """`values[k]`: members who came back in period k, or the metric over them. `complete[k]`: the period is over for all of them."""

    start: str
    size: int | None
    values: list[int | float | None]
    shares: list[float | None]
    complete: list[bool]


class RetentionGroup(Answered):
    group: str
    rest: bool = Field(False, description=REST)
    cohorts: list[Cohort]
    curve: list[float | None]


class RetentionResult(Envelope):
    """`curve[k]` is the mean share over cohorts whose period k is complete and shown: weighted by size, or of the rows."""

    kind: Literal["retention"] = "retention"
    metric: Metric = Field("subjects", description="What `values` of the cohorts are.")
    cohorts: list[Cohort]
    curve: list[float | None]
    groups: list[RetentionGroup] = Field(default_factory=list)
    groups_overlap: bool = False
    suppressed_cells: int = 0

    def rows(self) -> list[dict[str, Any]]:
        """A line for each cohort and period; of the groups after those of everybody."""
        every = [(None, False, self.cohorts), *((group.group, group.rest, group.cohorts) for group in self.groups)]
        return [
            {
                "group": name,
                "start": cohort.start,
                "size": cohort.size,
                "period": number,
                "value": value,
                "share": share,
                "complete": complete,
                "rest": rest,
            }
            for name, rest, cohorts in every
            for cohort in cohorts
            for number, (value, share, complete) in enumerate(zip(cohort.values, cohort.shares, cohort.complete, strict=True))
        ]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """A line for each cohort with a column for each period, of everybody and of each group: the shares, and another metric where
        one was asked for."""
        groups = {(f"{each.group} (the rest)" if each.rest else each.group): each for each in self.groups}
        every = {"": (self.cohorts, self.curve)} | {name: (each.cohorts, each.curve) for name, each in groups.items()}
        sheets = {}
        for name, (cohorts, curve) in every.items():
            sheets[name] = [*(_line(each, each.shares) for each in cohorts), _mean(curve)]
            if self.metric != "subjects":
                sheets[f"{self.metric} of {name or 'all'}"] = [_line(each, each.values) for each in cohorts]
        return sheets


def _line(cohort: Cohort, values: Sequence[int | float | None]) -> dict[str, Any]:
    told = zip(values, cohort.complete, strict=True)
    cells = {str(period): value if complete else None for period, (value, complete) in enumerate(told)}
    return {"start": cohort.start, "size": cohort.size, **cells}


def _mean(curve: list[float | None]) -> dict[str, Any]:
    return {"start": "mean", "size": None, **{str(period): share for period, share in enumerate(curve)}}
