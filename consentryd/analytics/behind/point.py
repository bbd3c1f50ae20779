"""A number of an answer, as one names it to ask who is behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import Field, TypeAdapter

from consentryd.analytics.kernel.paths import MAX_STEPS
from consentryd.analytics.prediction.model import TENTHS
from consentryd.analytics.shape import Shape, Text
from consentryd.analytics.statistics.rfm import QUINTILES
from consentryd.model.error import Unprocessable

MAX_SUBJECTS: Final = 10_000
ChurnPart = Literal["active_before", "churned", "pool", "returned", "resurrected"]
AdoptionPart = Literal["eligible", "adopters"]
DiscoveryPart = Literal["exposed", "used", "used_again"]
RevenuePart = Literal["paying", "active"]
Part = Literal[ChurnPart, AdoptionPart, DiscoveryPart, RevenuePart, "transition", "excluded", "mixed"]
Score = Annotated[int, Field(ge=1, le=QUINTILES)]


class Point(Shape):
    """A number of the answer; what is numbered counts from 0.

    Trends: `series`, perhaps `bucket`; funnels: `step`, perhaps `dropped`, of a trend the `bucket` of entry, or `part` excluded; lifecycle:
    `bucket`, `status`; retention: `cohort`, `period`; of trends, funnels and retention the `group` of a breakdown, as it is written.
    Predictions: `tenth`, 0 the likeliest; RFM: `segment`, perhaps the one it `was`, or the scores `recency`, `frequency`, perhaps
    `monetary`; segmentation: all of it, a `channel`, or a `dimension` and its `value`; churn: `bucket`, `part`; adoption: `part`, those of
    `discovery` among them; revenue: `part` paying or active, perhaps `bucket`; experiments: `arm`, or `part` mixed; attribution: `channel`;
    stickiness: `buckets`, in exactly how many, or `at_least`; cohorts: `cohort`, or `cohorts` for those in all of these. Paths: `from` and
    `to` as an edge has them, or with `part` transition as a transition has them; `node` and its `step`, which counts from 1 there; or
    `items`, a whole path. Sessions: all, perhaps of a `bucket`, with a first page `entry`, a last page `exit`, or `bounced`. Web: all
    visitors, a `goal`, or a `dimension` and its `value`.
    """

    series: str | None = Field(None, pattern="^[A-Z]$")
    group: Text | None = None
    rest: bool | None = Field(None, description="Whether `group` is the rest; default: if there is one, `Other` is.")
    bucket: int | None = Field(None, ge=0)
    step: int | None = Field(None, ge=0)
    dropped: bool = False
    status: Literal["new", "returning", "resurrecting", "dormant"] | None = None
    cohort: int | None = Field(None, ge=0)
    period: int | None = Field(None, ge=0)
    tenth: int | None = Field(None, ge=0, lt=TENTHS)
    segment: Text | None = None
    was: Text | None = None
    recency: Score | None = None
    frequency: Score | None = None
    monetary: Score | None = None
    channel: Text | None = None
    buckets: int | None = Field(None, ge=1)
    at_least: int | None = Field(None, ge=1)
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


class Form(NamedTuple):
    """The fields of a point that it must have, and those that it may have."""

    needed: frozenset[str]
    allowed: frozenset[str] = frozenset()


def _form(needed: str, allowed: str = "") -> Form:
    return Form(frozenset(needed.split()), frozenset(allowed.split()))


#: The forms of the points that a kind of query has.
FORMS: Final[Mapping[str, tuple[Form, ...]]] = {
    "trends": (_form("series", "bucket"), _form("series group", "bucket rest")),
    "funnel": (_form("step", "dropped bucket"), _form("step group", "dropped rest"), _form("part"), _form("part group", "rest")),
    "retention": (_form("cohort period"), _form("cohort period group", "rest")),
    "lifecycle": (_form("bucket status"),),
    "stickiness": (_form("buckets"), _form("at_least")),
    "churn": (_form("bucket part"),),
    "cohorts": (_form("cohort"), _form("cohorts")),
    "segmentation": (_form("", "channel"), _form("dimension", "value")),
    "rfm": (_form("segment", "was"), _form("recency frequency", "monetary")),
    "adoption": (_form("part"),),
    "experiment": (_form("arm"), _form("part")),
    "attribution": (_form("channel"),),
    "revenue": (_form("part", "bucket"),),
    "prediction": (_form("tenth"),),
    "paths": (_form("from_ to", "part"), _form("node step"), _form("items")),
    "sessions": (_form("", "bucket entry exit bounced"),),
    "web": (_form(""), _form("goal"), _form("dimension", "value")),
}


def check_point(kind: str, point: Point) -> None:
    """Raises `Unprocessable` for a point with other fields than the numbers of a kind of query have."""
    given = {name for name, field in Point.model_fields.items() if getattr(point, name) != field.default}
    forms = FORMS.get(kind, ())
    if any(form.needed <= given <= form.needed | form.allowed for form in forms):
        return
    told = ", or ".join(_told(form) for form in forms)
    message = f"A number of `{kind}` is named by {told}." if forms else f"Of `{kind}` no subjects are listed."
    raise Unprocessable("invalid", message, field="point")


def _told(form: Form) -> str:
    needed, allowed = (
        [f"`{name.rstrip('_')}`" for name in Point.model_fields if name in names] for names in (form.needed, form.allowed)
    )
    return " and ".join(needed or ["nothing"]) + (f" (perhaps {', '.join(allowed)})" if allowed else "")
