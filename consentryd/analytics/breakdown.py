"""Splitting a query's rows into groups (section 1.0)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self, get_args

import orjson
from pydantic import Field, model_validator

from consentryd.analytics.condition import SessionProperty
from consentryd.analytics.shape import PropertyName, Shape, Text
from consentryd.model.event import COLUMNS

MAX_PROPERTIES: Final = 3
MAX_GROUPS: Final = 500
#: How missing and null values are called; an empty text is a group of its own.
NONE_LABEL: Final = "∅ (none)"
OTHER_LABEL: Final = "Other"
_BETWEEN: Final = " / "
REST: Final = "All groups that are not shown, together: what a value that is called `Other` is not."
_OF_SESSIONS: Final = {*get_args(SessionProperty), *(column.name for column in COLUMNS if column.kind == "string")}
EVERYONE_LABEL: Final = "everyone"


class By(Shape):
    """A property whose values are the groups; of a number, its bins."""

    property: PropertyName
    of: Literal["event", "subject", "session"] = "event"
    as_of: Literal["event", "latest"] = Field("event", description="For traits of the subject.")
    edges: list[float] | None = Field(None, min_length=2, max_length=101, description="Bins [a, b), the last one closed.")
    bins: int | None = Field(None, ge=1, le=100, description="So many bins of equal width between smallest and largest value.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        if self.edges is not None and self.bins is not None:
            raise ValueError("takes either `edges` or `bins`")
        if self.edges is not None and any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise ValueError("`edges` must rise")
        if self.of == "session" and self.property not in _OF_SESSIONS:
            raise ValueError(f"`property` of a session is one of {', '.join(get_args(SessionProperty))}, or a column with text")
        return self


class ByProperties(Shape):
    """One to three properties. The `limit` groups with the largest metric over the whole range are shown, the rest is `Other`."""

    by: list[By] = Field(min_length=1, max_length=MAX_PROPERTIES)
    limit: int = Field(25, ge=1, le=MAX_GROUPS)


class ByCohorts(Shape):
    """A group for each saved cohort, and everyone. A subject in two cohorts is in both groups."""

    cohorts: list[Text] = Field(min_length=1, max_length=20)


Breakdown = Annotated[ByProperties | ByCohorts, Field(union_mode="smart")]


def joined(labels: Sequence[str]) -> str:
    """Labels of several properties as one text: a slash between them, or JSON where values with slashes would read as others."""
    text = _BETWEEN.join(labels)
    if len(labels) == 1 or (text.split(_BETWEEN) == list(labels) and not text.startswith('["')):
        return text
    return orjson.dumps(labels).decode()
