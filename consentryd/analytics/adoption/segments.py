"""Adoption by what subjects are."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from consentryd.analytics.adoption.model import AdoptionGroup, AdoptionQuery, AdoptionSegments
from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import NONE_LABEL, OTHER_LABEL, By
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
    groups = [_group(NONE_LABEL if row["v"] is None else row["v"], [row], asked) for row in shown]
    people = sum(row["a_count"] for row in rest)
    large = people >= max(1, asked.least)
    return AdoptionSegments(
        property=by.property, groups=[*groups, _group(OTHER_LABEL, rest, asked, rest=True)] if large else groups
    ), (0 if large else len(rest))


def _group(value: str, rows: list[dict[str, Any]], asked: Asked, *, rest: bool = False) -> AdoptionGroup:
    eligible, adopters = (sum(row[name] for row in rows) for name in ("a_count", "a_sum"))
    hidden = asked.hides(adopters) or asked.hides(eligible - adopters)
    return AdoptionGroup(
        value=value,
        rest=rest,
        eligible=scaled(eligible, asked.scale),
        adopters=None if hidden else scaled(adopters, asked.scale),
        rate=None if hidden else adopters / eligible,
    )
