"""The subjects of lifecycles, habits and cohorts."""

from __future__ import annotations

from functools import partial

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.behind.point import Point
from consentryd.analytics.kernel.lifecycle import STATUSES, phases
from consentryd.analytics.kernel.stickiness import habits
from consentryd.analytics.kinds.cohorts import CohortsQuery
from consentryd.analytics.kinds.lifecycle import LifecycleQuery
from consentryd.analytics.kinds.stickiness import StickinessQuery
from consentryd.analytics.period import earlier
from consentryd.analytics.region_view import Span
from consentryd.analytics.selecting import select
from consentryd.analytics.source import Source, members_sql
from consentryd.analytics.stream import Stream
from consentryd.model.error import Unprocessable


def of_lifecycle(question: LifecycleQuery, point: Point, asked: Asked) -> list[int]:
    """Who was new, returning, resurrecting or dormant in a bucket."""
    if question.count_by == "group":
        raise Unprocessable("invalid", "Behind this number are accounts, not subjects.", field="count_by")
    period = asked.period(question.interval)
    if (point.bucket or 0) >= period.buckets:
        raise Unprocessable("invalid", "The query has no such bucket.", field="bucket")
    edges = (earlier(period, 1).since, *period.edges)
    work = partial(_phase, edges=edges, bucket=point.bucket or 0, status=STATUSES.index(point.status or "new"))
    selection = select(asked, [question.activity])
    parts = asked.execution.streams(selection, Span(None, period.until), work, ("who", question.definition_hash(), point, edges))
    return [subject for part in parts for subject in part]


def _phase(stream: Stream, *, edges: tuple[int, ...], bucket: int, status: int) -> list[int]:
    found: list[int] = np.unique(phases(stream, 0, edges).subjects_at(bucket, status)).tolist()
    return found


def of_stickiness(question: StickinessQuery, point: Point, asked: Asked) -> list[int]:
    """Who was active in exactly, or in at least, so many buckets."""
    period = asked.period(question.interval)
    least = point.at_least or point.buckets or 1
    most = point.buckets or period.buckets
    if least > period.buckets:
        raise Unprocessable("invalid", "The query has fewer buckets.", field="at_least" if point.buckets is None else "buckets")

    def work(stream: Stream) -> list[int]:
        found = habits(stream, 0, period.edges, question.times, question.comparison)
        members: list[int] = found.subject[(found.buckets >= least) & (found.buckets <= most)].tolist()
        return members

    name = ("who", question.definition_hash(), least, most, period.edges)
    parts = asked.execution.streams(select(asked, [question.activity]), Span(period.since, period.until), work, name)
    return [subject for part in parts for subject in part]


def of_cohorts(question: CohortsQuery, wanted: tuple[int, ...], asked: Asked) -> list[int]:
    """Who is in all of some cohorts."""
    if not all(0 <= number < len(question.cohorts) for number in wanted):
        raise Unprocessable("invalid", "The query has no such cohort.", field="cohort")
    definitions = [question.definitions()[number] for number in wanted]
    source = Source(asked.setting)
    statement = " INTERSECT ".join(f"SELECT subject FROM ({members_sql(definition, source)})" for definition in definitions)
    period = asked.period("day")
    found: list[int] = asked.execution.gather(statement, Span(period.since, period.until))["subject"].to_pylist()
    return found
