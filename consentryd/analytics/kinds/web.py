"""A web site at a glance: visitors, visits, pages, sources and goals (section 1.18)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field

from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import NONE_LABEL, OTHER_LABEL, REST
from consentryd.analytics.condition import Matcher
from consentryd.analytics.kernel.tie import named
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period
from consentryd.analytics.question import Answered, Envelope
from consentryd.analytics.region_view import Span
from consentryd.analytics.sessions import reach
from consentryd.analytics.sessions.answer import top_pages, totals_of
from consentryd.analytics.sessions.measuring import events_of, measure, visits_of
from consentryd.analytics.sessions.model import PageCount, SessionRules, SessionTotals
from consentryd.analytics.shape import Shape, Text
from consentryd.analytics.source import Source
from consentryd.analytics.stream import NONE, Stream
from consentryd.analytics.streaming import Column
from consentryd.analytics.suppression import largest
from consentryd.analytics.trends.measuring import scaled
from consentryd.model.clock import MINUTE

LIVE: Final = 5 * MINUTE
DIMENSIONS: Final = ("path", "country", "device", "os", "browser")
#: Where a visit came from says its first event, whatever later ones say (section 1.7).
SOURCES: Final = ("referrer_host", "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")


class Goal(Shape):
    name: Text
    event: Matcher


class WebQuery(SessionRules):
    """Visitors are subjects; what was counted without a person is told apart. `where` narrows all of it, goals' denominators too."""

    kind: Literal["web"]
    goals: list[Goal] = Field(default=[], max_length=20)
    limit: int = Field(10, ge=1, le=100, description="How many values of each dimension.")


class ValueCount(Answered):
    """`visitors` is null of `Other`, whose visitors may have several of its values."""

    value: str
    visitors: int | None
    page_views: int
    rest: bool = Field(False, description=REST)


class GoalCount(Answered):
    """`conversion`: visitors who did it by all visitors of the filtered set."""

    name: str
    visitors: int | None
    events: int | None
    conversion: float | None


class WebResult(Envelope):
    kind: Literal["web"] = "web"
    visitors: int | None
    live_visitors: int | None = Field(description="Seen in the last 5 minutes.")
    page_views: int | None
    views_per_visit: float | None
    visits: SessionTotals
    bounce: str
    anonymous_page_views: int = Field(description="Of visitors who are counted without being known; in no other number here.")
    entries: list[PageCount]
    exits: list[PageCount]
    top: dict[str, list[ValueCount]]
    goals: list[GoalCount]

    def rows(self) -> list[dict[str, Any]]:
        return [{"dimension": name, **value.model_dump()} for name, values in self.top.items() for value in values]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """The top values, the goals, and the pages that visits begin and end with."""
        parts: dict[str, Sequence[Answered]] = {"goals": self.goals, "first pages": self.entries, "last pages": self.exits}
        return {"": self.rows()} | {name: [each.model_dump() for each in part] for name, part in parts.items()}


def answer(question: WebQuery, asked: Asked) -> WebResult:
    """Raises `Unprocessable` for the anonymous lane, which has its own number."""
    require_subjects(asked)
    period = asked.period("day")
    visits = measure(question, period, asked)
    totals = totals_of(visits, question, asked)
    visitors, views = _counts(question, Span(period.since, period.until), asked)
    live, _ = _counts(question, Span(asked.now - LIVE, asked.now + 1), asked)
    return WebResult(
        **asked.envelope(period, interval=False),
        visitors=asked.shown(visitors),
        live_visitors=asked.shown(live),
        page_views=None if asked.hides(visitors) else scaled(views, asked.scale),
        views_per_visit=totals.pages_per_session,
        visits=totals,
        bounce=question.bounce,
        anonymous_page_views=_anonymous(question, period, asked),
        entries=top_pages(visits.entries, asked),
        exits=top_pages(visits.exits, asked),
        top={name: _top(name, question, period, asked) for name in DIMENSIONS} | _sources(question, period, asked),
        goals=[_goal(goal, question, period, visitors, asked) for goal in question.goals],
    )


def _counts(question: WebQuery, span: Span, asked: Asked) -> tuple[int, int]:
    """Visitors and page views."""
    source = Source(asked.setting)
    page = source.matches(question.page)
    where = "true" if question.where is None else source.holds(question.where)
    statement = f"SELECT count(DISTINCT e.subject) AS v, count(*) FILTER ({page}) AS p FROM {source.sql} WHERE {where}"
    table = asked.execution.gather(statement, span)
    return sum(table["v"].to_pylist()), sum(table["p"].to_pylist())


def _anonymous(question: WebQuery, period: Period, asked: Asked) -> int:
    rules = replace(asked.execution.rules, lanes="anonymous")
    source = Source(asked.setting)
    conditions = [source.matches(question.page), *([] if question.where is None else [source.holds(question.where)])]
    statement = f"SELECT count(*) AS p FROM {source.sql} WHERE {' AND '.join(conditions)}"
    table = asked.execution.with_rules(rules).gather(statement, Span(period.since, period.until))
    return sum(table["p"].to_pylist())


def _top(name: str, question: WebQuery, period: Period, asked: Asked) -> list[ValueCount]:
    """The values with the most visitors. A visitor may be in several."""
    source = Source(asked.setting)
    page = source.matches(question.page)
    where = "true" if question.where is None else source.holds(question.where)
    statement = (
        f"SELECT e.{name} AS value, count(DISTINCT e.subject) AS v, count(*) FILTER ({page}) AS p FROM {source.sql}"
        f" WHERE {where} GROUP BY e.{name}"
    )
    visitors: Counter[str | None] = Counter()
    views: Counter[str | None] = Counter()
    for row in asked.execution.gather(statement, Span(period.since, period.until)).to_pylist():
        visitors[row["value"]] += row["v"]
        views[row["value"]] += row["p"]
    return _ranked(visitors, views, question, asked)


def _sources(question: WebQuery, period: Period, asked: Asked) -> dict[str, list[ValueCount]]:
    """Of each source the visitors whose visits came from it, and the pages that they saw then."""
    selection = events_of(question, asked, [Column(name, "text", f"e.{name}") for name in SOURCES])
    work = partial(_sourced, rules=question, edges=period.edges)
    visitors: dict[str, Counter[str | None]] = {name: Counter() for name in SOURCES}
    views: dict[str, Counter[str | None]] = {name: Counter() for name in SOURCES}
    for part in reach.streams(selection, question.cut, period, asked, work):
        for name, value, people, pages in part:
            visitors[name][value] += people
            views[name][value] += pages
    return {name: _ranked(visitors[name], views[name], question, asked) for name in SOURCES}


def _sourced(stream: Stream, *, rules: SessionRules, edges: tuple[int, ...]) -> list[tuple[str, str | None, int, int]]:
    """By source and value of the first event: visitors, and page views of the visits that begin within the edges."""
    found, stream, *_ = visits_of(stream, rules)
    every = np.ones(len(stream.code), np.bool_)
    inside = (found.start >= edges[0]) & (found.start < edges[-1])
    first, subject, pages = found.first[inside], found.subject[inside], found.pages[inside]
    rows = []
    for name in SOURCES:
        codes = named(stream, name, every, rules.cut.apart)[first]
        for code in np.unique(codes).tolist():
            own = codes == code
            value = None if code == NONE else stream.texts[name][code]
            rows.append((name, value, len(np.unique(subject[own])), int(pages[own].sum())))
    return rows


def _ranked(visitors: Counter[str | None], views: Counter[str | None], question: WebQuery, asked: Asked) -> list[ValueCount]:
    """The values with the most visitors. Those of too few are in `Other` with all that are not shown: they would follow from the whole."""
    ranked = sorted(visitors, key=lambda value: (-visitors[value], value is not None, value or ""))
    shown, rest = largest(ranked, visitors, question.limit, asked.least)
    found = [
        ValueCount(
            value=NONE_LABEL if value is None else value,
            visitors=scaled(visitors[value], asked.scale),
            page_views=scaled(views[value], asked.scale),
        )
        for value in shown
    ]
    if rest:
        seen = scaled(sum(views[value] for value in rest), asked.scale)
        found.append(ValueCount(value=OTHER_LABEL, visitors=None, page_views=seen, rest=True))
    return found


def _goal(goal: Goal, question: WebQuery, period: Period, visitors: int, asked: Asked) -> GoalCount:
    source = Source(asked.setting)
    conditions = [source.matches(goal.event), *([] if question.where is None else [source.holds(question.where)])]
    statement = f"SELECT count(DISTINCT e.subject) AS v, count(*) AS n FROM {source.sql} WHERE {' AND '.join(conditions)}"
    table = asked.execution.gather(statement, Span(period.since, period.until))
    converted = sum(table["v"].to_pylist())
    shown = asked.shown(converted)
    return GoalCount(
        name=goal.name,
        visitors=shown,
        events=None if shown is None else scaled(sum(table["n"].to_pylist()), asked.scale),
        conversion=converted / visitors if visitors and shown is not None else None,
    )
