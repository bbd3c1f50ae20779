"""Who comes back, and when (section 1.3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, Final, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from consentryd.analytics.account import streams_of
from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import NONE_LABEL, By
from consentryd.analytics.condition import Matcher
from consentryd.analytics.field import field_of
from consentryd.analytics.group import value_of
from consentryd.analytics.kernel.retention import Kind, Matrix, Retention, by_group, matrix, members_of
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period, later
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.rollup.retention import matrix_of
from consentryd.analytics.selecting import select
from consentryd.analytics.shape import PropertyName
from consentryd.analytics.source import Source
from consentryd.analytics.stream import NONE, Stream
from consentryd.analytics.streaming import Column, Selection, Texts
from consentryd.analytics.trends.measuring import scaled
from consentryd.model.clock import DAY, HOUR

ANYTHING = Matcher()
_UNITS: Final = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 30 * DAY}


class RetentionQuery(Question):
    """Cohorts by the bucket of their start, and what share of each comes back in the buckets after it."""

    kind: Literal["retention"]
    start: Matcher = Field(ANYTHING, description="What makes a subject a member of a cohort; default: any event.")
    back: Matcher = Field(ANYTHING, alias="return", description="What counts as coming back; default: any event.")
    cohort: Kind = Field(
        "recurring", description="Any start, the first matching one of all history, or the first event that also matches."
    )
    interval: Literal["hour", "day", "week", "month"] = "day"
    periods: int = Field(7, ge=1, le=366, description="How many intervals after the start are looked at.")
    brackets: list[int] | None = Field(None, min_length=1, max_length=60, description="Lengths of the periods, in intervals.")
    mode: Literal["on", "on_or_after"] = "on"
    window: Literal["calendar", "rolling"] = "calendar"
    min_occurrences: int = Field(1, ge=1, le=1_000)
    period_zero: Literal["all", "returned"] = Field(
        "all", description="What period 0 is: the cohort, or who came back in it later on."
    )
    count_by: Literal["subject", "group"] = Field("subject", description="Who comes back: a subject, or anybody of an account.")
    metric: Literal["subjects", "events", "sum", "avg"] = "subjects"
    property: PropertyName | None = Field(None, description="The number that `sum` and `avg` are of.")
    mean: Literal["weighted", "simple"] = "weighted"
    breakdown: By | None = None
    limit: int = Field(25, ge=1, le=500)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.metric in {"sum", "avg"}) != (self.property is not None):
            raise ValueError("`sum` and `avg` need a `property`, and nothing else has one")
        if self.brackets is not None and min(self.brackets) < 1:
            raise ValueError("brackets are 1 interval long at least")
        if self.breakdown is not None and (self.breakdown.bins or self.breakdown.edges):
            raise ValueError("retention's groups are values, not bins")
        return self


class Cohort(Answered):
    """`values[k]`: members who came back in period k, or the metric over them. `complete[k]`: the period is over for all of them."""

    start: str
    size: int | None
    values: list[int | float | None]
    shares: list[float | None]
    complete: list[bool]


class RetentionGroup(Answered):
    group: str
    cohorts: list[Cohort]
    curve: list[float | None]


class RetentionResult(Envelope):
    """`curve[k]` is the mean share over cohorts whose period k is complete: weighted by size, or of the rows."""

    kind: Literal["retention"] = "retention"
    cohorts: list[Cohort]
    curve: list[float | None]
    groups: list[RetentionGroup] = Field(default_factory=list)

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"start": cohort.start, "size": cohort.size, "period": number, "value": value, "share": share, "complete": complete}
            for cohort in self.cohorts
            for number, (value, share, complete) in enumerate(zip(cohort.values, cohort.shares, cohort.complete, strict=True))
        ]


def answer(question: RetentionQuery, asked: Asked) -> RetentionResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    run = _Run(question, asked, asked.period(question.interval))
    total = run.total()
    groups = run.groups() if question.breakdown is not None else []
    cohorts = run.cohorts(total)
    return RetentionResult(**asked.envelope(run.period), cohorts=cohorts, curve=run.curve(total), groups=groups)


def plan_of(question: RetentionQuery, asked: Asked) -> tuple[Retention, Selection, Span]:
    """What the kernel is asked, and of which events."""
    run = _Run(question, asked, asked.period(question.interval))
    return run.plan(), run.selection(), run.span


@dataclass(frozen=True, slots=True)
class _Run:
    question: RetentionQuery
    asked: Asked
    period: Period
    texts: Texts = field(default_factory=Texts)

    @property
    def observed(self) -> Period:
        """The cohorts' buckets and those that returns are looked for in."""
        return later(self.period, sum(self.brackets))

    @property
    def brackets(self) -> tuple[int, ...]:
        return tuple(self.question.brackets or [1] * self.question.periods)

    def plan(self, *, grouped: bool = False) -> Retention:
        question = self.question
        return Retention(
            start=0,
            back=1,
            edges=self.observed.edges,
            cohorts=self.period.buckets,
            brackets=self.brackets,
            kind=question.cohort,
            event=2 if question.cohort == "first_ever" else None,
            or_after=question.mode == "on_or_after",
            unit=_UNITS[question.interval] if question.window == "rolling" else None,
            min_occurrences=question.min_occurrences,
            zero_returned=question.period_zero == "returned",
            group="group" if grouped else None,
            metric="metric" if question.property is not None else None,
            count_events=question.metric == "events",
        )

    def total(self) -> Matrix:
        plan = self.plan()
        known = None if self.by_account else matrix_of(self.question.start, self.question.back, plan, self.asked)
        if known is not None:
            return known
        work = partial(_matrix, plan=plan)
        return reduce(Matrix.merge, streams_of(self.asked, self.selection(), self.span, work, ("retention", plan)))

    def groups(self) -> list[RetentionGroup]:
        """The largest groups; those that are too small are left out."""
        plan = self.plan(grouped=True)
        merged: dict[int, Matrix] = {}
        work = partial(_groups, plan=plan)
        for part in streams_of(self.asked, self.selection(grouped=True), self.span, work, None, self.texts):
            for code, found in part.items():
                merged[code] = merged[code].merge(found) if code in merged else found
        ranked = sorted(merged, key=lambda code: (-int(merged[code].size.sum()), self._label(code)))
        shown = [code for code in ranked if merged[code].size.sum() >= max(1, self.asked.least)][: self.question.limit]
        return [
            RetentionGroup(group=self._label(code), cohorts=self.cohorts(merged[code]), curve=self.curve(merged[code]))
            for code in shown
        ]

    @property
    def span(self) -> Span:
        return Span(None if self.question.cohort != "recurring" else self.period.since, self.observed.until)

    def selection(self, *, grouped: bool = False) -> Selection:
        question = self.question
        matchers = [question.start, question.back]
        if question.cohort == "first_ever":
            matchers.append(Matcher(event=question.start.event))

        def columns(source: Source) -> list[Column]:
            found = []
            if grouped and question.breakdown is not None:
                found.append(Column("group", "text", value_of(question.breakdown, source).text))
            if question.property is not None:
                found.append(Column("metric", "number", field_of(question.property).number))
            return found

        return select(self.asked, matchers, columns, accounts=self.by_account)

    @property
    def by_account(self) -> bool:
        return self.question.count_by == "group"

    def cohorts(self, found: Matrix) -> list[Cohort]:
        complete = self.complete(found)
        return [
            self._cohort(
                start, int(found.size[number]), found.retained[number].tolist(), found.amount[number].tolist(), complete[number]
            )
            for number, start in enumerate(self.period.labels())
        ]

    def _cohort(self, start: str, size: int, retained: list[int], amount: list[float], complete: list[bool]) -> Cohort:
        hidden = self.asked.hides(size)
        values: list[int | float | None] = [None] * len(retained)
        if not hidden:
            values = [self._value(people, total) for people, total in zip(retained, amount, strict=True)]
        shares = [None if hidden or not size or self.asked.hides(people) else people / size for people in retained]
        return Cohort(
            start=start, size=None if hidden else scaled(size, self.asked.scale), values=values, shares=shares, complete=complete
        )

    def _value(self, people: int, total: float) -> int | float | None:
        if self.asked.hides(people):
            return None
        match self.question.metric:
            case "subjects":
                return scaled(people, self.asked.scale)  # type: ignore[no-any-return]
            case "events":
                return scaled(round(total), self.asked.scale)  # type: ignore[no-any-return]
            case "sum":
                return scaled(total, self.asked.scale)  # type: ignore[no-any-return]
            case "avg":
                return total / people if people else None

    def complete(self, found: Matrix) -> list[list[bool]]:
        """Calendar: the last bucket of the period has ended. Rolling: it has for the member that started last."""
        now, edges = self.asked.now - self.asked.late, self.observed.edges
        ends = np.cumsum([1, *self.brackets]).tolist()
        if self.question.window == "calendar":
            return [[edges[cohort + end] <= now for end in ends] for cohort in range(self.period.buckets)]
        unit = _UNITS[self.question.interval]
        latest = np.where(found.latest >= 0, found.latest, np.asarray(edges[: self.period.buckets]))
        return [[int(time) + end * unit <= now for end in ends] for time in latest]

    def curve(self, found: Matrix) -> list[float | None]:
        done = np.array(self.complete(found)) & (found.size > 0)[:, None]
        shares = found.retained / np.maximum(found.size, 1)[:, None]
        weights = np.where(done, found.size[:, None] if self.question.mean == "weighted" else 1, 0)
        members = np.where(done, found.size[:, None], 0).sum(axis=0)
        totals = weights.sum(axis=0)
        means = (shares * weights).sum(axis=0) / np.maximum(totals, 1)
        return [
            float(mean) if total and size >= self.asked.least else None
            for mean, total, size in zip(means, totals, members, strict=True)
        ]

    def _label(self, code: int) -> str:
        return NONE_LABEL if code == NONE else self.texts.known["group"][code]


def _matrix(stream: Stream, *, plan: Retention) -> Matrix:
    return matrix(members_of(stream, plan), plan)


def _groups(stream: Stream, *, plan: Retention) -> dict[int, Matrix]:
    return by_group(members_of(stream, plan), plan)
