"""Adoption as it is asked about, and as it is answered (section 1.9)."""

from __future__ import annotations

from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from consentryd.analytics.breakdown import REST, By
from consentryd.analytics.calendar import Interval
from consentryd.analytics.condition import Condition, Matcher
from consentryd.analytics.latest import check_latest
from consentryd.analytics.question import Answered, Envelope, Question

ANYTHING: Final = Matcher()


class AdoptionQuery(Question):
    """Adopters by eligible subjects; new adopters by bucket; uses an adopter; time to adopt; how many still use it later."""

    kind: Literal["adoption"]
    feature: Matcher = Field(description="What using the feature is.")
    eligible: Literal["active"] | Condition = Field(
        "active", description="Subjects active in the range, or those of whom this holds."
    )
    activity: Matcher = Field(ANYTHING, description="What being active is; default: any event.")
    uses: int = Field(1, ge=1, description="So many uses in the range make an adopter.")
    signup: Matcher | None = Field(None, description="From when time to adopt is counted; default: the subject's first event.")
    released: str | None = Field(None, pattern=r"^\d{4}-\d{2}-\d{2}$", description="Local day the feature came out.")
    exposed: Matcher | None = Field(
        None, description="What being shown the feature is, for the way from there to using it again."
    )
    again_days: int = Field(7, ge=1, le=90, description="How soon after a use another one counts as using it again.")
    curve_days: int = Field(30, ge=1, le=366, description="How far the adoption curve goes.")
    by: list[By] = Field(default=[], max_length=10, description="What subjects are told apart by, each on its own.")
    limit: int = Field(25, ge=1, le=500, description="Groups shown; the rest is `Other`.")
    interval: Interval = "day"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_latest(self.by)
        return self


class NewAdopters(Answered):
    """`subjects`: whose first use ever is in the bucket, and the running share of the eligible. `users`: active subjects that used it in the
    bucket, by those `active` in it: the daily share of a day."""

    start: str
    subjects: int | None
    cumulative_share: float | None
    users: int | None
    active: int | None
    share: float | None
    complete: bool


class CurvePoint(Answered):
    """Of the eligible subjects observed for so many days since the later of sign-up and release: the share that had used it by then."""

    day: int
    subjects: int | None
    share: float | None


class Discovery(Answered):
    """Subjects shown the feature in the range, those who used it then, and those who used it again soon after a use."""

    exposed: int | None
    used: int | None
    used_again: int | None


class AdoptionGroup(Answered):
    value: str
    eligible: int
    adopters: int | None
    rate: float | None
    rest: bool = Field(False, description=REST)


class AdoptionSegments(Answered):
    """A subject is in one group: that of its last value in the range, of traits the last known."""

    property: str
    groups: list[AdoptionGroup]


class AdoptionResult(Envelope):
    """`rate` is at most 1: only eligible subjects count as adopters. Times are days; null without adopters."""

    kind: Literal["adoption"] = "adoption"
    eligible: int | None
    adopters: int | None
    rate: float | None
    uses_mean: float | None
    uses_median: float | None
    days_to_adopt_mean: float | None
    days_to_adopt_median: float | None
    usage_gap_days_median: float | None = Field(description="Of each adopter's median gap between uses in the range.")
    retention: list[float | None] = Field(
        description="Of those whose first use is in the range, the share that uses it again in the k-th calendar week after."
    )
    buckets: list[NewAdopters]
    curve: list[CurvePoint]
    discovery: Discovery | None
    segments: list[AdoptionSegments]

    def rows(self) -> list[dict[str, Any]]:
        return [bucket.model_dump() for bucket in self.buckets]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """By bucket, by days since sign-up or release, by weeks since the first use, from being shown it on, and by group."""
        found = {"by bucket": self.rows(), "adoption curve": [point.model_dump() for point in self.curve]}
        if self.retention:
            found["share that uses it again, by weeks"] = [{str(week): share for week, share in enumerate(self.retention)}]
        if self.discovery is not None:
            found["shown, used, used again"] = [self.discovery.model_dump()]
        return found | {each.property: [group.model_dump() for group in each.groups] for each in self.segments}
