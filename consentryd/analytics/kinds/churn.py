"""Who stays away, and who returns after having stayed away (section 1.13)."""

from __future__ import annotations

from functools import partial, reduce
from math import ceil
from typing import Annotated, Any, Final, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period
from consentryd.analytics.quantile import quantile
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.selecting import select
from consentryd.analytics.source import Source
from consentryd.analytics.statistics.churn import Churn, churn
from consentryd.analytics.stream import Stream
from consentryd.analytics.trends.measuring import scaled
from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable

ANYTHING: Final = Matcher()
MAX_DAYS: Final = 365
_USUAL: Final = 0.9


class ChurnQuery(Question):
    """By bucket: of the subjects active in the `days` before it, the share not active in the `days` from its start."""

    kind: Literal["churn"]
    activity: Matcher = Field(ANYTHING, description="What counts as being active; default: any event.")
    interval: Literal["day", "week", "month"] = "week"
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)] | Literal["usual"] = Field(
        30,
        description="How long without activity is having gone; `usual`: what 9 of 10 pauses of those who came again are no longer than.",
    )


class ChurnBucket(Answered):
    """`pool`: subjects seen before, but not in the `days` before the bucket; `returned`: those of the pool active in the bucket, the
    resurrection rate's part of it. `resurrected`: all who were active in it after `days` without, also where they ended within it."""

    start: str
    active_before: int | None
    churned: int | None
    churn_rate: float | None
    pool: int | None
    returned: int | None
    resurrected: int | None
    resurrection_rate: float | None
    complete: bool


class ChurnResult(Envelope):
    kind: Literal["churn"] = "churn"
    days: int
    buckets: list[ChurnBucket]

    def rows(self) -> list[dict[str, Any]]:
        return [bucket.model_dump() for bucket in self.buckets]


def answer(question: ChurnQuery, asked: Asked) -> ChurnResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period(question.interval)
    length = length_of(question, period, asked)
    work = partial(_churn, edges=period.edges, length=length)
    span = Span(None, period.edges[-1] + length)
    parts = asked.execution.streams(select(asked, [question.activity]), span, work, ("churn", period.edges, length))
    found = reduce(Churn.merge, parts)
    columns = (found.active, found.churned, found.pool, found.returned, found.resurrected)
    counts = [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    return ChurnResult(
        **asked.envelope(period),
        days=length // DAY,
        buckets=[
            _bucket(label, row, edge + length + asked.late <= asked.now, asked)
            for label, row, edge in zip(period.labels(), counts, period.edges, strict=False)
        ],
    )


def length_of(question: ChurnQuery, period: Period, asked: Asked) -> int:
    """How long without activity is having gone, microseconds. Raises `Unprocessable` where the data does not tell what is usual."""
    return (_usual_days(question, period, asked) if question.days == "usual" else question.days) * DAY


def _churn(stream: Stream, *, edges: tuple[int, ...], length: int) -> Churn:
    return churn(stream.subject, stream.time, np.array(edges, np.int64), length)


def _usual_days(question: ChurnQuery, period: Period, asked: Asked) -> int:
    """The p90 (type 7) of the days from one active UTC day to the next, of all up to the range's end, rounded up.

    Raises `Unprocessable` where nobody came again, and where it is more than a year.
    """
    source = Source(asked.setting)
    conditions = ["e.subject IS NOT NULL", source.matches(question.activity)]
    if question.where is not None:
        conditions.append(source.holds(question.where))
    days = f"SELECT DISTINCT e.subject AS s, epoch_us(e.time) // {DAY} AS d FROM {source.sql} WHERE {' AND '.join(conditions)}"
    pauses = f"SELECT d - lag(d) OVER (PARTITION BY s ORDER BY d) AS pause FROM ({days})"
    statement = f"SELECT pause, count(*) AS n FROM ({pauses}) WHERE pause IS NOT NULL GROUP BY pause"
    table = asked.execution.gather(statement, Span(None, period.until))
    found = quantile(table["pause"].cast(pa.float64()).to_numpy(), table["n"].cast(pa.int64()).to_numpy(), _USUAL)
    if found is None or found > MAX_DAYS:
        raise Unprocessable("invalid", "The data tells no usual pause of a year or less: name the days.", field="days")
    return ceil(found)


def _bucket(start: str, counts: list[int], done: bool, asked: Asked) -> ChurnBucket:
    """Who is left of too few is as few as they are: with the one the other is hidden."""
    before, churned, pool, returned, resurrected = counts
    shown = {
        "active_before": _shown(before, before, asked),
        "churned": _shown(churned, before, asked),
        "pool": _shown(pool, pool, asked),
        "returned": _shown(returned, pool, asked),
        "resurrected": _shown(resurrected, resurrected, asked),
    }
    return ChurnBucket(
        start=start,
        **shown,
        churn_rate=churned / before if before and shown["churned"] is not None else None,
        resurrection_rate=returned / pool if pool and shown["returned"] is not None else None,
        complete=done,
    )


def _shown(part: int, whole: int, asked: Asked) -> int | None:
    """Null where the part or the rest of the whole is too small."""
    hidden = any(asked.hides(count) for count in (part, whole - part, whole))
    return None if hidden else scaled(part, asked.scale)
