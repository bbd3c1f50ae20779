"""Adoption by what subjects are."""

from __future__ import annotations

from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from consentryd.analytics.adoption.model import AdoptionGroup, AdoptionQuery, AdoptionSegments
from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import NONE_LABEL, OTHER_LABEL, By
from consentryd.analytics.suppression import Line, hidden_of
from consentryd.analytics.trends.measuring import scaled


def segments_of(
    by: By, values: pa.ChunkedArray, uses: pa.ChunkedArray, question: AdoptionQuery, asked: Asked
) -> tuple[AdoptionSegments, int]:
    """The groups with most eligible subjects; `Other` takes the rest and the small ones, and others until it is large enough."""
    adopted = pc.cast(pc.greater_equal(uses, question.uses), pa.int64())
    table = pa.table({"v": values.cast(pa.string()), "a": adopted})
    rows = table.group_by("v").aggregate([("a", "sum"), ("a", "count")]).to_pylist()
    ranked = sorted(rows, key=lambda row: (-row["a_count"], row["v"] is None, row["v"] or ""))
    shown = [row for row in ranked[: question.limit] if row["a_count"] >= asked.least]
    rest = [row for row in ranked if row not in shown]
    while shown and asked.hides(sum(row["a_count"] for row in rest)):
        rest.append(shown.pop())
    named = [(NONE_LABEL if row["v"] is None else row["v"], [row]) for row in shown]
    people = sum(row["a_count"] for row in rest)
    large = people >= max(1, asked.least)
    groups = [_Group.of(value, rows) for value, rows in named]
    if large:
        groups.append(_Group.of(OTHER_LABEL, rest, rest=True))
    return AdoptionSegments(property=by.property, groups=_told(groups, asked)), 0 if large else len(rest)


class _Group(NamedTuple):
    value: str
    eligible: int
    adopters: int
    rest: bool = False

    @classmethod
    def of(cls, value: str, rows: list[dict[str, Any]], *, rest: bool = False) -> _Group:
        eligible, adopters = (sum(row[name] for row in rows) for name in ("a_count", "a_sum"))
        return cls(value, eligible, adopters, rest)


def _told(groups: list[_Group], asked: Asked) -> list[AdoptionGroup]:
    """Both adopters and the others add up to those of all groups."""
    adopted = {number: group.adopters for number, group in enumerate(groups)}
    others = {number: group.eligible - group.adopters for number, group in enumerate(groups)}
    hidden = hidden_of([Line(adopted), Line(others)], asked.least)
    return [
        AdoptionGroup(
            value=group.value,
            rest=group.rest,
            eligible=scaled(group.eligible, asked.scale),
            adopters=None if number in hidden else scaled(group.adopters, asked.scale),
            rate=None if number in hidden else group.adopters / group.eligible,
        )
        for number, group in enumerate(groups)
    ]
