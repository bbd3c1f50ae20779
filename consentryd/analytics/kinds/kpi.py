"""The numbers one looks at first: active subjects, sessions, conversion and retention, each with the time before it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.funnels.answer import answer as answer_funnel
from consentryd.analytics.funnels.model import FunnelQuery, FunnelStep
from consentryd.analytics.kinds import stickiness
from consentryd.analytics.kinds.stickiness import StickinessQuery
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period, by_day, elapsed, exactly, previous
from consentryd.analytics.question import Answered, Envelope
from consentryd.analytics.retention.answer import answer as answer_retention
from consentryd.analytics.retention.model import RetentionQuery
from consentryd.analytics.sessions.answer import totals_of
from consentryd.analytics.sessions.measuring import measure
from consentryd.analytics.sessions.model import SessionRules, SessionTotals
from consentryd.analytics.trends.aggregate import RANGE, Levels
from consentryd.analytics.trends.measuring import subject_cells
from consentryd.analytics.trends.model import Measure
from consentryd.analytics.trends.rows import Frame

ANYTHING = Matcher()


class KpiQuery(SessionRules):
    """Daily, weekly and monthly active subjects, stickiness, sessions, conversion, and retention after 1, 7 and 30 days."""

    kind: Literal["kpi"]
    activity: Matcher = Field(ANYTHING, description="What counts as being active; default: any event.")
    conversion: list[FunnelStep] | None = Field(
        None, min_length=2, max_length=30, description="The funnel whose conversion is shown."
    )

    @model_validator(mode="after")
    def _answerable(self) -> Self:
        if self.conversion is not None:
            FunnelQuery.model_construct(kind="funnel", steps=self.conversion).plan(0, 1)
        return self


class Kpi(Answered):
    """A number and what it was in the range of the same length before, up to the same time of day where today is in the range; null where it
    cannot be known."""

    name: str
    value: int | float | None
    before: int | float | None
    change: float | None = Field(description="(value - before) / before.")
    definition: str


class KpiResult(Envelope):
    kind: Literal["kpi"] = "kpi"
    numbers: list[Kpi]

    def rows(self) -> list[dict[str, Any]]:
        return [number.model_dump() for number in self.numbers]


def answer(question: KpiQuery, asked: Asked) -> KpiResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period("day")
    now = _numbers(question, period, asked) | _habits(question, by_day(period), period, asked)
    before = _numbers(question, elapsed(period, previous(period), asked.now), asked)
    before |= _habits(question, previous(by_day(period)), period, asked)
    numbers = [_kpi(name, now[name], before[name]) for name in _DEFINITIONS if name in now]
    return KpiResult(**asked.envelope(period, interval=False), numbers=numbers)


_DEFINITIONS = {
    "active_subjects": "distinct subjects of the range",
    "daily_active": "distinct subjects of the last complete day",
    "weekly_active": "distinct subjects of the 7 days that end with the last complete day",
    "monthly_active": "distinct subjects of the 30 days that end with the last complete day",
    "stickiness": "mean over complete days of daily by monthly active subjects",
    "sessions": "sessions that begin in the range",
    "session_seconds": "mean length of all sessions, those of one event included",
    "events_per_session": "events by sessions",
    "bounce_rate": "bounced by all sessions, under the definition of `bounce`",
    "conversion": "subjects who complete the funnel by those who enter it in the range",
    "retention_day_1": "share of each day's subjects who are active 1 day later, over complete cells, weighted",
    "retention_day_7": "the same 7 days later",
    "retention_day_30": "the same 30 days later",
}


def _numbers(question: KpiQuery, period: Period, asked: Asked) -> dict[str, int | float | None]:
    part = question.model_copy(update={"range": exactly(period)})
    sessions_: SessionTotals = totals_of(measure(part, period, asked.about(part)), part, asked)
    return {
        "active_subjects": _distinct(question.activity, period, asked.about(part)),
        "sessions": sessions_.sessions,
        "session_seconds": sessions_.mean_duration_s,
        "events_per_session": sessions_.events_per_session,
        "bounce_rate": sessions_.bounce_rate,
        **_conversion(part, asked),
        **_retained(part, asked),
    }


def _habits(question: KpiQuery, days: Period, period: Period, asked: Asked) -> dict[str, int | float | None]:
    """Of as many of the days as are complete in the period."""
    done = sum(asked.complete(by_day(period)))
    if not done:
        return dict.fromkeys(("daily_active", "weekly_active", "monthly_active", "stickiness"))
    whole = replace(days, edges=days.edges[: done + 1])
    part = question.model_copy(update={"range": exactly(whole)})
    sticky = stickiness.answer(StickinessQuery(kind="stickiness", activity=question.activity, **_common(part)), asked.about(part))
    last = sticky.days[-1]
    return {
        "daily_active": last.daily,
        "weekly_active": last.weekly,
        "monthly_active": last.monthly,
        "stickiness": sticky.mean_daily_to_monthly,
    }


def _distinct(activity: Matcher, period: Period, asked: Asked) -> int | None:
    frame = Frame(asked.setting, period, asked.question.where)
    counted = Measure(event=activity.event, where=activity.where, math="unique")
    found = int(subject_cells(counted, frame, Levels(buckets=False), asked).get(("*", RANGE), 0))
    return asked.shown(found)


def _conversion(question: KpiQuery, asked: Asked) -> dict[str, float | None]:
    if question.conversion is None:
        return {}
    part = FunnelQuery(kind="funnel", steps=question.conversion, **_common(question))
    return {"conversion": answer_funnel(part, asked.about(part)).overall.conversion}


def _retained(question: KpiQuery, asked: Asked) -> dict[str, float | None]:
    part = RetentionQuery(kind="retention", start=question.activity, back=question.activity, periods=30, **_common(question))
    curve = answer_retention(part, asked.about(part)).curve
    return {f"retention_day_{day}": curve[day] for day in (1, 7, 30)}


def _common(question: KpiQuery) -> dict[str, Any]:
    names = ("range", "timezone", "week_start", "where", "test_traffic", "sampling", "min_group_size")
    return {name: getattr(question, name) for name in names}


def _kpi(name: str, value: float | None, before: float | None) -> Kpi:
    change = (value - before) / before if value is not None and before else None
    return Kpi(name=name, value=value, before=before, change=change, definition=_DEFINITIONS[name])
