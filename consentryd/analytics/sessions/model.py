"""Sessions as they are asked about, and as they are answered."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import Field

from consentryd.analytics.breakdown import REST
from consentryd.analytics.calendar import Interval
from consentryd.analytics.condition import Matcher, PropertyIs
from consentryd.analytics.kernel.sessions import Bounce, Cut
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.shape import EventName
from consentryd.model.clock import MINUTE

PAGES: Final = Matcher(where=PropertyIs(property="type", value="page"))


class SessionRules(Question):
    """How sessions are told apart."""

    gap_minutes: float = Field(30, ge=1 / 60, le=24 * 60, description="A pause longer than this ends a session.")
    gap_closed: bool = Field(False, description="A pause of exactly that long ends one too.")
    max_hours: float = Field(24, ge=1 / 60, le=168, description="A session is not longer than this.")
    client_sessions: bool = Field(False, description="Also part events by the client's session id.")
    by_device: bool = Field(False, description="Also part events of different classes of devices.")
    split_on_campaign: bool = Field(False, description="Another campaign begins a session.")
    ignore: list[EventName] = Field(default=[], max_length=100, description="Events that neither begin nor extend a session.")
    background: Matcher | None = Field(
        None, description="The same by what they are, such as those that a server or a timer sends."
    )
    heartbeat: Matcher | None = Field(
        None,
        description="Events sent while somebody is there: engaged time is made of them; they neither begin nor extend a session.",
    )
    heartbeat_s: float = Field(
        15, ge=1, le=3_600, description="How often they are sent; a pause of more than twice as long is not engaged."
    )
    bounce: Bounce = Field("not_engaged", description="Which sessions bounce; the result names the definition.")
    page: Matcher = Field(PAGES, description="What a page view is.")
    key_event: Matcher | None = Field(None, description="What makes a session engaged at once.")
    autocapture: Matcher | None = Field(
        None, description="What was captured automatically; sessions with it do not bounce by `posthog`."
    )

    @property
    def cut(self) -> Cut:
        return Cut(
            gap=round(self.gap_minutes * MINUTE),
            length=round(self.max_hours * 60 * MINUTE),
            closed=self.gap_closed,
            apart=(*(["device"] if self.by_device else []), *(["session"] if self.client_sessions else [])),
            campaign="campaign" if self.split_on_campaign else None,
        )

    @property
    def optional(self) -> dict[str, Matcher]:
        """What else is told apart, by name; after any event (definition 0) and page views (1) these are definitions 2, 3 ..."""
        wanted = {"key": self.key_event, "captured": self.autocapture, "heartbeat": self.heartbeat}
        return {name: matcher for name, matcher in wanted.items() if matcher is not None}


class SessionsQuery(SessionRules):
    """Sessions by the bucket they begin in."""

    kind: Literal["sessions"]
    interval: Interval = "day"


class SessionBucket(Answered):
    """`duration_s` is the mean of all sessions, those of a single event included with 0; `engaged_s` the same of the time in which
    heartbeats came, null where none are asked for."""

    start: str
    sessions: int | None
    events_per_session: float | None
    pages_per_session: float | None
    duration_s: float | None
    engaged_s: float | None = None
    bounce_rate: float | None
    complete: bool


class SessionTotals(Answered):
    """All null where there are fewer subjects than may be shown."""

    sessions: int | None
    subjects: int | None
    events_per_session: float | None
    pages_per_session: float | None
    mean_duration_s: float | None
    median_duration_s: float | None
    mean_duration_of_several_events_s: float | None
    mean_engaged_s: float | None = None
    bounce_rate: float | None


class PageCount(Answered):
    path: str
    sessions: int
    rest: bool = Field(False, description=REST)


class SessionsResult(Envelope):
    kind: Literal["sessions"] = "sessions"
    bounce: Bounce
    totals: SessionTotals
    buckets: list[SessionBucket]
    entries: list[PageCount] = Field(description="First pages of sessions.")
    exits: list[PageCount] = Field(description="Last pages of sessions.")

    def rows(self) -> list[dict[str, Any]]:
        return [bucket.model_dump() for bucket in self.buckets]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """By bucket, and the pages that sessions begin and end with."""
        found = {"": self.rows()}
        for name, pages in (("first pages", self.entries), ("last pages", self.exits)):
            found[name] = [page.model_dump() for page in pages]
        return found
