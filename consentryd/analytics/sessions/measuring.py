"""The sessions of every bucket's stream, added up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.kernel.bucket import buckets_of
from consentryd.analytics.kernel.chain import ABSENT, Bools, Ints
from consentryd.analytics.kernel.change import changes
from consentryd.analytics.kernel.engagement import Beats, engaged
from consentryd.analytics.kernel.sessions import Bounce, Cut, Kinds, SessionCounts, Sessions, session_counts, sessions
from consentryd.analytics.kernel.start import taken
from consentryd.analytics.kernel.tie import named, untied
from consentryd.analytics.period import Period
from consentryd.analytics.selecting import select
from consentryd.analytics.sessions import reach
from consentryd.analytics.sessions.model import SessionRules
from consentryd.analytics.stream import NONE, Stream, Values
from consentryd.analytics.streaming import Column, Selection
from consentryd.model.clock import SECOND

_PAGE: Final = 1


class PageCounts(NamedTuple):
    """By page; None: of sessions without one."""

    sessions: Counter[str | None]
    subjects: Counter[str | None]

    @classmethod
    def joined(cls, parts: Sequence[PageCounts]) -> PageCounts:
        sessions_, subjects = Counter[str | None](), Counter[str | None]()
        for part in parts:
            sessions_.update(part.sessions)
            subjects.update(part.subjects)
        return cls(sessions_, subjects)


class SessionPart(NamedTuple):
    """Of one or several streams. `people`: subjects by bucket; `entries` and `exits`: sessions by page, and subjects by page; `engaged`:
    microseconds by bucket. `kinds` int64[4]: subjects with a session of several events, of one, with one that bounced, that did not;
    `bounced` int64[2, buckets]: the last two by bucket."""

    counts: SessionCounts
    subjects: int
    people: Ints
    entries: PageCounts
    exits: PageCounts
    engaged: Ints
    kinds: Ints
    bounced: Ints

    @classmethod
    def joined(cls, parts: Sequence[SessionPart]) -> SessionPart:
        """Of all parts, which have no subject in common; at once, for each step would copy what the one before has."""
        counts, subjects, people, entries, exits, engaged_, kinds, bounced = zip(*parts, strict=True)
        return cls(
            SessionCounts.joined(counts),
            sum(subjects),
            sum(people),
            PageCounts.joined(entries),
            PageCounts.joined(exits),
            sum(engaged_),
            sum(kinds),
            sum(bounced),
        )


def measure(rules: SessionRules, period: Period, asked: Asked) -> SessionPart:
    """The sessions that begin in a period. What begins in it may end after it; what began before is known by looking back."""
    kinds, beats = kinds_of(rules), beats_of(rules)
    work = partial(_part, cut=rules.cut, kinds=kinds, beats=beats, edges=period.edges, bounce=rules.bounce)
    name = ("sessions", rules.cut, kinds, beats, period.edges, rules.bounce)
    parts = reach.streams(events_of(rules, asked), rules.cut, period, asked, work, name, SessionPart.joined)
    return SessionPart.joined(list(parts))


def kinds_of(rules: SessionRules) -> Kinds:
    """What the definitions of `events_of` are."""
    number = {name: 2 + place for place, name in enumerate(rules.optional)}
    return Kinds(page=_PAGE, key=number.get("key"), interactive=0, captured=number.get("captured"))


def beats_of(rules: SessionRules) -> Beats | None:
    """Which of them are heartbeats, and how long a pause between two may be."""
    if rules.heartbeat is None:
        return None
    return Beats(2 + list(rules.optional).index("heartbeat"), round(2 * rules.heartbeat_s * SECOND))


def events_of(rules: SessionRules, asked: Asked, more: Sequence[Column] = ()) -> Selection:
    """The events that sessions are made of, and heartbeats, with what parts them, their path and `more`."""
    matchers = [Matcher(), rules.page, *rules.optional.values()]
    selection = select(asked, matchers, lambda _: [*_columns(rules), *more])
    source = selection.source
    left_out = [Matcher(event=rules.ignore)] if rules.ignore else []
    left_out += [] if rules.background is None else [rules.background]
    if not left_out:
        return selection
    without = " OR ".join(source.matches(matcher) for matcher in left_out)
    kept = f"NOT coalesce({without}, false)"
    if rules.heartbeat is not None:
        kept = f"({kept} OR {source.matches(rules.heartbeat)})"
    return replace(selection, conditions=(*selection.conditions, kept))


def _columns(rules: SessionRules) -> list[Column]:
    columns = [Column("path", "text", "e.path")]
    if rules.by_device:
        columns.append(Column("device", "text", "e.device"))
    if rules.client_sessions:
        columns.append(Column("session", "integer", "e.session"))
    if rules.split_on_campaign:
        columns.append(Column("campaign", "text", "coalesce(e.utm_campaign, e.utm_source)"))
    return columns


class Visits(NamedTuple):
    """Sessions, the stream that their events' positions are of, the one with heartbeats as well, and the positions of the first in it."""

    sessions: Sessions
    stream: Stream
    every: Stream
    rows: Ints


def visits_of(stream: Stream, rules: SessionRules) -> Visits:
    """All sessions of the events that `events_of` gives."""
    return _visits(stream, rules.cut, kinds_of(rules), beats_of(rules))


def _visits(stream: Stream, cut: Cut, kinds: Kinds, beats: Beats | None) -> Visits:
    every, rows = untied(stream, "path"), np.arange(len(stream.code))
    stream = every
    if beats is not None:
        rows = np.flatnonzero(~every.matches(beats.definition))
        stream = taken(every, rows)
    return Visits(sessions(stream, cut, kinds), stream, every, rows)


def first_pages(stream: Stream, cut: Cut) -> Values:
    """The paths of page views, of those of one instant the first by name, rather than none: what a session's first page is called by."""
    return named(stream, "path", stream.matches(_PAGE), cut.apart)


def _part(stream: Stream, *, cut: Cut, kinds: Kinds, beats: Beats | None, edges: tuple[int, ...], bounce: Bounce) -> SessionPart:
    found, stream, every, rows = _visits(stream, cut, kinds, beats)
    inside = (found.start >= edges[0]) & (found.start < edges[-1])
    kept = found.only(inside)
    texts = stream.texts.get("path", [])
    several, bounces = kept.events > 1, kept.bounced(bounce)
    people, bounced, stayed = _people(kept, edges, np.ones_like(bounces), bounces, ~bounces)
    return SessionPart(
        session_counts(kept, edges, bounce),
        int(changes(kept.subject).sum()),
        people,
        _pages(kept.entry, kept.subject, first_pages(stream, cut), texts),
        _pages(kept.exit, kept.subject, stream.values["path"], texts),
        _engaged(every, rows[found.first], found, beats, cut, edges),
        np.array([int(changes(kept.subject[kind]).sum()) for kind in (several, ~several, bounces, ~bounces)]),
        np.stack([bounced, stayed]),
    )


def _engaged(every: Stream, first: Ints, found: Sessions, beats: Beats | None, cut: Cut, edges: tuple[int, ...]) -> Ints:
    """Microseconds by the bucket that sessions begin in."""
    sums = np.zeros(len(edges) - 1, np.int64)
    if beats is not None:
        inside = (found.start >= edges[0]) & (found.start < edges[-1])
        np.add.at(sums, buckets_of(found.start[inside], edges), engaged(every, beats, cut.apart, first)[inside])
    return sums


def _people(found: Sessions, edges: tuple[int, ...], *kinds: Bools) -> Ints:
    """Of each kind of sessions the subjects, by the bucket that they begin in."""
    bucket = buckets_of(found.start, edges)
    counts = np.zeros((len(kinds), len(edges) - 1), np.int64)
    for number, kind in enumerate(kinds):
        own = bucket[kind]
        first = changes(found.subject[kind]) | changes(own)  # sessions are by subject and start
        counts[number] = np.bincount(own[first], minlength=len(edges) - 1)
    return counts


def _pages(rows: Ints, subject: Ints, paths: Any, texts: list[str]) -> PageCounts:
    page = np.full(len(rows), NONE, np.int64)
    known = rows != ABSENT
    page[known] = paths[rows[known]]
    order = np.lexsort((subject, page))
    page, who = page[order], subject[order]
    first = changes(page) | changes(who)
    return PageCounts(_named(page, texts), _named(page[first], texts))


def _named(page: Ints, texts: list[str]) -> Counter[str | None]:
    codes, counts = np.unique(page, return_counts=True)
    return Counter(
        {None if code == NONE else texts[code]: count for code, count in zip(codes.tolist(), counts.tolist(), strict=True)}
    )
