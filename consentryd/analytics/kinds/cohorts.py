"""Cohorts side by side (section 1.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import combinations
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Condition, InCohort, seen_lately
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.shape import Text
from consentryd.analytics.source import Source, members_sql


class CohortsQuery(Question):
    """How large cohorts are, and how far each two of them overlap."""

    kind: Literal["cohorts"]
    cohorts: list[Text | Condition] = Field(min_length=1, max_length=4, description="Saved ones by id or name, or definitions.")
    seen_days: int | None = Field(
        None,
        ge=1,
        le=3_650,
        description="Of subjects with an event of any kind in so many days before now; default: all ever seen.",
    )

    @model_validator(mode="after")
    def _of_subjects(self) -> Self:
        if self.where is not None:
            raise ValueError("a cohort's definition says which events count: `where` has no place beside it")
        return self

    def definitions(self) -> list[Condition]:
        """Each as a condition."""
        found = [InCohort(type="cohort", cohort=each) if isinstance(each, str) else each for each in self.cohorts]
        return [seen_lately(each, self.seen_days) for each in found]


class CohortSize(Answered):
    cohort: int
    name: str | None
    subjects: int | None


class Overlap(Answered):
    """Subjects in both, and that by subjects in either; null where these, or those in one of them only, are too few."""

    cohorts: tuple[int, int]
    subjects: int | None
    jaccard: float | None


class CohortsResult(Envelope):
    kind: Literal["cohorts"] = "cohorts"
    cohorts: list[CohortSize]
    overlaps: list[Overlap]

    def rows(self) -> list[dict[str, Any]]:
        """A line for each cohort, and after them one for each two."""
        names = {size.cohort: size.name for size in self.cohorts}
        sizes = [{**size.model_dump(), "other": None, "other_name": None, "jaccard": None} for size in self.cohorts]
        return [*sizes, *(_row(overlap, names) for overlap in self.overlaps)]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """The sizes, and the overlaps."""
        found = {"": [size.model_dump() for size in self.cohorts]}
        names = {size.cohort: size.name for size in self.cohorts}
        return found | {"in both": [_row(overlap, names) for overlap in self.overlaps]}


def _row(overlap: Overlap, names: Mapping[int, str | None]) -> dict[str, Any]:
    one, other = overlap.cohorts
    return {
        "cohort": one,
        "name": names[one],
        "subjects": overlap.subjects,
        "other": other,
        "other_name": names[other],
        "jaccard": overlap.jaccard,
    }


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
            CohortSize(cohort=number, name=each if isinstance(each, str) else None, subjects=asked.shown(sizes[number]))
            for number, each in enumerate(question.cohorts)
        ],
        overlaps=[_overlap(counts, one, other, asked) for one, other in combinations(range(len(question.cohorts)), 2)],
    )


def _memberships_sql(question: CohortsQuery, asked: Asked) -> str:
    """How many subjects are in which cohorts, as a bit for each."""
    source = Source(asked.setting)
    parts = []
    for number, definition in enumerate(question.definitions()):
        parts.append(f"SELECT subject, {1 << number} AS bit FROM ({members_sql(definition, source)})")
    union = " UNION ALL ".join(parts)
    return f"SELECT mask, count(*) AS n FROM (SELECT subject, sum(bit)::BIGINT AS mask FROM ({union}) GROUP BY subject) GROUP BY mask"


def _overlap(counts: Counter[int], one: int, other: int, asked: Asked) -> Overlap:
    both = (1 << one) | (1 << other)
    shared = sum(number for mask, number in counts.items() if mask & both == both)
    either = _size(counts, both)
    apart = (_size(counts, 1 << number) - shared for number in (one, other))
    hidden = any(asked.hides(count) for count in (shared, *apart))
    return Overlap(
        cohorts=(one, other),
        subjects=None if hidden else asked.shown(shared),
        jaccard=None if hidden or not either else shared / either,
    )


def _size(counts: Counter[int], mask: int) -> int:
    return sum(number for found, number in counts.items() if found & mask)
