"""Retention over every bucket's stream, or from rollups, and the parts added up."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial, reduce
from typing import Final

import numpy as np

from consentryd.analytics.account import streams_of
from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher, narrowed
from consentryd.analytics.exchange import amount_sql, warn_unconverted, without_rate_sql
from consentryd.analytics.group import values_sql
from consentryd.analytics.kernel.retention import Grouped, Matrix, Retention, by_group, matrix, members_of
from consentryd.analytics.period import Period, later
from consentryd.analytics.region_view import Span
from consentryd.analytics.retention.model import RetentionQuery
from consentryd.analytics.rollup.retention import matrix_of
from consentryd.analytics.selecting import select
from consentryd.analytics.source import Source
from consentryd.analytics.stream import Int32s, Stream
from consentryd.analytics.streaming import Column, Selection, Texts
from consentryd.model.clock import DAY, HOUR
from consentryd.model.error import Unprocessable

GROUP: Final = "group"
OTHER: Final = -2
#: What a cell of a matrix takes, what a matrix itself does, and what a cell does that is told.
_CELL_BYTES: Final = 24
_GROUP_BYTES: Final = 1_000
_TOLD_BYTES: Final = 64
_UNITS: Final = {"hour": HOUR, "day": DAY, "week": 7 * DAY, "month": 30 * DAY}


@dataclass(frozen=True, slots=True)
class Run:
    """`cohort`: only of the members of a saved one. `edges`: of a numeric breakdown's bins. `entered`: when members may have started, where
    that is less than the period."""

    question: RetentionQuery
    asked: Asked
    period: Period
    texts: Texts = field(default_factory=Texts)
    cohort: str | None = None
    edges: tuple[tuple[float, ...] | None, ...] = ()
    entered: tuple[int, int] | None = None

    @property
    def observed(self) -> Period:
        """The cohorts' buckets, whole, and those that returns are looked for in: of rolling units until that of the last start is over."""
        found = later(self.period, sum(self.brackets))
        if self.unit is None:
            return found
        return replace(
            found, edges=(*found.edges[:-1], max(found.until, self.period.until + (1 + sum(self.brackets)) * self.unit))
        )

    @property
    def brackets(self) -> tuple[int, ...]:
        return tuple(self.question.brackets or [1] * self.question.periods)

    @property
    def unit(self) -> int | None:
        """Of rolling periods; None for calendar ones."""
        return _UNITS[self.question.interval] if self.question.window == "rolling" else None

    @property
    def by_account(self) -> bool:
        return self.question.count_by == "group"

    @property
    def span(self) -> Span:
        return Span(None if self.question.cohort != "recurring" else self.period.since, self.observed.until)

    def plan(self, *, grouped: bool = False) -> Retention:
        """What the kernel is asked."""
        question, observed = self.question, self.observed
        within = self.period.since, self.period.until
        return Retention(
            start=0,
            back=1,
            edges=observed.edges,
            cohorts=self.period.buckets,
            brackets=self.brackets,
            kind=question.cohort,
            event=2 if question.cohort == "first_ever" else None,
            or_after=question.mode == "on_or_after",
            unit=self.unit,
            min_occurrences=question.min_occurrences,
            zero_returned=question.period_zero == "returned",
            group=GROUP if grouped else None,
            metric="metric" if question.property is not None else None,
            count_events=question.metric == "events",
            entered=self.entered or (None if observed.edges[self.period.buckets] == self.period.until else within),
        )

    def total(self) -> Matrix:
        plan = self.plan()
        rolled = not self.by_account and self.cohort is None
        known = matrix_of(self.question.start, self.question.back, plan, self.asked) if rolled else None
        if known is not None:
            return known
        work = partial(_matrix, plan=plan)
        return reduce(Matrix.merge, streams_of(self.asked, self.selection(), self.span, work, ("retention", plan)))

    def warn_unconverted(self) -> None:
        """Says what amounts of the returns are left out."""
        source = Source(self.asked.setting)
        where = self.question.where
        conditions = [
            "e.subject IS NOT NULL",
            source.matches(self.question.back),
            *([] if where is None else [source.holds(where)]),
        ]
        warn_unconverted(without_rate_sql(source, conditions), Span(self.period.since, self.observed.until), self.asked)

    def grouped(self, kept: Int32s | None) -> dict[int, Grouped]:
        """By code of the group; with `kept`, all other codes are `OTHER`."""
        merged: dict[int, Grouped] = {}
        work = partial(_groups, run=self, plan=self.plan(grouped=True), kept=kept)
        for part in streams_of(self.asked, self.selection(grouped=True), self.span, work, None, self.texts):
            for code, found in part.items():
                merged[code] = merged[code].merge(found) if code in merged else found
            self.check_room(len(merged), 0)
        return merged

    def check_room(self, groups: int, shown: int) -> None:
        """Raises `Unprocessable` where the matrices of so many groups, and the answer with those shown, would take too much memory."""
        cells, limit = self.period.buckets * (len(self.brackets) + 1), self.asked.execution.memory_bytes
        needed = groups * (cells * _CELL_BYTES + _GROUP_BYTES) + shown * cells * _TOLD_BYTES
        if needed > limit:
            raise Unprocessable(
                "too_expensive",
                "Groups times cohorts times periods are too many: narrow the range, look at fewer periods or break down by less.",
                estimate_mb=needed >> 20,
                limit_mb=limit >> 20,
            )

    def selection(self, *, grouped: bool = False) -> Selection:
        """Starts, returns, and for the first ever the start's events without any filter, that of the question neither."""
        question, asked = self.question, self.asked
        matchers = [question.start, question.back]
        if question.cohort == "first_ever":
            matchers = [*(narrowed(each, question.where) for each in matchers), Matcher(event=question.start.event)]
            asked = asked.about(question.model_copy(update={"where": None}))

        def columns(source: Source) -> list[Column]:
            found = []
            if grouped:
                found.append(Column(GROUP, "text", values_sql(question.properties(), source, self.edges)))
            if question.property is not None:
                found.append(Column("metric", "number", amount_sql(question.property, self.asked.rates)))
            return found

        return select(asked, matchers, columns, accounts=self.by_account, cohort=self.cohort)


def _matrix(stream: Stream, *, plan: Retention) -> Matrix:
    return matrix(members_of(stream, plan), plan)


def _groups(stream: Stream, *, run: Run, plan: Retention, kept: Int32s | None) -> dict[int, Grouped]:
    members = members_of(stream, plan)
    if kept is not None:
        members = members._replace(group=np.where(np.isin(members.group, kept), members.group, OTHER))
    run.check_room(len(np.unique(members.group)), 0)
    return by_group(members, plan)
