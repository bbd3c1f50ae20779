"""Trends as they are asked, and as they are answered."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, PlainSerializer, ValidationInfo, field_validator, model_validator

from consentryd.analytics.breakdown import REST, Breakdown, ByCohorts, joined
from consentryd.analytics.calendar import Interval
from consentryd.analytics.condition import Matcher
from consentryd.analytics.period import CompareKind
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.shape import PropertyName, Shape, Text
from consentryd.analytics.trends.formula import Formula

LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MAX_SERIES: Final = len(LETTERS)

Math = Literal[
    "total", "unique", "weekly_active", "monthly_active", "unique_sessions", "unique_groups",
    "per_user_avg", "per_user_min", "per_user_max", "per_user_median", "per_user_p75", "per_user_p90", "per_user_p95", "per_user_p99",
    "sum", "avg", "min", "max", "median", "p75", "p90", "p95", "p99", "sum_per_user", "unique_values",
    "first_time_event", "first_match", "revenue", "ratio",
]  # fmt: skip
OF_PROPERTY: Final = frozenset({
    "sum", "avg", "min", "max", "median", "p75", "p90", "p95", "p99", "sum_per_user", "unique_values",
})  # fmt: skip
#: Maths that a formula may take as 0 where a group is missing; others are null there.
COUNTS: Final = frozenset({
    "total", "unique", "weekly_active", "monthly_active", "unique_sessions", "unique_groups", "unique_values", "sum",
    "first_time_event", "first_match", "revenue",
})  # fmt: skip

Money = Annotated[Decimal, PlainSerializer(str, return_type=str)]
Value = int | float | Money | None


class Measure(Matcher):
    """What is counted or measured, and how."""

    math: Math = "total"
    property: PropertyName | None = Field(None, description="The number or value measured, where the math needs one.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.math in OF_PROPERTY and self.property is None:
            raise ValueError(f"`{self.math}` needs a `property`")
        if self.property is not None and self.math not in OF_PROPERTY:
            raise ValueError(f"`{self.math}` takes no `property`")
        return self


class Series(Measure):
    """A measure with a name. `ratio` divides it by another: its own `numerator` by `denominator`."""

    name: Text | None = None
    numerator: Measure | None = None
    denominator: Measure | None = None

    @model_validator(mode="after")
    def _ratio(self) -> Self:
        both = self.numerator is not None and self.denominator is not None
        if (self.math == "ratio") != both or (self.numerator is None) != (self.denominator is None):
            raise ValueError("`ratio` needs `numerator` and `denominator`, and no other math has them")
        for part in (self.numerator, self.denominator):
            if part is not None and part.math == "ratio":
                raise ValueError("a ratio is not made of ratios")
        return self


class NamedFormula(Shape):
    expression: Text = Field(description="Such as `A / B`; the letters are the series in order.")
    name: Text | None = None


class Trends(Question):
    """Events over time: counts, distinct subjects, sums and distributions, by group, with formulas and a comparison."""

    kind: Literal["trends"] = "trends"
    series: list[Series] = Field(min_length=1, max_length=MAX_SERIES)
    interval: Interval = "day"
    count_by: Literal["subject", "group"] = Field(
        "subject", description="Who is counted where subjects are: subjects, or the accounts that they act for."
    )
    breakdown: Breakdown | None = None
    compare: CompareKind | None = None
    compare_partial: Literal["elapsed", "whole"] = Field(
        "elapsed", description="Cut the comparison of a range that is not over at the part that has passed."
    )
    formulas: list[NamedFormula] = Field(default=[], max_length=20)
    display: Literal["series", "total", "cumulative"] = "series"
    smoothing: int | None = Field(None, ge=2, le=90, description="Trailing mean of so many buckets, over those there are.")

    @field_validator("formulas")
    @classmethod
    def _are_formulas(cls, formulas: list[NamedFormula], info: ValidationInfo) -> list[NamedFormula]:
        """Not where the series are wrong already, by which the letters go."""
        for number, formula in enumerate(formulas if "series" in info.data else (), start=1):
            try:
                Formula(formula.expression, LETTERS[: len(info.data["series"])])
            except ValueError as error:
                raise ValueError(f"the expression of number {number} {error}") from None
        return formulas

    @model_validator(mode="after")
    def _fits(self) -> Self:
        distinct = {"total", "unique", "sum", "revenue", "first_time_event", "first_match"}
        if self.display == "cumulative" and any(each.math not in distinct for each in self.series):
            raise ValueError("cumulative takes total, unique, sum, revenue and first-time series only")
        if self.count_by == "group" and (isinstance(self.breakdown, ByCohorts) or self.lane != "consented"):
            raise ValueError("accounts are of known subjects, and in no saved cohort")
        return self


class Point(Answered):
    """A bucket: its local start, its value, whether its time is over."""

    start: str
    value: Value
    complete: bool


class Line(Answered):
    """A series, or a formula over series, of one group; `compared_to` is its comparison, aligned by bucket.

    `group` is null for all rows together, which is counted on its own: groups may share subjects.
    """

    series: str
    name: str
    group: list[str] | None
    rest: bool = Field(False, description=REST)
    values: list[Point]
    total: Value
    total_semantics: str
    compared_to: list[Point] | None = None
    compared_total: Value = None
    non_numeric: int | None = Field(None, description="Rows whose value is no number, left out of the measure.")


class TrendsResult(Envelope):
    kind: Literal["trends"] = "trends"
    series: list[Line]
    suppressed_cells: int = 0
    groups_overlap: bool = False

    def rows(self) -> list[dict[str, Any]]:
        return [row for line in self.series for row in _rows(line)]


def _rows(line: Line) -> Iterator[dict[str, Any]]:
    group = None if line.group is None else joined(line.group)
    head = {"series": line.series, "name": line.name, "group": group}
    for number, point in enumerate(line.values):
        row = {**head, "start": point.start, "value": point.value, "complete": point.complete}
        if line.compared_to is not None:
            row["compared_to"] = line.compared_to[number].value
        yield row | {"rest": line.rest}
    if not line.values:
        before = {} if line.compared_to is None else {"compared_total": line.compared_total}
        yield {**head, "total": line.total, **before, "rest": line.rest}
