"""A saved cohort over time: how many were in it, entered and left, by what is on record (section 1.4)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

import numpy as np
from pydantic import Field

from consentryd.analytics.asked import Asked
from consentryd.analytics.calendar import Interval
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.membership import Roll, no_cohort
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.shape import Text
from consentryd.analytics.source import Source
from consentryd.analytics.stream import Bools
from consentryd.analytics.suppression import balances
from consentryd.model.clock import DAY


class CohortHistoryQuery(Question):
    """Members of a saved cohort at the end of each bucket, and who entered and left in it; `where` is about the subjects' events."""

    kind: Literal["cohort_history"]
    cohort: Text = Field(description="Its id or name.")
    interval: Interval = "day"


class CohortBucket(Answered):
    """`members` at the end of the bucket, or now; null before the first reckoning, and where they are too few to be shown."""

    start: str
    members: int | None
    entered: int | None
    left: int | None
    complete: bool


class CohortReckoning(Answered):
    """When members were looked up, and by which version of the definition."""

    at: str
    version: int


class CohortHistoryResult(Envelope):
    kind: Literal["cohort_history"] = "cohort_history"
    cohort: str
    buckets: list[CohortBucket]
    reckonings: list[CohortReckoning]

    def rows(self) -> list[dict[str, Any]]:
        return [bucket.model_dump() for bucket in self.buckets]


def answer(question: CohortHistoryQuery, asked: Asked) -> CohortHistoryResult:
    """Raises `Unprocessable` for a cohort that is not there, and for the anonymous lane."""
    require_subjects(asked)
    audience = asked.audiences.get(question.cohort)
    if audience is None:
        raise no_cohort(question.cohort)
    period = asked.period(question.interval)
    roll = audience.roll()
    seen = _visible(roll, question, asked)
    entered, left = roll.entered[seen], roll.left[seen]
    first = roll.reckonings[0].at if roll.reckonings else asked.now + 1

    def members(at: int) -> int:
        return int(np.count_nonzero((entered < at) & (left >= at)))

    ends = list(pairwise(period.edges))
    known = [min(end - 1, asked.now) >= first and start <= asked.now for start, end in ends]
    moves = [tuple(int(np.count_nonzero((when >= start) & (when < end))) for when in (entered, left)) for start, end in ends]
    levels = [members(edge) for edge in period.edges]
    told = balances(levels, moves, asked.least)

    def bucket(number: int) -> dict[str, int | None]:
        counts = (levels[number + 1], *moves[number])
        shown = (told[number].level, told[number].moves, told[number].moves)
        return {
            name: round(count * asked.scale) if known[number] and large else None
            for name, count, large in zip(("members", "entered", "left"), counts, shown, strict=True)
        }

    return CohortHistoryResult(
        **asked.envelope(period),
        cohort=question.cohort,
        buckets=[
            CohortBucket(start=label, complete=complete, **bucket(number))
            for number, (label, complete) in enumerate(zip(period.labels(), asked.complete(period), strict=True))
        ],
        reckonings=[
            CohortReckoning(at=asked.label(each.at), version=each.version)
            for each in roll.reckonings
            if period.since <= each.at < period.until
        ],
    )


def _visible(roll: Roll, question: CohortHistoryQuery, asked: Asked) -> Bools:
    """Which spells are of subjects that may be seen: not erased, not restricted, with an event that counts."""
    source = Source(asked.setting)
    where = "e.subject IS NOT NULL" if question.where is None else f"e.subject IS NOT NULL AND {source.holds(question.where)}"
    listed = ", ".join(map(str, np.unique(roll.subject).tolist()))
    statement = (
        f"SELECT DISTINCT e.subject AS subject FROM {source.sql} SEMI JOIN (SELECT unnest([{listed}]::BIGINT[]) AS subject) m"
        f" ON e.subject = m.subject WHERE {where}"
    )
    found = asked.execution.gather(statement, Span(None, asked.now + DAY))["subject"].to_numpy()
    seen: Bools = np.isin(roll.subject, found)
    return seen
