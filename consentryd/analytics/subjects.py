"""Who is behind a number of an answer: the subjects of one point of a query, asked again as it was asked."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from consentryd.analytics.asked import Asked
from consentryd.analytics.behind import Part, behind
from consentryd.analytics.funnels.answer import run_of
from consentryd.analytics.funnels.model import FunnelQuery
from consentryd.analytics.kernel.hold import held_chains
from consentryd.analytics.kernel.lifecycle import STATUSES, phases
from consentryd.analytics.kernel.retention import members_of
from consentryd.analytics.kernel.solution import chains_of
from consentryd.analytics.kernel.stickiness import habits
from consentryd.analytics.kinds.cohorts import CohortsQuery
from consentryd.analytics.kinds.lifecycle import LifecycleQuery
from consentryd.analytics.kinds.stickiness import StickinessQuery
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import earlier
from consentryd.analytics.prediction.model import TENTHS
from consentryd.analytics.region_view import Span
from consentryd.analytics.retention.answer import plan_of
from consentryd.analytics.retention.model import RetentionQuery
from consentryd.analytics.selecting import select
from consentryd.analytics.shape import Shape, Text
from consentryd.analytics.source import Source, members_sql
from consentryd.analytics.stream import Stream
from consentryd.analytics.trends.model import LETTERS, Trends
from consentryd.analytics.trends.rows import Frame
from consentryd.model.error import Unprocessable

MAX_SUBJECTS: Final = 10_000


class Point(Shape):
    """A number of the answer; what is numbered counts from 0.

    Trends: `series`, perhaps `bucket`; funnels: `step`, perhaps `dropped`; lifecycle: `bucket`, `status`; retention: `cohort`, `period`;
    predictions: `tenth`, 0 the likeliest; RFM: `segment`, perhaps the one it `was`; segmentation: all of it, or a `channel`;
    churn: `bucket`, `part`; adoption: `part`; revenue: `part` paying, perhaps `bucket`; experiments: `arm`; attribution: `channel`;
    stickiness: `buckets`, in exactly how many; cohorts: `cohort`, or `cohorts` for those in all of these.
    """

    series: str | None = Field(None, pattern="^[A-Z]$")
    bucket: int | None = Field(None, ge=0)
    step: int | None = Field(None, ge=0)
    dropped: bool = False
    status: Literal["new", "returning", "resurrecting", "dormant"] | None = None
    cohort: int | None = Field(None, ge=0)
    period: int | None = Field(None, ge=0)
    tenth: int | None = Field(None, ge=0, lt=TENTHS)
    segment: Text | None = None
    was: Text | None = None
    channel: Text | None = None
    buckets: int | None = Field(None, ge=1)
    cohorts: tuple[int, ...] | None = Field(None, min_length=2, max_length=4)
    part: Part | None = None
    arm: Text | None = None


POINT: Final = TypeAdapter(Point)


def subjects_of(question: Any, point: Point, asked: Asked, most: int | None = MAX_SUBJECTS) -> list[int]:
    """The subjects, ascending, at most so many of them. Raises `Unprocessable` for a point that the query does not have."""
    require_subjects(asked)
    match question:
        case Trends() if point.series is not None:
            found = _of_trends(question, point, asked)
        case FunnelQuery() if point.step is not None:
            found = _of_funnel(question, point, asked)
        case LifecycleQuery() if point.bucket is not None and point.status is not None:
            found = _of_lifecycle(question, point, asked)
        case RetentionQuery() if point.cohort is not None and point.period is not None:
            found = _of_retention(question, point, asked)
        case StickinessQuery() if point.buckets is not None:
            found = _of_stickiness(question, point.buckets, asked)
        case CohortsQuery() if point.cohort is not None or point.cohorts is not None:
            found = _of_cohorts(question, point.cohorts or (point.cohort or 0,), asked)
        case _:
            found = behind(question, point, asked)
    return sorted(set(found))[:most]


def _of_trends(question: Trends, point: Point, asked: Asked) -> list[int]:
    if question.count_by == "group":
        raise Unprocessable("invalid", "Behind this number are accounts, not subjects.", field="count_by")
    period = asked.period(question.interval)
    number = LETTERS.index(point.series or "A")
    if number >= len(question.series) or (point.bucket or 0) >= period.buckets:
        raise Unprocessable("invalid", "The query has no such series or bucket.", field="series")
    series = question.series[number]
    rows = Frame(asked.setting, period, question.where).rows(series.numerator or series)
    where = "true" if point.bucket is None else f"b = {point.bucket}"
    statement = f"SELECT DISTINCT subject FROM ({rows}) WHERE subject IS NOT NULL AND {where}"
    found: list[int] = asked.execution.gather(statement, Span(period.since, period.until))["subject"].to_pylist()
    return found


def _of_funnel(question: FunnelQuery, point: Point, asked: Asked) -> list[int]:
    if question.count_by == "group":
        raise Unprocessable("invalid", "Behind this number are accounts, not subjects.", field="count_by")
    period = asked.period(question.trend or "day")
    run = run_of(question, period, asked)
    plan = run.plan
    step = point.step or 0
    if step >= len(question.steps) or (point.dropped and step == 0):
        raise Unprocessable("invalid", "The query has no such step.", field="step")

    def work(stream: Stream) -> list[int]:
        chains = held_chains(stream, plan, question.held) if question.held else chains_of(stream, plan)
        before = plan.mandatory[plan.before(step) - 1]
        found: list[int] = (chains.dropped_before(step, before) if point.dropped else chains.subjects_at(step)).tolist()
        return found

    name = ("who", question.definition_hash(), point, plan)
    parts = asked.execution.streams(run.selection(), run.span, work, name)
    return [subject for part in parts for subject in part]


def _of_lifecycle(question: LifecycleQuery, point: Point, asked: Asked) -> list[int]:
    if question.count_by == "group":
        raise Unprocessable("invalid", "Behind this number are accounts, not subjects.", field="count_by")
    period = asked.period(question.interval)
    edges = (earlier(period, 1).since, *period.edges)
    work = partial(_phase, edges=edges, bucket=point.bucket or 0, status=STATUSES.index(point.status or "new"))
    selection = select(asked, [question.activity])
    parts = asked.execution.streams(selection, Span(None, period.until), work, ("who", question.definition_hash(), point, edges))
    return [subject for part in parts for subject in part]


def _phase(stream: Stream, *, edges: tuple[int, ...], bucket: int, status: int) -> list[int]:
    found: list[int] = np.unique(phases(stream, 0, edges).subjects_at(bucket, status)).tolist()
    return found


def _of_retention(question: RetentionQuery, point: Point, asked: Asked) -> list[int]:
    if question.count_by == "group":
        raise Unprocessable("invalid", "Behind this number are accounts, not subjects.", field="count_by")
    plan, selection, span = plan_of(question, asked)
    if (point.cohort or 0) >= plan.cohorts or (point.period or 0) >= plan.periods:
        raise Unprocessable("invalid", "The query has no such cohort or period.", field="cohort")

    def work(stream: Stream) -> list[int]:
        found: list[int] = np.unique(members_of(stream, plan).subjects_at(point.cohort or 0, point.period or 0)).tolist()
        return found

    parts = asked.execution.streams(selection, span, work, ("who", question.definition_hash(), point, plan))
    return [subject for part in parts for subject in part]


def _of_stickiness(question: StickinessQuery, buckets: int, asked: Asked) -> list[int]:
    period = asked.period(question.interval)

    def work(stream: Stream) -> list[int]:
        found = habits(stream, 0, period.edges, question.times, question.comparison)
        members: list[int] = found.subject[found.buckets == buckets].tolist()
        return members

    name = ("who", question.definition_hash(), buckets, period.edges)
    parts = asked.execution.streams(select(asked, [question.activity]), Span(period.since, period.until), work, name)
    return [subject for part in parts for subject in part]


def _of_cohorts(question: CohortsQuery, wanted: tuple[int, ...], asked: Asked) -> list[int]:
    if not all(0 <= number < len(question.cohorts) for number in wanted):
        raise Unprocessable("invalid", "The query has no such cohort.", field="cohort")
    definitions = [question.definitions()[number] for number in wanted]
    source = Source(asked.setting)
    statement = " INTERSECT ".join(f"SELECT subject FROM ({members_sql(definition, source)})" for definition in definitions)
    period = asked.period("day")
    found: list[int] = asked.execution.gather(statement, Span(period.since, period.until))["subject"].to_pylist()
    return found
