"""What rows or subjects a query is about: a tree of AND, OR and NOT over properties, cohorts and deeds (section 1.0)."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from consentryd.analytics.period import Moment
from consentryd.analytics.shape import EventName, PropertyName, Shape, Text

MAX_DEPTH: Final = 5
MAX_VALUES: Final = 1_000
#: Of more digits none is exact in what statements compare with.
_HUGE: Final = 10**38 - 1
#: Nobody does anything as often as that.
MAX_TIMES: Final = 1_000_000_000


def _exact(value: int) -> int:
    if abs(value) > _HUGE:
        raise ValueError("has more than 38 digits")
    return value


Integer = Annotated[int, AfterValidator(_exact)]
Operator = Literal[
    "is", "is_not", "contains", "not_contains", "regex", "gt", "gte", "lt", "lte", "between", "is_set", "is_not_set",
    "before", "after", "semver_eq", "semver_gt", "semver_gte", "semver_lt", "semver_lte",
]  # fmt: skip
Scalar = bool | Integer | float | Text
Number = Integer | float
Compared = Literal["gte", "lte", "eq", "gt", "lt", "between"]

_UNARY: Final = frozenset({"is_set", "is_not_set"})
_NUMERIC: Final = frozenset({"gt", "gte", "lt", "lte", "between"})
_LISTED: Final = frozenset({"is", "is_not", "contains", "not_contains"})


class Comparison(Shape):
    """A value against an operator. `is`, `is_not`, `contains` and `not_contains` take a list: any of its values."""

    op: Operator = "is"
    value: Scalar | list[Scalar] | None = Field(None, description="`between` takes two numbers, both inclusive; `is_set` none.")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        problem = _misfit(self.op, self.value)
        if problem:
            raise ValueError(problem)
        return self

    @property
    def values(self) -> list[Scalar]:
        if self.value is None:
            return []
        return self.value if isinstance(self.value, list) else [self.value]


def _misfit(op: Operator, value: Scalar | list[Scalar] | None) -> str | None:
    values = value if isinstance(value, list) else [] if value is None else [value]
    wanted = 0 if op in _UNARY else 2 if op == "between" else 1
    if op in _UNARY and value is not None:
        return f"`{op}` takes no value"
    if op in _LISTED and isinstance(value, list):
        return None if 1 <= len(values) <= MAX_VALUES else f"`{op}` takes 1 to {MAX_VALUES} values"
    if len(values) != wanted or (isinstance(value, list) and wanted == 1):
        return f"`{op}` takes {wanted} value{'s' if wanted != 1 else ''}"
    if op in _NUMERIC and not all(_is_number(each) for each in values):
        return f"`{op}` takes numbers"
    if op not in _NUMERIC and op not in _LISTED and not all(isinstance(each, str) for each in values):
        return f"`{op}` takes a text"
    return None


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class PropertyIs(Comparison):
    """A property of the event itself."""

    type: Literal["event"] = "event"
    property: PropertyName


class SubjectIs(Comparison):
    """A trait of the subject, from identify calls: as it was when the event happened, or as it is by now."""

    type: Literal["subject"]
    property: PropertyName
    as_of: Literal["event", "latest"] = "event"


SessionProperty = Literal[
    "duration", "events", "page_views", "entry_path", "exit_path", "entry_host", "referrer_host",
    "utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content",
]  # fmt: skip


class SessionIs(Comparison):
    """A property of the session, as the client numbered it, that the event is in. `duration` is in seconds."""

    type: Literal["session"]
    property: SessionProperty


class InCohort(Shape):
    """The subject is a member of a saved cohort, or is not; with `as_of`, was or was not by what is on record."""

    type: Literal["cohort"]
    cohort: Text
    member: bool = True
    as_of: Moment | None = Field(None, description="At this local time, or at the end of this day or period.")


class Window(Shape):
    """`last` n `unit` before now, or local days `from` to `to`; neither: ever.

    `calendar`: the last ones are whole local days, up to and including today, or yesterday. `after` and `before`: relative to the subject's
    own first such event, at most `within` `unit` from it; of subjects without one nothing is true.
    """

    last: int | None = Field(None, ge=1, le=10_000)
    unit: Literal["hour", "day", "week", "month"] = "day"
    calendar: bool = False
    today: bool = Field(True, description="Whether calendar days end with today, or with yesterday.")
    from_: str | None = Field(None, alias="from", pattern=r"^\d{4}-\d{2}-\d{2}$")
    to: str | None = Field(None, pattern=r"^\d{4}-\d{2}-\d{2}$")
    after: Matcher | None = Field(None, description="From the instant of the subject's first such event on, itself included.")
    before: Matcher | None = Field(None, description="Before the subject's first such event.")
    within: int | None = Field(None, ge=1, le=10_000, description="How many `unit` from that event; default: any number.")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [self.last, self.from_ or self.to, self.after, self.before]
        if sum(kind is not None for kind in kinds) > 1:
            raise ValueError("takes one of `last`, `from` and `to`, `after`, and `before`")
        if self.within is not None and self.anchor is None:
            raise ValueError("`within` goes with `after` or `before`")
        return self

    @property
    def anchor(self) -> Matcher | None:
        """The event that it is relative to."""
        return self.after or self.before


class Matcher(Shape):
    """Events by name (one, several, or any) and filters."""

    event: EventName | list[EventName] | None = Field(None, description="A name, several, or null for any event.")
    where: Condition | None = None

    @property
    def names(self) -> list[str]:
        """Empty: any."""
        if self.event is None:
            return []
        return [self.event] if isinstance(self.event, str) else self.event


class Did(Matcher):
    """The subject did this, `times` times, in a window. `times` of 0 with `op` `eq` is: did not."""

    type: Literal["did"]
    op: Compared = "gte"
    times: int = Field(1, ge=0, le=MAX_TIMES)
    upto: int | None = Field(None, ge=0, le=MAX_TIMES, description="The upper bound of `between`.")
    window: Window = Field(default_factory=Window)


class FirstDid(Matcher):
    """The subject's first such event ever lies in the window."""

    type: Literal["first_did"]
    window: Window = Field(default_factory=Window)


class DidThen(Shape):
    """The subject did `first`, then `then` within `within_days`; and not `without` between the two, if given."""

    type: Literal["did_then"]
    first: Matcher
    then: Matcher
    without: Matcher | None = None
    within_days: float = Field(gt=0, le=366)
    window: Window = Field(default_factory=Window)


class DidRegularly(Matcher):
    """In at least `least` of the last `periods` periods before now, the subject did this `times` times or more."""

    type: Literal["did_regularly"]
    period: Literal["day", "week", "month"] = "week"
    periods: int = Field(ge=1, le=120)
    least: int = Field(ge=1, le=120)
    times: int = Field(1, ge=1, le=MAX_TIMES)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.least > self.periods:
            raise ValueError("`least` must not be more than `periods`")
        return self


class Stopped(Matcher):
    """Did this within `history_days` before now, but not within the last `recent_days`."""

    type: Literal["stopped"]
    history_days: int = Field(ge=2, le=3_650)
    recent_days: int = Field(ge=1, le=3_650)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.recent_days >= self.history_days:
            raise ValueError("`recent_days` must be less than `history_days`")
        return self


class Restarted(Stopped):
    """Did this before a gap of `gap_days`, not in the gap, and again within the last `recent_days`."""

    type: Literal["restarted"]  # type: ignore[assignment] # the tag is what makes it another kind
    gap_days: int = Field(ge=1, le=3_650)

    @model_validator(mode="after")
    def _room(self) -> Self:
        if self.recent_days + self.gap_days >= self.history_days:
            raise ValueError("`history_days` must be more than `recent_days` and `gap_days` together")
        return self


class DidMuch(Matcher):
    """A sum, average, minimum or maximum of a number over the subject's events of this kind, in a window."""

    type: Literal["did_much"]
    property: PropertyName
    aggregate: Literal["sum", "avg", "min", "max"] = "sum"
    op: Compared = "gte"
    value: Number
    upto: Number | None = None
    window: Window = Field(default_factory=Window)


class All(Shape):
    type: Literal["and"]
    conditions: list[Condition] = Field(min_length=1, max_length=50)


class Either(Shape):
    type: Literal["or"]
    conditions: list[Condition] = Field(min_length=1, max_length=50)


class Not(Shape):
    type: Literal["not"]
    condition: Condition


def _type_of(value: Any) -> str:
    found = value.get("type", "event") if isinstance(value, dict) else getattr(value, "type", "event")
    return found if isinstance(found, str) else ""


Condition = Annotated[
    Annotated[PropertyIs, Tag("event")]
    | Annotated[SubjectIs, Tag("subject")]
    | Annotated[SessionIs, Tag("session")]
    | Annotated[InCohort, Tag("cohort")]
    | Annotated[Did, Tag("did")]
    | Annotated[FirstDid, Tag("first_did")]
    | Annotated[DidThen, Tag("did_then")]
    | Annotated[DidRegularly, Tag("did_regularly")]
    | Annotated[Stopped, Tag("stopped")]
    | Annotated[Restarted, Tag("restarted")]
    | Annotated[DidMuch, Tag("did_much")]
    | Annotated[All, Tag("and")]
    | Annotated[Either, Tag("or")]
    | Annotated[Not, Tag("not")],
    Discriminator(_type_of),
]
# Models of other modules inherit its fields, and would look for the name `Condition` where they are.
Matcher.model_rebuild()


def depth_of(condition: Any) -> int:
    """How deep a tree is nested; a leaf is 1."""
    if isinstance(condition, All | Either):
        return 1 + max(depth_of(each) for each in condition.conditions)
    if isinstance(condition, Not):
        return 1 + depth_of(condition.condition)
    inner = [condition.where] if isinstance(condition, Matcher) else []
    window = getattr(condition, "window", None)
    if window is not None and window.anchor is not None:
        inner.append(window.anchor.where)
    return 1 + max((depth_of(each) for each in inner if each is not None), default=0)


def narrowed(matcher: Matcher, where: Condition | None) -> Matcher:
    """Those of its events for which a condition holds as well."""
    if matcher.where is None or where is None:
        return Matcher(event=matcher.event, where=matcher.where or where)
    return Matcher(event=matcher.event, where=All(type="and", conditions=[matcher.where, where]))


def seen_lately(condition: Condition, days: int | None) -> Condition:
    """The condition on those subjects only who did anything in so many days before now."""
    if days is None:
        return condition
    return All(type="and", conditions=[Did(type="did", window=Window(last=days, unit="day")), condition])
