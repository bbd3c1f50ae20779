"""New, returning, resurrecting and dormant subjects (section 1.5)."""

from __future__ import annotations

from functools import partial, reduce
from typing import Any, Literal

from pydantic import Field

from consentryd.analytics.account import streams_of
from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.kernel.lifecycle import DORMANT, NEW, RESURRECTING, RETURNING, Lifecycle, lifecycle, phases
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period, earlier
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.rollup.activity import lifecycle_of
from consentryd.analytics.selecting import select
from consentryd.analytics.stream import Stream
from consentryd.analytics.suppression import Line, hidden_of
from consentryd.analytics.trends.measuring import scaled

ANYTHING = Matcher()


class LifecycleQuery(Question):
    """By bucket, which subjects are here for the first time, again, after a pause, or not any more."""

    kind: Literal["lifecycle"]
    activity: Matcher = Field(ANYTHING, description="What counts as being here; default: any event.")
    interval: Literal["day", "week", "month"] = "day"
    count_by: Literal["subject", "group"] = Field("subject", description="Who is here: a subject, or anybody of an account.")


class Phase(Answered):
    """`dormant` is negative. It is null in a bucket that is not over, when nobody is known to stay away."""

    start: str
    new: int | None
    returning: int | None
    resurrecting: int | None
    dormant: int | None
    quick_ratio: float | None = Field(description="(new + resurrecting) / dormant; null if nobody went dormant.")
    complete: bool


class LifecycleResult(Envelope):
    kind: Literal["lifecycle"] = "lifecycle"
    buckets: list[Phase]

    def rows(self) -> list[dict[str, Any]]:
        return [bucket.model_dump() for bucket in self.buckets]


def answer(question: LifecycleQuery, asked: Asked) -> LifecycleResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period(question.interval)
    before = earlier(period, 1)
    edges = (before.since, *period.edges)
    accounts = question.count_by == "group"
    found = None if accounts else lifecycle_of(question.activity, edges, asked)
    if found is None:
        work = partial(_counts, edges=edges)
        selection = select(asked, [question.activity], accounts=accounts)
        parts = streams_of(asked, selection, Span(None, period.until), work, ("lifecycle", edges))
        found = reduce(Lifecycle.merge, parts)
    return LifecycleResult(**asked.envelope(period), buckets=_buckets(found, period, asked))


def _counts(stream: Stream, *, edges: tuple[int, ...]) -> Lifecycle:
    return lifecycle(phases(stream, 0, edges), len(edges) - 2)


def _buckets(found: Lifecycle, period: Period, asked: Asked) -> list[Phase]:
    counts = found.counts.tolist()
    hidden = hidden_of(_lines(counts), asked.least)
    rows = zip(period.labels(), counts, found.quick_ratio(), asked.complete(period), strict=True)
    return [
        _phase(
            start,
            [None if (number, status) in hidden else scaled(count, asked.scale) for status, count in enumerate(row)],
            ratio,
            complete=done,
        )
        for number, (start, row, ratio, done) in enumerate(rows)
    ]


def _lines(counts: list[list[int]]) -> list[Line]:
    """Who is here in a bucket is new, returning or resurrecting, and in the next one returning or dormant."""
    parts = [statuses for _ in counts for statuses in ((RETURNING, DORMANT), (NEW, RETURNING, RESURRECTING))]
    return [
        Line({(place // 2, status): counts[place // 2][status] for status in statuses}) for place, statuses in enumerate(parts)
    ]


def _phase(start: str, shown: list[int | None], ratio: float | None, *, complete: bool) -> Phase:
    dormant = shown[DORMANT] if complete else None
    return Phase(
        start=start,
        new=shown[NEW],
        returning=shown[RETURNING],
        resurrecting=shown[RESURRECTING],
        dormant=None if dormant is None else -dormant,
        quick_ratio=ratio if complete and None not in shown else None,
        complete=complete,
    )
