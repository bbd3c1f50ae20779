"""Who uses a feature, how soon, how much and for how long (section 1.9)."""

from __future__ import annotations

from datetime import datetime
from statistics import fmean
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from consentryd.analytics.asked import Asked
from consentryd.analytics.calendar import Interval, index_sql, instant_of
from consentryd.analytics.condition import Condition, Matcher
from consentryd.analytics.kinds import retention
from consentryd.analytics.kinds.retention import RetentionQuery
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period, days_of
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.source import Source
from consentryd.analytics.trends.measuring import scaled
from consentryd.analytics.view import HISTORY
from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable

ANYTHING: Final = Matcher()


class AdoptionQuery(Question):
    """Adopters by eligible subjects; new adopters by bucket; uses an adopter; time to adopt; how many still use it later."""

    kind: Literal["adoption"]
    feature: Matcher = Field(description="What using the feature is.")
    eligible: Literal["active"] | Condition = Field(
        "active", description="Subjects active in the range, or those of whom this holds."
    )
    activity: Matcher = Field(ANYTHING, description="What being active is; default: any event.")
    uses: int = Field(1, ge=1, description="So many uses in the range make an adopter.")
    signup: Matcher | None = Field(None, description="From when time to adopt is counted; default: the subject's first event.")
    released: str | None = Field(None, pattern=r"^\d{4}-\d{2}-\d{2}$", description="Local day the feature came out.")
    interval: Interval = "day"


class NewAdopters(Answered):
    """Subjects whose first use ever is in the bucket, and the running share of the eligible."""

    start: str
    subjects: int | None
    cumulative_share: float | None
    complete: bool


class AdoptionResult(Envelope):
    """`rate` is at most 1: only eligible subjects count as adopters. Times are days; null without adopters."""

    kind: Literal["adoption"] = "adoption"
    eligible: int | None
    adopters: int | None
    rate: float | None
    uses_mean: float | None
    uses_median: float | None
    days_to_adopt_mean: float | None
    days_to_adopt_median: float | None
    usage_gap_days_median: float | None
    retention: list[float | None] = Field(
        description="Share of new users who use it again in the k-th week after their first use."
    )
    buckets: list[NewAdopters]

    def rows(self) -> list[dict[str, Any]]:
        return [bucket.model_dump() for bucket in self.buckets]


def answer(question: AdoptionQuery, asked: Asked) -> AdoptionResult:
    """Raises `Unprocessable` for the anonymous lane, and for a release after the range."""
    require_subjects(asked)
    period = asked.period(question.interval)
    people = asked.execution.gather(_people_sql(question, period, asked), Span(period.since, period.until))
    used = people.filter(pc.greater_equal(people["uses"], question.uses))
    eligible, adopters = people.num_rows, used.num_rows
    small = 0 < adopters < asked.least or 0 < eligible < asked.least
    waits = _known(used["wait"]) / DAY
    gaps = _known(used["gap"]) / DAY
    uses = used["uses"].to_numpy()
    return AdoptionResult(
        **asked.envelope(period),
        eligible=None if 0 < eligible < asked.least else scaled(eligible, asked.scale),
        adopters=None if small else scaled(adopters, asked.scale),
        rate=None if small or not eligible else adopters / eligible,
        uses_mean=None if small or not adopters else fmean(uses.tolist()),
        uses_median=None if small else _median(uses),
        days_to_adopt_mean=None if small or not len(waits) else float(waits.mean()),
        days_to_adopt_median=None if small else _median(waits),
        usage_gap_days_median=None if small else _median(gaps),
        retention=_retention(question, period, asked),
        buckets=_buckets(used, eligible, period, asked),
    )


def _people_sql(question: AdoptionQuery, period: Period, asked: Asked) -> str:
    """A row for each eligible subject: `uses` in the range, `b` the bucket of the first use ever, `wait` and `gap` in microseconds."""
    source = Source(asked.setting, HISTORY)
    where = "true" if question.where is None else source.holds(question.where)
    feature = f"({source.matches(question.feature)} AND {where})"
    signup = "true" if question.signup is None else source.matches(question.signup)
    within = f"(t >= {period.since} AND t < {period.until})"
    eligible = f"count(*) FILTER (active AND {within}) > 0"
    active = f"({source.matches(question.activity)} AND {where})"
    if question.eligible != "active":
        active, eligible = source.holds(question.eligible), "bool_or(active)"
    rows = (
        f"SELECT e.subject, epoch_us(e.time) AS t, {feature} AS used, {signup} AS joined, {active} AS active"
        f" FROM {source.sql} WHERE e.subject IS NOT NULL"
    )
    since = f"greatest(min(t) FILTER (joined), {_released(question, asked)})"
    span = f"max(t) FILTER (used AND {within}) - min(t) FILTER (used AND {within})"
    return (
        f"SELECT count(*) FILTER (used AND {within}) AS uses, {index_sql('min(t) FILTER (used)', period.edges)} AS b,"
        f" min(t) FILTER (used) >= {period.since} AND min(t) FILTER (used) < {period.until} AS is_new,"
        f" CASE WHEN min(t) FILTER (used) >= {since} THEN min(t) FILTER (used) - {since} END AS wait,"
        f" {span} AS reach, CASE WHEN uses > 1 THEN reach / (uses - 1) END AS gap"
        f" FROM ({rows}) GROUP BY subject HAVING {eligible}"
    )


def _released(question: AdoptionQuery, asked: Asked) -> int:
    if question.released is None:
        return 0
    try:
        return instant_of(datetime.fromisoformat(question.released), asked.zone)
    except ValueError:
        raise Unprocessable("invalid", "`released` is no day of the calendar.", field="released") from None


def _buckets(used: pa.Table, eligible: int, period: Period, asked: Asked) -> list[NewAdopters]:
    new = used.filter(pc.fill_null(used["is_new"], fill_value=False))["b"].to_numpy()
    counts = np.bincount(new, minlength=period.buckets)[: period.buckets]
    shares = np.cumsum(counts) / eligible if eligible else None
    return [
        NewAdopters(
            start=start,
            subjects=None if 0 < count < asked.least else scaled(int(count), asked.scale),
            cumulative_share=None if shares is None or eligible < asked.least else float(shares[number]),
            complete=done,
        )
        for number, (start, count, done) in enumerate(zip(period.labels(), counts, asked.complete(period), strict=True))
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
    return retention.answer(part, asked.about(part)).curve


def _known(column: Any) -> Any:
    return column.drop_null().cast(pa.float64()).to_numpy()


def _median(values: Any) -> float | None:
    return float(np.median(values)) if len(values) else None
