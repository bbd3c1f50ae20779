"""Who is behind a number of an answer: the subjects of one point of a query, asked again as it was asked."""

from __future__ import annotations

from typing import Any

from consentryd.analytics.asked import Asked
from consentryd.analytics.behind.group import of_funnel, of_retention, of_trends
from consentryd.analytics.behind.outcome import behind
from consentryd.analytics.behind.point import MAX_SUBJECTS, Point, check_point
from consentryd.analytics.behind.state import of_cohorts, of_lifecycle, of_stickiness
from consentryd.analytics.behind.visit import of_paths, of_sessions, of_web
from consentryd.analytics.funnels.model import FunnelQuery
from consentryd.analytics.kinds.cohorts import CohortsQuery
from consentryd.analytics.kinds.lifecycle import LifecycleQuery
from consentryd.analytics.kinds.paths import PathsQuery
from consentryd.analytics.kinds.stickiness import StickinessQuery
from consentryd.analytics.kinds.web import WebQuery
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.retention.model import RetentionQuery
from consentryd.analytics.sessions.model import SessionsQuery
from consentryd.analytics.trends.model import Trends


def subjects_of(question: Any, point: Point, asked: Asked, most: int | None = MAX_SUBJECTS) -> list[int]:
    """The subjects, ascending, at most so many of them. Raises `Unprocessable` for a point that the query does not have."""
    check_point(question.kind, point)
    require_subjects(asked)
    return sorted(set(_found(question, point, asked)))[:most]


def _found(question: Any, point: Point, asked: Asked) -> list[int]:
    match question:
        case Trends() if point.series is not None:
            return of_trends(question, point, asked)
        case FunnelQuery() if point.part in {None, "excluded"}:
            return of_funnel(question, point, asked)
        case LifecycleQuery() if point.bucket is not None and point.status is not None:
            return of_lifecycle(question, point, asked)
        case RetentionQuery() if point.cohort is not None and point.period is not None:
            return of_retention(question, point, asked)
        case StickinessQuery():
            return of_stickiness(question, point, asked)
        case CohortsQuery() if point.cohort is not None or point.cohorts is not None:
            return of_cohorts(question, point.cohorts or (point.cohort or 0,), asked)
        case PathsQuery():
            return of_paths(question, point, asked)
        case SessionsQuery():
            return of_sessions(question, point, asked)
        case WebQuery():
            return of_web(question, point, asked)
        case _:
            return behind(question, point, asked)
