"""Who stays away, and who returns after having stayed away (section 1.13)."""

from __future__ import annotations

from functools import partial, reduce
from typing import Any, Literal

import numpy as np
from pydantic import Field

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.selecting import select
from consentryd.analytics.statistics.churn import Churn, churn
from consentryd.analytics.stream import Stream
from consentryd.analytics.trends.measuring import scaled
from consentryd.model.clock import DAY

ANYTHING = Matcher()


class ChurnQuery(Question):
    """By bucket: of the subjects active in the `days` before it, the share not active in the `days` from its start."""

    kind: Literal["churn"]
    activity: Matcher = Field(ANYTHING, description="What counts as being active; default: any event.")
    interval: Literal["day", "week", "month"] = "week"
    days: int = Field(30, ge=1, le=365, description="How long without activity is having gone.")


class ChurnBucket(Answered):
    """`pool`: subjects seen before, but not in the `days` before the bucket; `resurrected`: those of the pool active in the bucket."""

    start: str
    active_before: int | None
    churned: int | None
    churn_rate: float | None
    pool: int | None
    resurrected: int | None
    resurrection_rate: float | None
    complete: bool


class ChurnResult(Envelope):
    kind: Literal["churn"] = "churn"
    buckets: list[ChurnBucket]

    def rows(self) -> list[dict[str, Any]]:
        return [bucket.model_dump() for bucket in self.buckets]


def answer(question: ChurnQuery, asked: Asked) -> ChurnResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period(question.interval)
    length = question.days * DAY
    work = partial(_churn, edges=period.edges, length=length)
    span = Span(None, period.edges[-1] + length)
    parts = asked.execution.streams(select(asked, [question.activity]), span, work, ("churn", period.edges, length))
    found = reduce(Churn.merge, parts)
    columns = (found.active, found.churned, found.pool, found.returned)
    counts = [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
    return ChurnResult(
        **asked.envelope(period),
        buckets=[
            _bucket(label, row, edge + length + asked.late <= asked.now, asked)
            for label, row, edge in zip(period.labels(), counts, period.edges, strict=False)
        ],
    )


def _churn(stream: Stream, *, edges: tuple[int, ...], length: int) -> Churn:
    return churn(stream.subject, stream.time, np.array(edges, np.int64), length)


def _bucket(start: str, counts: list[int], done: bool, asked: Asked) -> ChurnBucket:
    before, churned, pool, back = (None if 0 < count < asked.least else scaled(count, asked.scale) for count in counts)
    return ChurnBucket(
        start=start,
        active_before=before,
        churned=churned,
        churn_rate=churned / before if before and churned is not None else None,
        pool=pool,
        resurrected=back,
        resurrection_rate=back / pool if pool and back is not None else None,
        complete=done,
    )
