"""A number of an answer, as one names it to ask who is behind it."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter

from consentryd.analytics.kernel.paths import MAX_STEPS
from consentryd.analytics.prediction.model import TENTHS
from consentryd.analytics.shape import Shape, Text

MAX_SUBJECTS: Final = 10_000
ChurnPart = Literal["active_before", "churned", "pool", "returned"]
AdoptionPart = Literal["eligible", "adopters"]
Part = Literal[ChurnPart, AdoptionPart, "paying", "transition"]


class Point(Shape):
    """A number of the answer; what is numbered counts from 0.

    Trends: `series`, perhaps `bucket`; funnels: `step`, perhaps `dropped`, of a trend the `bucket` of entry; lifecycle: `bucket`, `status`;
    retention: `cohort`, `period`; of these three the `group` of a breakdown, as it is written. Predictions: `tenth`, 0 the likeliest; RFM:
    `segment`, perhaps the one it `was`; segmentation: all of it, a `channel`, or a `dimension` and its `value`; churn: `bucket`, `part`;
    adoption: `part`; revenue: `part` paying, perhaps `bucket`; experiments: `arm`; attribution: `channel`; stickiness: `buckets`, in exactly
    how many; cohorts: `cohort`, or `cohorts` for those in all of these. Paths: `from` and `to` as an edge has them, or with `part`
    transition as a transition has them; `node` and its `step`, which counts from 1 there; or `items`, a whole path. Sessions: all, perhaps
    of a `bucket`, with a first page `entry`, a last page `exit`, or `bounced`. Web: all visitors, a `goal`, or a `dimension` and its
    `value`.
    """

    series: str | None = Field(None, pattern="^[A-Z]$")
    group: Text | None = None
    bucket: int | None = Field(None, ge=0)
    step: int | None = Field(None, ge=0)
    dropped: bool = False
    status: Literal["new", "returning", "resurrecting", "dormant"] | None = None
    cohort: int | None = Field(None, ge=0)
    period: int | None = Field(None, ge=0)
    tenth: int | None = Field(None, ge=0, lt=TENTHS)
    segment: Text | None = None
    was: Text | None = None
    channel: Text | None = None
    buckets: int | None = Field(None, ge=1)
    cohorts: tuple[int, ...] | None = Field(None, min_length=2, max_length=4)
    part: Part | None = None
    arm: Text | None = None
    from_: Text | None = Field(None, alias="from")
    to: Text | None = None
    node: Text | None = None
    items: Annotated[tuple[Text, ...], Field(min_length=1, max_length=MAX_STEPS)] | None = None
    entry: Text | None = None
    exit: Text | None = None
    bounced: bool | None = None
    goal: Text | None = None
    dimension: Text | None = None
    value: Text | None = None


POINT: Final = TypeAdapter(Point)
