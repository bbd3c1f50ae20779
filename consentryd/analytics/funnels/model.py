"""Funnels as they are asked, and as they are answered."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from consentryd.analytics.breakdown import MAX_PROPERTIES, REST, By
from consentryd.analytics.calendar import Interval
from consentryd.analytics.condition import Matcher
from consentryd.analytics.kernel import funnel as kernel
from consentryd.analytics.period import CompareKind
from consentryd.analytics.question import Answered, Envelope, Question, ResolvedRange
from consentryd.analytics.shape import EventName, PropertyName, Shape, Text
from consentryd.model.clock import DAY, HOUR, MINUTE, SECOND

_UNITS: Final = {"second": SECOND, "minute": MINUTE, "hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 30 * DAY}
Attribution = Literal["first_touch", "last_touch", "step", "all_steps"]


class FunnelStep(Matcher):
    name: Text | None = None
    optional: bool = Field(False, description="May be skipped; it is counted, and never lowers what follows.")


class FunnelExclusion(Matcher):
    """An event between two steps, numbered from 0, that spoils the attempt."""

    from_step: int = Field(0, ge=0)
    to_step: int = Field(1, ge=1)

    def shares(self, other: FunnelExclusion) -> bool:
        """Whether one event may be both: of a name in common, or of any name, under the same condition."""
        return self.where == other.where and (not self.names or not other.names or not set(self.names).isdisjoint(other.names))


class Window(Shape):
    """How long after its first step an attempt may go on. 0, less or nothing: 14 days."""

    n: int | None = 14
    unit: Literal["second", "minute", "hour", "day", "week", "month"] = "day"

    @property
    def microseconds(self) -> int:
        return self.n * _UNITS[self.unit] if self.n is not None and self.n > 0 else kernel.window_days(None)


class FunnelBreakdown(Shape):
    """By the values of one to three properties: of which event, says `attribution`. Or by saved cohorts, and everyone."""

    by: By | Annotated[list[By], Field(min_length=1, max_length=MAX_PROPERTIES)] | None = None
    cohorts: list[Text] = Field(default=[], max_length=20, description="Their ids or names; a subject in two is in both groups.")
    attribution: Attribution = "first_touch"
    step: int = Field(0, ge=0, description="Whose value counts with `attribution` `step`.")
    limit: int = Field(25, ge=1, le=500, description="Groups shown; the rest is `Other`.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if (self.by is None) != bool(self.cohorts):
            raise ValueError("takes either `by` or `cohorts`")
        return self

    @property
    def keys(self) -> list[By]:
        """The properties; none where groups are cohorts."""
        return [] if self.by is None else self.by if isinstance(self.by, list) else [self.by]


class FunnelQuery(Question):
    """Subjects by the steps they did, in order, within a window; entries lie in the range, later steps may come after it."""

    kind: Literal["funnel"]
    steps: list[FunnelStep] = Field(min_length=2, max_length=kernel.MAX_STEPS)
    window: Window = Window()
    order: kernel.Order = "ordered"
    entry: kernel.Entry = Field("any", description="Which first step may start: any, the first in the range, or the first ever.")
    count_by: Literal["subject", "session", "group", "entries"] = Field(
        "subject", description="Who does the steps: a subject, a subject within one session, an account; or count every attempt."
    )
    strict_ties: bool = Field(False, description="Two steps need two instants.")
    anchor_first: bool = Field(False, description="In any order, but the first step first.")
    exclusions: list[FunnelExclusion] = Field(default=[], max_length=20)
    on_exclude: kernel.OnExclude = "remove"
    ignore: list[EventName] = Field(default=[], max_length=100, description="Events that do not come between strict steps.")
    hold_constant: list[PropertyName] = Field(default=[], max_length=3, description="All steps carry the same value of these.")
    apply_to: Literal["every_step", "first_step"] = Field("every_step", description="Which steps `where` is about.")
    breakdown: FunnelBreakdown | None = None
    histogram: tuple[int, int] | None = Field(None, description="Steps between which times are counted; default first and last.")
    trend: Interval | None = Field(None, description="Also by the time of entry.")
    compare: CompareKind | None = Field(None, description="Also of an earlier range; histograms then share their bins.")

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        self.plan(0, 1)
        if any(one.shares(other) for one, other in combinations(self.exclusions, 2)):
            raise ValueError("an event is excluded from at most one range of steps")
        last = len(self.steps) - 1
        if self.histogram is not None and not 0 <= self.histogram[0] < self.histogram[1] <= last:
            raise ValueError("`histogram` takes two steps, the earlier first")
        if self.breakdown is not None and self.breakdown.step > last:
            raise ValueError("`breakdown.step` is no step of the funnel")
        if self.breakdown is not None and self.order == "any" and self.breakdown.attribution != "first_touch":
            raise ValueError("in any order only `first_touch` is known")
        if self.breakdown is not None and self.breakdown.attribution == "all_steps" and (self.held or self.count_by == "entries"):
            raise ValueError("`all_steps` holds the value constant: nothing else can be held, and it counts subjects or accounts")
        if self.breakdown is not None and self.breakdown.cohorts and self.count_by == "group":
            raise ValueError("cohorts are of subjects, not of accounts")
        if self.trend is not None and self.held and self.count_by == "entries":
            raise ValueError("a trend of entries holds no property")
        return self

    def plan(self, since: int, until: int) -> kernel.Funnel:
        """What the kernel is asked. Definitions are the steps, then the exclusions. Raises `ValueError`."""
        steps = len(self.steps)
        return kernel.Funnel(
            steps=tuple(kernel.Step(number, step.optional) for number, step in enumerate(self.steps)),
            window=self.window.microseconds,
            since=since,
            until=until,
            order=self.order,
            entry=self.entry,
            strict_ties=self.strict_ties,
            exclusions=tuple(
                kernel.Exclusion(steps + number, each.from_step, each.to_step) for number, each in enumerate(self.exclusions)
            ),
            on_exclude=self.on_exclude,
            anchor_first=self.anchor_first,
            count_entries=self.count_by == "entries",
        )

    @property
    def held(self) -> list[str]:
        """Properties that all steps share."""
        return [*self.hold_constant, "session"] if self.count_by == "session" else list(self.hold_constant)


class StepCount(Answered):
    """Times are seconds since the step before. A count that is too small to be shown is null, and all after it."""

    name: str
    count: int | None
    conversion_from_first: float | None
    conversion_from_previous: float | None
    dropped: int | None
    mean_s: float | None
    median_s: float | None
    p90_s: float | None


class Overall(Answered):
    """From the first step to the last."""

    conversion: float | None
    mean_s: float | None
    median_s: float | None
    p90_s: float | None


class FunnelGroup(Answered):
    group: str
    rest: bool = Field(False, description=REST)
    steps: list[StepCount]
    overall: Overall
    excluded: int | None


class Bins(Answered):
    """Bin i counts waits of [start_s + i width_s, start_s + (i + 1) width_s), the last one its end too; null where they are too few."""

    start_s: float
    width_s: int
    counts: list[int | None]


class EntryBucket(Answered):
    """Who entered in the bucket, by step reached. `complete` once the window of all of them is over."""

    start: str
    counts: list[int | None]
    conversion: float | None
    complete: bool


class FunnelBefore(Answered):
    """The same funnel entered in an earlier range; of a day that is not over up to the same time of its day."""

    range: ResolvedRange
    steps: list[StepCount]
    overall: Overall
    excluded: int | None
    complete: bool
    histogram: Bins | None


class FunnelResult(Envelope):
    kind: Literal["funnel"] = "funnel"
    steps: list[StepCount]
    overall: Overall
    excluded: int | None = Field(description="Taken out by an exclusion; null where they are too few to be shown.")
    complete: bool = Field(description="Everybody who entered has had the whole window.")
    histogram: Bins | None = None
    trend: list[EntryBucket] | None = None
    groups: list[FunnelGroup] = Field(default_factory=list)
    groups_overlap: bool = False
    suppressed_cells: int = 0
    compared_to: FunnelBefore | None = None

    def rows(self) -> list[dict[str, Any]]:
        groups = (row for group in self.groups for row in _rows(group.group, group.steps, rest=group.rest))
        return [*_rows(None, self.steps), *groups]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """The steps, those of the range before, the times it took, and the entries by bucket."""
        found = {"": self.rows()}
        if self.compared_to is not None:
            before = self.compared_to
            found[f"entered {before.range.days}"] = list(_rows(None, before.steps))
        found["seconds to convert"] = [] if self.histogram is None else self._times(self.histogram)
        if self.trend is not None:
            found["by entry"] = [
                {"start": bucket.start, **{str(step): count for step, count in enumerate(bucket.counts, start=1)}}
                | {"conversion": bucket.conversion, "complete": bucket.complete}
                for bucket in self.trend
            ]
        return found

    def _times(self, bins: Bins) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = [
            {"from": bins.start_s + number * bins.width_s, "to": bins.start_s + (number + 1) * bins.width_s, "count": count}
            for number, count in enumerate(bins.counts)
        ]
        before = None if self.compared_to is None else self.compared_to.histogram
        if before is not None:
            for row, count in zip(rows, before.counts, strict=True):
                row["before"] = count
        return rows


def _rows(group: str | None, steps: list[StepCount], *, rest: bool = False) -> Iterator[dict[str, Any]]:
    for number, step in enumerate(steps, start=1):
        yield {"group": group, "step": number, **step.model_dump(), "rest": rest}
