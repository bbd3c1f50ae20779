"""A customer dashboard made of five configured events; a tile says which of them it lacks (section 1.14)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, PrivateAttr

from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import By
from consentryd.analytics.calendar import local_of
from consentryd.analytics.condition import Matcher
from consentryd.analytics.funnels.answer import answer as answer_funnel
from consentryd.analytics.funnels.model import FunnelBreakdown, FunnelQuery, FunnelResult, FunnelStep, Window
from consentryd.analytics.kernel.funnel import Entry
from consentryd.analytics.kernel.lifecycle import STATUSES
from consentryd.analytics.kinds import lifecycle
from consentryd.analytics.kinds.lifecycle import LifecycleQuery, LifecycleResult
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Range, from_to
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.sessions.answer import answer as answer_sessions
from consentryd.analytics.sessions.model import SessionsQuery, SessionsResult
from consentryd.analytics.trends.answer import answer as answer_trends
from consentryd.analytics.trends.model import Math, Series, Trends, TrendsResult, Value
from consentryd.model.clock import MINUTE

LIVE: Final = 5 * MINUTE
UTC: Final = ZoneInfo("UTC")
EVENTS: Final = ("activity", "signup_page", "signup", "subscription", "payment")


class DashboardQuery(Question):
    """Every event is optional. Signup conversion and free-to-paid are ordered funnels."""

    kind: Literal["dashboard"]
    activity: Matcher | None = None
    signup_page: Matcher | None = None
    signup: Matcher | None = None
    subscription: Matcher | None = None
    payment: Matcher | None = None
    funnel_days: int = Field(14, ge=1, le=366)
    count_by: Literal["subject", "group"] = Field("subject", description="Whom the tiles are about: subjects, or accounts.")


class Tile(Answered):
    """Either `missing`, the events to configure first, or the `result` of the query that makes the tile."""

    name: str
    title: str
    missing: list[str]
    result: dict[str, Any] | None


class DashboardResult(Envelope):
    kind: Literal["dashboard"] = "dashboard"
    tiles: list[Tile]

    #: The answers that the tiles' results were made of, by the tile's name.
    _answers: dict[str, Envelope] = PrivateAttr(default_factory=dict)

    def with_answers(self, answers: Mapping[str, Envelope]) -> Self:
        self._answers = dict(answers)
        return self

    def rows(self) -> list[dict[str, Any]]:
        """A line for each number of a tile: what it is of, its group if it has one, its value, and that of the range before."""
        return [row for tile in self.tiles for row in self._rows(tile)]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """A table for each tile, and one of those that lack an event."""
        found = {tile.title: _numbers(self._answers[tile.name]) for tile in self.tiles if tile.name in self._answers}
        lacking = [{"tile": tile.title, "missing": ", ".join(tile.missing)} for tile in self.tiles if tile.missing]
        return found | ({"Not configured": lacking} if lacking else {})

    def _rows(self, tile: Tile) -> Iterator[dict[str, Any]]:
        head = {"tile": tile.name, "title": tile.title, "missing": ", ".join(tile.missing)}
        numbers = _numbers(self._answers[tile.name]) if tile.name in self._answers else []
        for number in numbers or [_number(None, None)]:
            yield head | number


def _numbers(result: Envelope) -> list[dict[str, Any]]:
    """The totals of a tile's answer; of a lifecycle those of the last bucket that is over."""
    match result:
        case TrendsResult():
            return [_number(line.name, line.total, line.compared_total) for line in result.series]
        case FunnelResult():
            groups = [(f"{each.group} (the rest)" if each.rest else each.group, each.steps) for each in result.groups]
            return [
                _number(step.name, step.count, group=name) for name, steps in [(None, result.steps), *groups] for step in steps
            ]
        case SessionsResult():
            return [_number(name, value) for name, value in result.totals.model_dump().items()]
        case LifecycleResult():
            over = [bucket for bucket in result.buckets if bucket.complete]
            return [_number(name, getattr(bucket, name), group=bucket.start) for bucket in over[-1:] for name in STATUSES]
    return []


def _number(of: str | None, value: Value, before: Value = None, group: str | None = None) -> dict[str, Any]:
    return {"of": of, "group": group, "value": value, "before": before}


Make = Callable[[DashboardQuery, Asked], Envelope]


def answer(question: DashboardQuery, asked: Asked) -> DashboardResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    answers: dict[str, Envelope] = {}
    tiles = []
    for name, title, needs, make in _TILES:
        missing = [event for event in needs if getattr(question, event) is None]
        if not missing:
            answers[name] = make(question, asked)
        result = answers[name].model_dump(mode="json", by_alias=True) if name in answers else None
        tiles.append(Tile(name=name, title=title, missing=missing, result=result))
    if question.activity is not None and question.activity.names == ["page_viewed"] and question.activity.where is None:
        asked.warn("activity_is_page_view")
    return DashboardResult(**asked.envelope(asked.period("day"), interval=False), tiles=tiles).with_answers(answers)


def _trends(question: DashboardQuery, asked: Asked, series: list[tuple[str, Math]], **options: Any) -> Envelope:
    lines = []
    for event, math in series:
        matcher: Matcher = getattr(question, event)
        lines.append(Series(event=matcher.event, where=matcher.where, math=math, name=f"{math} {event}"))
    part = Trends(series=lines, count_by=question.count_by, **(_common(question) | options))
    return answer_trends(part, asked.about(part))


def _lately(question: DashboardQuery, asked: Asked, days: int) -> Envelope:
    """Active in the days that end with the range's last, beside as many before them."""
    last = local_of(min(asked.period("day").until, asked.now + 1) - 1, asked.zone).date()
    span = from_to(last - timedelta(days=days - 1), last)
    return _trends(question, asked, [("activity", "unique")], range=span, display="total", compare="previous")


def _live(question: DashboardQuery, asked: Asked) -> Envelope:
    """Active in the last minutes. Asked in UTC, whose hours come once."""
    since = local_of(asked.now - LIVE, UTC).isoformat()
    span = Range.model_validate({"from": since, "explicit": True})
    return _trends(
        question, replace(asked, zone=UTC), [("activity", "unique")], range=span, timezone="UTC", interval="hour", display="total"
    )


def _sessions(question: DashboardQuery, asked: Asked) -> Envelope:
    part = SessionsQuery(kind="sessions", **_common(question))
    return answer_sessions(part, asked.about(part))


def _funnel(
    question: DashboardQuery, asked: Asked, *steps: str, entry: Entry = "any", breakdown: FunnelBreakdown | None = None
) -> Envelope:
    matchers = [getattr(question, step) for step in steps]
    part = FunnelQuery(
        kind="funnel",
        steps=[
            FunnelStep(event=matcher.event, where=matcher.where, name=step) for matcher, step in zip(matchers, steps, strict=True)
        ],
        window=Window(n=question.funnel_days, unit="day"),
        breakdown=breakdown,
        entry=entry,
        count_by=question.count_by,
        **_common(question),
    )
    return answer_funnel(part, asked.about(part))


def _lifecycle(question: DashboardQuery, asked: Asked) -> Envelope:
    assert question.activity is not None
    part = LifecycleQuery(
        kind="lifecycle", activity=question.activity, interval="week", count_by=question.count_by, **_common(question)
    )
    return lifecycle.answer(part, asked.about(part))


def _common(question: DashboardQuery) -> dict[str, Any]:
    names = ("range", "timezone", "week_start", "where", "test_traffic", "sampling", "min_group_size")
    return {name: getattr(question, name) for name in names}


_SOURCE: Final = FunnelBreakdown(by=By(property="utm_source"), attribution="first_touch")
_TILES: Final[tuple[tuple[str, str, tuple[str, ...], Make], ...]] = (
    (
        "active",
        "Active by day, week and month",
        ("activity",),
        lambda q, a: _trends(q, a, [("activity", "unique"), ("activity", "weekly_active"), ("activity", "monthly_active")]),
    ),
    ("weekly_active", "Active in 7 days", ("activity",), lambda q, a: _lately(q, a, 7)),
    ("monthly_active", "Active in 30 days", ("activity",), lambda q, a: _lately(q, a, 30)),
    ("live", "Active in the last 5 minutes", ("activity",), _live),
    ("sessions", "Sessions of subjects", (), _sessions),
    ("signups", "Signups", ("signup",), lambda q, a: _trends(q, a, [("signup", "unique")], display="total", compare="previous")),
    (
        "paying",
        "Paying customers",
        ("payment",),
        lambda q, a: _trends(q, a, [("payment", "unique")], display="total", compare="previous"),
    ),
    (
        "signups_and_subscriptions",
        "Signups and subscriptions, 7-day mean",
        ("signup", "subscription"),
        lambda q, a: _trends(q, a, [("signup", "unique"), ("subscription", "unique")], smoothing=7),
    ),
    (
        "new_signups",
        "New signups by week",
        ("signup",),
        lambda q, a: _trends(q, a, [("signup", "first_match")], interval="week"),
    ),
    (
        "cumulative_signups",
        "Cumulative signups",
        ("signup",),
        lambda q, a: _trends(q, a, [("signup", "unique")], display="cumulative"),
    ),
    (
        "signup_conversion",
        "Signup conversion, by first source",
        ("signup_page", "signup"),
        lambda q, a: _funnel(q, a, "signup_page", "signup", breakdown=_SOURCE),
    ),
    ("lifecycle", "Lifecycle by week", ("activity",), _lifecycle),
    ("free_to_paid", "Free to paid", ("signup", "payment"), lambda q, a: _funnel(q, a, "signup", "payment", entry="first_ever")),
)
