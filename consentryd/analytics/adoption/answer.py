"""Adopters by eligible subjects, how soon, how much, and for how long; each number of the same subjects."""

from __future__ import annotations

from statistics import fmean
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.analytics.adoption.discovery import discovery_of
from consentryd.analytics.adoption.model import AdoptionQuery, AdoptionResult, CurvePoint, NewAdopters
from consentryd.analytics.adoption.people import daily_counts, people_sql
from consentryd.analytics.adoption.segments import segments_of
from consentryd.analytics.asked import Asked
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period, days_of
from consentryd.analytics.region_view import Span
from consentryd.analytics.retention.answer import answer as answer_retention
from consentryd.analytics.retention.model import RetentionQuery
from consentryd.analytics.suppression import running, steps
from consentryd.analytics.trends.measuring import scaled
from consentryd.model.clock import DAY

_NEVER: Final = 1 << 62


def answer(question: AdoptionQuery, asked: Asked) -> AdoptionResult:
    """Raises `Unprocessable` for the anonymous lane, and for a release that is no day."""
    require_subjects(asked)
    period = asked.period(question.interval)
    span = Span(period.since, period.until)
    people = asked.execution.gather(people_sql(question, period, asked), span)
    used = people.filter(pc.greater_equal(people["uses"], question.uses))
    eligible, adopters = people.num_rows, used.num_rows
    small = asked.hides(adopters) or asked.hides(eligible - adopters) or asked.hides(eligible)
    waits = _known(used["wait"]) / DAY
    gaps = _known(used["gap"]) / DAY
    uses = used["uses"].to_numpy()
    segments = [segments_of(by, people[f"v{number}"], people["uses"], question, asked) for number, by in enumerate(question.by)]
    envelope = asked.envelope(period)
    envelope["suppressed_groups"] = sum(hidden for _, hidden in segments)
    return AdoptionResult(
        **envelope,
        eligible=asked.shown(eligible),
        adopters=None if small else scaled(adopters, asked.scale),
        rate=None if small or not eligible else adopters / eligible,
        uses_mean=None if small or not adopters else fmean(uses.tolist()),
        uses_median=None if small else _median(uses),
        days_to_adopt_mean=None if small or not len(waits) else float(waits.mean()),
        days_to_adopt_median=None if small else _median(waits),
        usage_gap_days_median=None if small else _median(gaps),
        retention=_retention(question, period, asked),
        buckets=_buckets(used, eligible, daily_counts(question, period, asked), period, asked),
        curve=_curve(question, people, asked),
        discovery=None if question.exposed is None else discovery_of(question, question.exposed, period, asked),
        segments=[found for found, _ in segments],
    )


def _buckets(used: pa.Table, eligible: int, daily: list[tuple[int, int]], period: Period, asked: Asked) -> list[NewAdopters]:
    new = used.filter(pc.fill_null(used["is_new"], fill_value=False))["b"].to_numpy()
    counts = np.bincount(new, minlength=period.buckets)[: period.buckets]
    sums = np.cumsum(counts)
    told = running([count if asked.hides(count) else 0 for count in counts.tolist()], asked.least)
    found = []
    for number, (start, done) in enumerate(zip(period.labels(), asked.complete(period), strict=True)):
        (active, users), so_far = daily[number], int(sums[number])
        hidden = asked.hides(users) or asked.hides(active - users)
        quiet = not eligible or eligible < asked.least or asked.hides(so_far) or not told[number]
        found.append(
            NewAdopters(
                start=start,
                subjects=asked.shown(int(counts[number])),
                cumulative_share=None if quiet else so_far / eligible,
                users=None if hidden else scaled(users, asked.scale),
                active=asked.shown(active),
                share=None if hidden or not active else users / active,
                complete=done,
            )
        )
    return found


def _curve(question: AdoptionQuery, people: pa.Table, asked: Asked) -> list[CurvePoint]:
    """Who was observed for k days or more is in the denominator of day k; who had used it after at most k days, in the numerator."""
    seen = people["seen"].cast(pa.int64()).fill_null(-1).to_numpy()
    late = people["late"].cast(pa.int64()).fill_null(_NEVER).to_numpy()
    counts = []
    for day in range(question.curve_days + 1):
        observed = seen >= day * DAY
        counts.append((int(observed.sum()), int((late[observed] <= day * DAY).sum())))
    large = [not any(asked.hides(count) for count in (whole, part, whole - part)) for whole, part in counts]
    told = iter(steps((each for each, shown in zip(counts, large, strict=True) if shown), asked.least))
    return [
        CurvePoint(
            day=day,
            subjects=scaled(whole, asked.scale) if (shown := enough and next(told)) else None,
            share=part / whole if shown and whole else None,
        )
        for day, ((whole, part), enough) in enumerate(zip(counts, large, strict=True))
    ]


def _retention(question: AdoptionQuery, period: Period, asked: Asked) -> list[float | None]:
    part = RetentionQuery(
        kind="retention",
        start=question.feature,
        back=question.feature,
        cohort="first_match",
        interval="week",
        periods=8,
        range=days_of(period),
        where=question.where,
    )
    return answer_retention(part, asked.about(part), entered=period).curve


def _known(column: Any) -> Any:
    return column.drop_null().cast(pa.float64()).to_numpy()


def _median(values: Any) -> float | None:
    return float(np.median(values)) if len(values) else None
