"""The subjects behind passages of paths, sessions, and numbers of the web overview."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from consentryd.analytics import literal
from consentryd.analytics.asked import Asked
from consentryd.analytics.behind.point import Point
from consentryd.analytics.breakdown import NONE_LABEL
from consentryd.analytics.kernel.chain import ABSENT, Bools, Ints
from consentryd.analytics.kernel.passing import arrived, passed, took, turned
from consentryd.analytics.kernel.paths import shortened, walk_of
from consentryd.analytics.kernel.tie import named
from consentryd.analytics.kinds.paths import PathsQuery, code_of, plan_of, selection_of
from consentryd.analytics.kinds.web import DIMENSIONS, SOURCES, Goal, WebQuery
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.sessions import reach
from consentryd.analytics.sessions.measuring import Visits, events_of, first_pages, visits_of
from consentryd.analytics.sessions.model import SessionRules, SessionsQuery
from consentryd.analytics.source import Source
from consentryd.analytics.stream import NONE, Stream
from consentryd.analytics.streaming import Column
from consentryd.model.error import Unprocessable

#: Codes of a text that no event has, and of an event that is not there.
_UNKNOWN: Final = NONE - 1
_NOT_THERE: Final = NONE - 2
_AT_STEP: Final = re.compile(r"(\d{1,2})_(.*)", re.DOTALL)


def of_paths(question: PathsQuery, point: Point, asked: Asked) -> list[int]:
    """Of an edge, a transition, a node or a whole path. Raises `Unprocessable` for anything else."""
    edge = None if point.from_ is None or point.to is None else (point.from_, point.to)
    if point.part not in {None, "transition"}:
        raise Unprocessable("invalid", "Of paths the only `part` is `transition`.", field="part")
    if not 0 <= (point.step or 0) <= question.steps:
        raise Unprocessable("invalid", "The query has no such step.", field="step")
    period = asked.period("day")

    def work(stream: Stream) -> Ints:
        texts = list(stream.texts.get("item", []))
        plan = plan_of(question, texts)
        walk = walk_of(stream, plan)
        if edge is not None and point.part == "transition":
            return turned(walk, code_of(edge[0], texts), code_of(edge[1], texts))
        short, step = shortened(walk, plan)
        if edge is not None:
            at, origin, target = _steps(*edge)
            return passed(short, step, at, code_of(origin, texts), code_of(target, texts))
        if point.items is not None:
            return took(short, [code_of(item, texts) for item in point.items])
        return arrived(short, step, point.step or 0, code_of(point.node or "", texts))

    parts = asked.execution.streams(selection_of(question, asked), Span(period.since, period.until), work, None)
    return _together(parts)


def _steps(origin: str, target: str) -> tuple[int, str, str]:
    """The step and the items of an edge's ends."""
    begin, end = _AT_STEP.fullmatch(origin), _AT_STEP.fullmatch(target)
    if begin is None or end is None or int(end[1]) != int(begin[1]) + 1:
        raise Unprocessable("invalid", "An edge goes from a step to the next, such as `1_/` to `2_/pricing`.", field="from")
    return int(begin[1]), begin[2], end[2]


def of_sessions(question: SessionsQuery, point: Point, asked: Asked) -> list[int]:
    """Whose sessions began in the range or in a bucket, with a first or last page, or bounced."""
    period = asked.period(question.interval)
    if point.bucket is not None and point.bucket >= period.buckets:
        raise Unprocessable("invalid", "The query has no such bucket.", field="bucket")
    since, until = (period.since, period.until) if point.bucket is None else period.edges[point.bucket : point.bucket + 2]

    def wanted(visits: Visits) -> Bools:
        found = visits.sessions
        kept: Bools = (found.start >= since) & (found.start < until)
        if point.entry is not None:
            named_so = visits.stream._replace(values={"path": first_pages(visits.stream, question.cut)})
            kept &= _has(named_so, "path", found.entry, point.entry)
        if point.exit is not None:
            kept &= _has(visits.stream, "path", found.exit, point.exit)
        return kept if point.bounced is None else kept & (found.bounced(question.bounce) == point.bounced)

    return _visiting(question, period, asked, wanted)


def of_web(question: WebQuery, point: Point, asked: Asked) -> list[int]:
    """All visitors, those of a goal, or those of a dimension's value."""
    period = asked.period("day")
    if point.dimension in SOURCES:
        name, value = point.dimension, NONE_LABEL if point.value is None else point.value

        def wanted(visits: Visits) -> Bools:
            found = visits.sessions
            every = np.ones(len(visits.stream.code), np.bool_)
            stream = visits.stream._replace(values={name: named(visits.stream, name, every, question.cut.apart)})
            return (found.start >= period.since) & (found.start < period.until) & _has(stream, name, found.first, value)

        return _visiting(question, period, asked, wanted, [Column(name, "text", f"e.{name}")])
    source = Source(asked.setting)
    conditions = ["e.subject IS NOT NULL", *([] if question.where is None else [source.holds(question.where)])]
    if point.goal is not None:
        conditions.append(source.matches(_goal(question.goals, point.goal).event))
    elif point.dimension in DIMENSIONS:
        none = point.value in {None, NONE_LABEL}
        conditions.append(f"e.{point.dimension} " + ("IS NULL" if none else f"= {literal.text(point.value or '')}"))
    elif point.dimension is not None:
        raise Unprocessable("invalid", "The overview has no such dimension.", field="dimension")
    statement = f"SELECT DISTINCT e.subject FROM {source.sql} WHERE {' AND '.join(conditions)}"
    found: list[int] = asked.execution.gather(statement, Span(period.since, period.until))["subject"].to_pylist()
    return found


def _goal(goals: list[Goal], name: str) -> Goal:
    for goal in goals:
        if goal.name == name:
            return goal
    raise Unprocessable("invalid", "The query has no such goal.", field="goal")


def _visiting(rules: SessionRules, period: Period, asked: Asked, wanted: Any, more: Iterable[Column] = ()) -> list[int]:
    """The subjects of the wanted sessions, all of which begin in the period."""

    def work(stream: Stream) -> Ints:
        visits = visits_of(stream, rules)
        return np.unique(visits.sessions.subject[wanted(visits)])

    return _together(reach.streams(events_of(rules, asked, list(more)), rules.cut, period, asked, work))


def _has(stream: Stream, name: str, rows: Ints, value: str) -> Bools:
    """Which of the events have a value; those that are not there have none."""
    texts = list(stream.texts.get(name, []))
    code = texts.index(value) if value in texts else NONE if value == NONE_LABEL else _UNKNOWN
    column = np.append(stream.values[name], _NOT_THERE)
    found: Bools = column[np.where(rows == ABSENT, len(column) - 1, rows)] == code
    return found


def _together(parts: Iterable[Ints]) -> list[int]:
    return [subject for part in parts for subject in part.tolist()]
