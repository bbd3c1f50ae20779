"""People by what they did and what they are, and by recency, frequency and money (section 1.16); cohorts side by side (section 1.4)."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import Any, Final, Literal

import numpy as np
import pyarrow as pa
from pydantic import Field

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Condition, InCohort, Matcher
from consentryd.analytics.field import field_of
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.shape import PropertyName, Text
from consentryd.analytics.source import Source, members_sql
from consentryd.analytics.trends.measuring import scaled

_QUINTILES: Final = 5

#: Names of (recency, frequency) scores, 1 low to 5 high: the first that fits.
_SEGMENTS: Final = (
    ("champions", 5, 5, 4, 5),
    ("loyal", 3, 5, 4, 5),
    ("promising", 4, 5, 2, 3),
    ("new", 4, 5, 1, 1),
    ("needs attention", 3, 3, 2, 3),
    ("about to sleep", 3, 3, 1, 1),
    ("cannot lose", 1, 2, 5, 5),
    ("at risk", 1, 2, 3, 4),
    ("hibernating", 1, 2, 1, 2),
)


class RfmQuery(Question):
    """Subjects by quintile of how lately, how often and for how much they did something in the range."""

    kind: Literal["rfm"]
    event: Matcher = Field(description="What is counted, such as an order.")
    value: PropertyName = Field("revenue", description="The number that money is.")


class RfmCell(Answered):
    """Scores 1 to 5; equal values share the lower one."""

    recency: int
    frequency: int
    monetary: int
    segment: str
    subjects: int | None


class RfmResult(Envelope):
    kind: Literal["rfm"] = "rfm"
    subjects: int | None
    cells: list[RfmCell]
    segments: dict[str, int | None]

    def rows(self) -> list[dict[str, Any]]:
        return [cell.model_dump() for cell in self.cells]


class CohortsQuery(Question):
    """How large cohorts are, and how far each two of them overlap."""

    kind: Literal["cohorts"]
    cohorts: list[Text | Condition] = Field(min_length=1, max_length=4, description="Saved ones by id or name, or definitions.")


class CohortSize(Answered):
    cohort: int
    name: str | None
    subjects: int | None


class Overlap(Answered):
    """Subjects in both, and that by subjects in either."""

    cohorts: tuple[int, int]
    subjects: int | None
    jaccard: float | None


class CohortsResult(Envelope):
    kind: Literal["cohorts"] = "cohorts"
    cohorts: list[CohortSize]
    overlaps: list[Overlap]

    def rows(self) -> list[dict[str, Any]]:
        return [size.model_dump() for size in self.cohorts]


def answer_rfm(question: RfmQuery, asked: Asked) -> RfmResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period("day")
    source = Source(asked.setting)
    conditions = [source.matches(question.event), "e.subject IS NOT NULL"]
    if question.where is not None:
        conditions.append(source.holds(question.where))
    statement = (
        f"SELECT max(epoch_us(e.time)) AS r, count(*) AS f, coalesce(fsum({field_of(question.value).number}), 0) AS m"
        f" FROM {source.sql} WHERE {' AND '.join(conditions)} GROUP BY e.subject"
    )
    people = asked.execution.gather(statement, Span(period.since, period.until))
    scores = (
        np.stack([_scores(people[name]) for name in ("r", "f", "m")], axis=1) if people.num_rows else np.empty((0, 3), np.int64)
    )
    found = Counter(map(tuple, scores.tolist()))
    names: Counter[str] = Counter()
    for (recency, frequency, _), count in found.items():
        names[segment_of(recency, frequency)] += count
    cells = [
        RfmCell(recency=r, frequency=f, monetary=m, segment=segment_of(r, f), subjects=_shown(count, asked))
        for (r, f, m), count in sorted(found.items(), reverse=True)
    ]
    return RfmResult(
        **asked.envelope(period, interval=False),
        subjects=_shown(people.num_rows, asked),
        cells=cells,
        segments={name: _shown(count, asked) for name, count in names.most_common()},
    )


def segment_of(recency: int, frequency: int) -> str:
    """The name of a pair of scores."""
    for name, low_r, high_r, low_f, high_f in _SEGMENTS:
        if low_r <= recency <= high_r and low_f <= frequency <= high_f:
            return name
    raise AssertionError((recency, frequency))


def answer_cohorts(question: CohortsQuery, asked: Asked) -> CohortsResult:
    """Raises `Unprocessable` for a cohort that is not there."""
    require_subjects(asked)
    period = asked.period("day")
    table = asked.execution.gather(_memberships_sql(question, asked), Span(period.since, period.until))
    counts: Counter[int] = Counter()
    for mask, number in zip(table["mask"].to_pylist(), table["n"].to_pylist(), strict=True):
        counts[mask] += number
    sizes = [_size(counts, 1 << number) for number in range(len(question.cohorts))]
    return CohortsResult(
        **asked.envelope(period, interval=False),
        cohorts=[
            CohortSize(cohort=number, name=each if isinstance(each, str) else None, subjects=_shown(sizes[number], asked))
            for number, each in enumerate(question.cohorts)
        ],
        overlaps=[_overlap(counts, one, other, asked) for one, other in combinations(range(len(question.cohorts)), 2)],
    )


def _memberships_sql(question: CohortsQuery, asked: Asked) -> str:
    """How many subjects are in which cohorts, as a bit for each."""
    source = Source(asked.setting)
    parts = []
    for number, each in enumerate(question.cohorts):
        definition = InCohort(type="cohort", cohort=each) if isinstance(each, str) else each
        parts.append(f"SELECT subject, {1 << number} AS bit FROM ({members_sql(definition, source)})")
    union = " UNION ALL ".join(parts)
    return f"SELECT mask, count(*) AS n FROM (SELECT subject, sum(bit)::BIGINT AS mask FROM ({union}) GROUP BY subject) GROUP BY mask"


def _overlap(counts: Counter[int], one: int, other: int, asked: Asked) -> Overlap:
    both = (1 << one) | (1 << other)
    shared = sum(number for mask, number in counts.items() if mask & both == both)
    either = _size(counts, both)
    hidden = 0 < shared < asked.least
    return Overlap(
        cohorts=(one, other), subjects=_shown(shared, asked), jaccard=None if hidden or not either else shared / either
    )


def _size(counts: Counter[int], mask: int) -> int:
    return sum(number for found, number in counts.items() if found & mask)


def _scores(column: Any) -> Any:
    """Quintiles 1 to 5 by rank; equal values get the score of the first of them."""
    values = column.cast(pa.float64()).to_numpy()
    below = np.searchsorted(np.sort(values), values, side="left")
    return below * _QUINTILES // len(values) + 1


def _shown(count: int, asked: Asked) -> int | None:
    return None if 0 < count < asked.least else scaled(count, asked.scale)
