"""On how many days, weeks or months subjects are active, and what share of a month's subjects come on a day (section 1.6)."""

from __future__ import annotations

from functools import partial, reduce
from statistics import fmean
from typing import Any, Final, Literal

import numpy as np
from pydantic import Field

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.kernel.chain import Ints
from consentryd.analytics.kernel.stickiness import Comparison, Stickiness, habits, stickiness, trailing
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period, by_day
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.rollup.activity import stickiness_of, trailing_of
from consentryd.analytics.selecting import select
from consentryd.analytics.stream import Stream
from consentryd.analytics.suppression import hide_line
from consentryd.analytics.trends.measuring import scaled

ANYTHING = Matcher()
_LENGTHS: Final = (1, 7, 30)


class StickinessQuery(Question):
    """A histogram of active buckets, and the ratios of daily, weekly and monthly active subjects."""

    kind: Literal["stickiness"]
    activity: Matcher = Field(ANYTHING, description="What counts as being active; default: any event.")
    interval: Literal["day", "week", "month"] = "day"
    times: int = Field(1, ge=1, description="How often in a bucket makes it active.")
    comparison: Comparison = ">="


class Active(Answered):
    """Subjects active in exactly `buckets` buckets, and in at least as many."""

    buckets: int
    subjects: int | None
    at_least: int | None


class Ratios(Answered):
    """Of a day: distinct subjects of the day, of the 7 and of the 30 days that end with it. Ratios are null without subjects."""

    start: str
    daily: int | None
    weekly: int | None
    monthly: int | None
    daily_to_weekly: float | None
    daily_to_monthly: float | None
    weekly_to_monthly: float | None
    complete: bool


class StickinessResult(Envelope):
    """Means of ratios are means over complete days, not ratios of means."""

    kind: Literal["stickiness"] = "stickiness"
    histogram: list[Active]
    mean_buckets: float | None
    days: list[Ratios]
    mean_daily_to_weekly: float | None
    mean_daily_to_monthly: float | None
    mean_weekly_to_monthly: float | None

    def rows(self) -> list[dict[str, Any]]:
        return [active.model_dump() for active in self.histogram]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """By how many buckets, and day by day."""
        return {"": self.rows(), "active by day": [day.model_dump() for day in self.days]}


def answer(question: StickinessQuery, asked: Asked) -> StickinessResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period(question.interval)
    histogram, mean = _histogram(_histogram_of(question, period, asked), asked)
    days = _days(question, period, asked)
    done = [day for day in days if day.complete]
    return StickinessResult(
        **asked.envelope(period),
        histogram=histogram,
        mean_buckets=mean,
        days=days,
        mean_daily_to_weekly=_mean([day.daily_to_weekly for day in done]),
        mean_daily_to_monthly=_mean([day.daily_to_monthly for day in done]),
        mean_weekly_to_monthly=_mean([day.weekly_to_monthly for day in done]),
    )


def _histogram_of(question: StickinessQuery, period: Period, asked: Asked) -> Stickiness:
    if question.times == 1 and question.comparison == ">=":
        known = stickiness_of(question.activity, period.edges, asked)
        if known is not None:
            return known
    selection = select(asked, [question.activity])
    work = partial(_habits, edges=period.edges, times=question.times, comparison=question.comparison)
    name = ("habits", period.edges, question.times, question.comparison)
    return reduce(Stickiness.merge, asked.execution.streams(selection, Span(period.since, period.until), work, name))


def active_counts(activity: Matcher, days: Period, asked: Asked) -> dict[int, Ints]:
    """Distinct subjects of the 1, 7 and 30 days that end with each day; `days` begin 29 days ahead of the first that counts."""
    known = trailing_of(activity, days.edges, _LENGTHS, asked)
    if known is not None:
        return {length: found[_LENGTHS[-1] - 1 :] for length, found in known.items()}
    selection = select(asked, [activity])
    work = partial(_trailing, edges=days.edges)
    parts = list(asked.execution.streams(selection, Span(days.since, days.until), work, ("trailing", days.edges)))
    return {length: np.sum([part[length] for part in parts], axis=0) for length in _LENGTHS}


def _habits(stream: Stream, *, edges: tuple[int, ...], times: int, comparison: Comparison) -> Stickiness:
    return stickiness(habits(stream, 0, edges, times, comparison), len(edges) - 1)


def _trailing(stream: Stream, *, edges: tuple[int, ...]) -> dict[int, Ints]:
    return {length: trailing(stream, 0, edges, length)[_LENGTHS[-1] - 1 :] for length in _LENGTHS}


def _days(question: StickinessQuery, period: Period, asked: Asked) -> list[Ratios]:
    days = by_day(period, _LENGTHS[-1] - 1)
    counts = active_counts(question.activity, days, asked)
    labels = days.labels()[_LENGTHS[-1] - 1 :]
    done = asked.complete(days)[_LENGTHS[-1] - 1 :]
    rows = zip(labels, *(counts[length].tolist() for length in _LENGTHS), done, strict=True)
    return [_ratios(start, [day, week, month], complete, asked) for start, day, week, month, complete in rows]


def _ratios(start: str, counts: list[int], complete: bool, asked: Asked) -> Ratios:
    day, week, month = (asked.shown(count) for count in counts)
    return Ratios(
        start=start,
        daily=day,
        weekly=week,
        monthly=month,
        daily_to_weekly=_share(day, week),
        daily_to_monthly=_share(day, month),
        weekly_to_monthly=_share(week, month),
        complete=complete,
    )


def _histogram(found: Stickiness, asked: Asked) -> tuple[list[Active], float | None]:
    """With the mean. Nothing is told of several buckets in which one is hidden, except how many subjects there are."""
    counts = hide_line(found.counts.tolist(), asked.least)
    every = int(found.counts.sum())
    rows: list[Active] = []
    whole = not asked.hides(every)
    for number, (exactly, least) in enumerate(zip(counts, found.cumulative().tolist(), strict=True), start=1):
        told = None not in counts[number - 1 :] or (number == 1 and whole)
        rows.append(
            Active(
                buckets=number,
                subjects=scaled(exactly, asked.scale),
                at_least=scaled(least, asked.scale) if told else None,
            )
        )
    return rows, None if None in counts else found.mean()


def _share(part: int | None, whole: int | None) -> float | None:
    return part / whole if whole and part is not None else None


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
