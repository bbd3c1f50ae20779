"""Sessions: how many, how long, how deep, where they begin and end, and how many bounce by a named definition (section 1.7)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial, reduce
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from pydantic import Field

from consentryd.analytics.asked import Asked
from consentryd.analytics.calendar import Interval
from consentryd.analytics.condition import Matcher, PropertyIs
from consentryd.analytics.kernel.bucket import buckets_of
from consentryd.analytics.kernel.chain import ABSENT, Ints
from consentryd.analytics.kernel.change import changes
from consentryd.analytics.kernel.sessions import Bounce, Cut, Kinds, SessionCounts, Sessions, session_counts, sessions
from consentryd.analytics.kernel.tie import untied
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.selecting import select
from consentryd.analytics.shape import EventName
from consentryd.analytics.source import Source
from consentryd.analytics.stream import NONE, Stream
from consentryd.analytics.streaming import Column, Selection
from consentryd.analytics.trends.measuring import scaled
from consentryd.model.clock import DAY, MINUTE, SECOND

PAGES: Final = Matcher(where=PropertyIs(property="type", value="page"))
#: Sessions of at most this length may begin before the range and reach into it.
LOOK_BACK: Final = DAY
_EDGES: Final = 25


class SessionRules(Question):
    """How sessions are told apart."""

    gap_minutes: float = Field(30, ge=1 / 60, le=24 * 60, description="A pause longer than this ends a session.")
    gap_closed: bool = Field(False, description="A pause of exactly that long ends one too.")
    max_hours: float = Field(24, ge=1 / 60, le=168, description="A session is not longer than this.")
    client_sessions: bool = Field(False, description="Also part events by the client's session id.")
    by_device: bool = Field(False, description="Also part events of different classes of devices.")
    split_on_campaign: bool = Field(False, description="Another campaign begins a session.")
    ignore: list[EventName] = Field(default=[], max_length=100, description="Events that neither begin nor extend a session.")
    bounce: Bounce = Field("not_engaged", description="Which sessions bounce; the result names the definition.")
    page: Matcher = Field(PAGES, description="What a page view is.")
    key_event: Matcher | None = Field(None, description="What makes a session engaged at once.")

    @property
    def cut(self) -> Cut:
        return Cut(
            gap=round(self.gap_minutes * MINUTE),
            length=round(self.max_hours * 60 * MINUTE),
            closed=self.gap_closed,
            apart=(*(["device"] if self.by_device else []), *(["session"] if self.client_sessions else [])),
            campaign="campaign" if self.split_on_campaign else None,
        )


class SessionsQuery(SessionRules):
    """Sessions by the bucket they begin in."""

    kind: Literal["sessions"]
    interval: Interval = "day"


class SessionBucket(Answered):
    """`duration_s` is the mean of all sessions, those of a single event included with 0."""

    start: str
    sessions: int | None
    events_per_session: float | None
    pages_per_session: float | None
    duration_s: float | None
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
    bounce_rate: float | None


class PageCount(Answered):
    path: str
    sessions: int


class SessionsResult(Envelope):
    kind: Literal["sessions"] = "sessions"
    bounce: Bounce
    totals: SessionTotals
    buckets: list[SessionBucket]
    entries: list[PageCount] = Field(description="First pages of sessions.")
    exits: list[PageCount] = Field(description="Last pages of sessions.")

    def rows(self) -> list[dict[str, Any]]:
        return [bucket.model_dump() for bucket in self.buckets]


class PageCounts(NamedTuple):
    """By page."""

    sessions: Counter[str]
    subjects: Counter[str]

    def merge(self, other: PageCounts) -> PageCounts:
        return PageCounts(self.sessions + other.sessions, self.subjects + other.subjects)


class SessionPart(NamedTuple):
    """Of one or several streams. `people`: subjects by bucket; `entries` and `exits`: sessions by page, and subjects by page."""

    counts: SessionCounts
    subjects: int
    people: Ints
    entries: PageCounts
    exits: PageCounts

    def merge(self, other: SessionPart) -> SessionPart:
        return SessionPart(
            self.counts.merge(other.counts),
            self.subjects + other.subjects,
            self.people + other.people,
            self.entries.merge(other.entries),
            self.exits.merge(other.exits),
        )


def answer(question: SessionsQuery, asked: Asked) -> SessionsResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period(question.interval)
    found = measure(question, period, asked)
    return SessionsResult(
        **asked.envelope(period),
        bounce=question.bounce,
        totals=totals_of(found, asked),
        buckets=_buckets(found, period, asked),
        entries=top_pages(found.entries, asked),
        exits=top_pages(found.exits, asked),
    )


def measure(rules: SessionRules, period: Period, asked: Asked) -> SessionPart:
    """The sessions that begin in a period. What begins in it may end after it; what began before is known by looking back."""
    kinds = kinds_of(rules)
    work = partial(_part, cut=rules.cut, kinds=kinds, edges=period.edges, bounce=rules.bounce)
    span = Span(period.since - LOOK_BACK, period.until + LOOK_BACK)
    parts = asked.execution.streams(
        events_of(rules, asked), span, work, ("sessions", rules.cut, kinds, period.edges, rules.bounce)
    )
    return reduce(SessionPart.merge, parts)


def kinds_of(rules: SessionRules) -> Kinds:
    """What the definitions of `events_of` are."""
    return Kinds(page=1, key=None if rules.key_event is None else 2, interactive=0, captured=None)


def events_of(rules: SessionRules, asked: Asked, more: Sequence[Column] = ()) -> Selection:
    """The events that sessions are made of, with what parts them, their path and `more`."""
    matchers = [Matcher(), rules.page, rules.key_event or rules.page]
    selection = select(asked, matchers, lambda source: [*_columns(rules, source), *more])
    if not rules.ignore:
        return selection
    without = f"NOT {selection.source.matches(Matcher(event=rules.ignore))}"
    return replace(selection, conditions=(*selection.conditions, without))


def totals_of(found: SessionPart, asked: Asked) -> SessionTotals:
    """Over the whole range."""
    counts = found.counts
    if asked.hides(found.subjects):
        return SessionTotals(**dict.fromkeys(SessionTotals.model_fields))
    sessions_ = int(counts.sessions.sum())
    return SessionTotals(
        sessions=scaled(sessions_, asked.scale),
        subjects=scaled(found.subjects, asked.scale),
        events_per_session=_per(counts.events.sum(), sessions_),
        pages_per_session=_per(counts.pages.sum(), sessions_),
        mean_duration_s=_per(counts.microseconds.sum() / SECOND, sessions_),
        median_duration_s=_median(counts.durations),
        mean_duration_of_several_events_s=_per(counts.several.sum() / SECOND, len(counts.several)),
        bounce_rate=_per(counts.bounces.sum(), sessions_),
    )


def _columns(rules: SessionRules, source: Source) -> list[Column]:
    del source
    columns = [Column("path", "text", "e.path")]
    if rules.by_device:
        columns.append(Column("device", "text", "e.device"))
    if rules.client_sessions:
        columns.append(Column("session", "integer", "e.session"))
    if rules.split_on_campaign:
        columns.append(Column("campaign", "text", "coalesce(e.utm_campaign, e.utm_source)"))
    return columns


def _part(stream: Stream, *, cut: Cut, kinds: Kinds, edges: tuple[int, ...], bounce: Bounce) -> SessionPart:
    stream = untied(stream, "path")
    found = sessions(stream, cut, kinds)
    inside = (found.start >= edges[0]) & (found.start < edges[-1])
    kept = Sessions(*(column[inside] for column in found))
    paths, texts = stream.values["path"], stream.texts.get("path", [])
    return SessionPart(
        session_counts(kept, edges, bounce),
        len(np.unique(kept.subject)),
        _people(kept, edges),
        _pages(kept.entry, kept.subject, paths, texts),
        _pages(kept.exit, kept.subject, paths, texts),
    )


def _people(found: Sessions, edges: tuple[int, ...]) -> Ints:
    """Subjects by the bucket that their sessions begin in."""
    bucket = buckets_of(found.start, edges)
    first = changes(found.subject) | changes(bucket)  # sessions are by subject and start
    return np.bincount(bucket[first], minlength=len(edges) - 1)


def _pages(rows: Ints, subject: Ints, paths: Any, texts: list[str]) -> PageCounts:
    known = rows != ABSENT
    page, who = paths[rows[known]].astype(np.int64), subject[known]
    order = np.lexsort((who, page))
    page, who = page[order], who[order]
    first = changes(page) | changes(who)
    return PageCounts(_named(page, texts), _named(page[first], texts))


def _named(page: Ints, texts: list[str]) -> Counter[str]:
    codes, counts = np.unique(page, return_counts=True)
    return Counter({texts[code]: count for code, count in zip(codes.tolist(), counts.tolist(), strict=True) if code != NONE})


def _buckets(found: SessionPart, period: Period, asked: Asked) -> list[SessionBucket]:
    counts = found.counts
    columns = (counts.sessions, counts.events, counts.pages, counts.microseconds, counts.bounces, found.people)
    rows = zip(period.labels(), asked.complete(period), *(column.tolist() for column in columns), strict=True)
    return [
        _bucket(start, [number, events, pages, microseconds, bounces], asked, complete=complete, hidden=asked.hides(people))
        for start, complete, number, events, pages, microseconds, bounces, people in rows
    ]


def _bucket(start: str, counts: list[int], asked: Asked, *, complete: bool, hidden: bool) -> SessionBucket:
    """`hidden`: the sessions are of too few subjects, however many they are."""
    number, events, pages, microseconds, bounces = counts
    shown = 0 if hidden else number
    return SessionBucket(
        start=start,
        sessions=None if hidden else scaled(number, asked.scale),
        events_per_session=_per(events, shown),
        pages_per_session=_per(pages, shown),
        duration_s=_per(microseconds / SECOND, shown),
        bounce_rate=_per(bounces, shown),
        complete=complete,
    )


def top_pages(pages: PageCounts, asked: Asked) -> list[PageCount]:
    """The pages most often there, those of too few subjects left out."""
    ranked = sorted(pages.sessions.items(), key=lambda item: (-item[1], item[0]))[:_EDGES]
    return [
        PageCount(path=path, sessions=scaled(count, asked.scale)) for path, count in ranked if pages.subjects[path] >= asked.least
    ]


def _per(total: float, number: int) -> float | None:
    return float(total) / number if number else None


def _median(values: Ints) -> float | None:
    return float(np.median(values)) / SECOND if len(values) else None
