"""Sessions (section 1.7): where they begin and end, what they were like, and bounces under three named definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np

from consentryd.analytics.kernel.bucket import buckets_of
from consentryd.analytics.kernel.chain import ABSENT, Bools, Ints
from consentryd.analytics.kernel.change import changes
from consentryd.analytics.kernel.hold import present
from consentryd.analytics.kernel.start import taken
from consentryd.analytics.stream import Stream

MINUTE: Final = 60_000_000
ENGAGED: Final = 10_000_000
Bounce = Literal["not_engaged", "single_pageview", "posthog"]


@dataclass(frozen=True, slots=True)
class Cut:
    """Where sessions are cut: at pauses longer than `gap` and where the whole would be longer than `length`, microseconds.

    `closed`: a pause of exactly `gap` cuts too. `apart`: columns whose values have sessions of their own (a device, a client's session id);
    missing values are one more. `campaign`: a column; a value other than the last one there, or the first one, begins a session.
    """

    gap: int | None = 30 * MINUTE
    length: int | None = 24 * 60 * MINUTE
    closed: bool = False
    apart: tuple[str, ...] = ()
    campaign: str | None = None

    def __post_init__(self) -> None:
        if (self.gap is not None and self.gap < 1) or (self.length is not None and self.length < 1):
            raise ValueError("Pauses and lengths are positive.")


class Sections(NamedTuple):
    """A stream in the order of its sessions, and the position of the first event of each; `row`: positions in the stream as it was."""

    stream: Stream
    first: Ints
    row: Ints


def sections(stream: Stream, cut: Cut) -> Sections:
    """Cuts a stream. Events that neither start nor extend a session are left out of it beforehand."""
    row = np.arange(len(stream.code))
    if cut.apart:
        columns = [stream.values[name] for name in cut.apart]
        row = np.lexsort((stream.time, *columns, stream.subject))
        stream = taken(stream, row)
    alone = changes(stream.subject)
    for name in cut.apart:
        alone |= changes(stream.values[name])
    begins = alone | _paused(stream.time, cut)
    if cut.campaign is not None:
        begins |= _new_campaign(stream, cut.campaign, alone)
    if cut.length is not None:
        _shorten(stream.time, begins, cut.length)
    return Sections(stream, np.flatnonzero(begins), row)


def _paused(time: Ints, cut: Cut) -> Bools:
    found = np.zeros(len(time), np.bool_)
    if cut.gap is not None:
        pause = np.diff(time)
        found[1:] = pause >= cut.gap if cut.closed else pause > cut.gap
    return found


def _new_campaign(stream: Stream, name: str, alone: Bools) -> Bools:
    """Events with a campaign other than the last one there, or the first one, of what `alone` parts."""
    column = stream.values[name]
    known = np.flatnonzero(present(column))
    found = np.zeros(len(column), np.bool_)
    found[known] = changes(column[known]) | changes(np.cumsum(alone)[known])
    return found


def _shorten(time: Ints, begins: Bools, length: int) -> None:
    """Cuts sessions at the first event too far from their first, then what is left of them, until none is too long."""
    first = np.flatnonzero(begins)
    end = np.append(first[1:], len(time))
    while len(first):
        long = time[end - 1] - time[first] > length
        first, end = first[long], end[long]
        low, high = first.copy(), end - 1
        while (low < high).any():
            middle = (low + high) >> 1
            inside = time[middle] - time[first] <= length
            low, high = np.where(inside, middle + 1, low), np.where(inside, high, middle)
        begins[low] = True
        first = low


@dataclass(frozen=True, slots=True)
class Kinds:
    """Definitions of the stream: page views, key events, other interactive events and automatically captured ones (each may be none)."""

    page: int
    key: int | None = None
    interactive: int | None = None
    captured: int | None = None


class Sessions(NamedTuple):
    """m sessions by subject and start. Times UTC microseconds.

    `events`, `pages`, `keys`, `others` (interactive, no page view), `captured`: how many; `first`, `last`: positions in the stream of the
    first and last event, `entry`, `exit` of the first and last page view, or `ABSENT`.
    """

    subject: Ints
    start: Ints
    end: Ints
    events: Ints
    pages: Ints
    keys: Ints
    others: Ints
    captured: Ints
    first: Ints
    last: Ints
    entry: Ints
    exit: Ints

    def only(self, wanted: Bools) -> Sessions:
        """Some of the sessions."""
        if wanted.all():
            return self
        rows = np.flatnonzero(wanted)
        return Sessions(*(column.take(rows) for column in self))

    @property
    def duration(self) -> Ints:
        """Microseconds from first to last event."""
        return self.end - self.start

    @property
    def identity(self) -> Ints:
        """A number of 63 bits that subject and start determine."""
        mixed = _mix(self.subject.astype(np.uint64)) ^ self.start.astype(np.uint64)
        found: Ints = (_mix(mixed) >> np.uint64(1)).astype(np.int64)
        return found

    def bounced(self, definition: Bounce = "not_engaged") -> Bools:
        """`not_engaged`: shorter than 10 s, at most one page view, no key event; `single_pageview`: at most one page view and no other
        interactive event; `posthog`: at most one page view, nothing captured automatically, shorter than 10 s."""
        rest = self.others if definition == "single_pageview" else self.keys if definition == "not_engaged" else self.captured
        found: Bools = (self.pages <= 1) & (rest == 0)
        return found if definition == "single_pageview" else found & (self.duration < ENGAGED)


def sessions(stream: Stream, cut: Cut, kinds: Kinds) -> Sessions:
    """The sessions of a stream."""
    part = sections(stream, cut)
    last = np.append(part.first[1:], len(part.row))[: len(part.first)] - 1
    pages = part.stream.matches(kinds.page)
    found = Sessions(
        subject=part.stream.subject[part.first],
        start=part.stream.time[part.first],
        end=part.stream.time[last],
        events=last - part.first + 1,
        pages=_counted(pages, part.first),
        keys=_counted(_matches(part.stream, kinds.key), part.first),
        others=_counted(_matches(part.stream, kinds.interactive) & ~pages, part.first),
        captured=_counted(_matches(part.stream, kinds.captured), part.first),
        first=part.row[part.first],
        last=part.row[last],
        entry=_page(pages, part, part.first, last, from_end=False),
        exit=_page(pages, part, part.first, last, from_end=True),
    )
    order = np.lexsort((found.start, found.subject)) if cut.apart else slice(None)
    return Sessions(*(column[order] for column in found))


def _matches(stream: Stream, definition: int | None) -> Bools:
    return np.zeros(len(stream.code), np.bool_) if definition is None else stream.matches(definition)


def _counted(wanted: Bools, first: Ints) -> Ints:
    if not len(first):
        return np.empty(0, np.int64)
    found: Ints = np.add.reduceat(wanted.astype(np.int64), first)
    return found


def _page(pages: Bools, part: Sections, first: Ints, last: Ints, *, from_end: bool) -> Ints:
    """Position in the stream of each session's first or last page view."""
    places = np.append(np.flatnonzero(pages), len(pages))
    nearest = np.searchsorted(places, last, side="right") - 1 if from_end else np.searchsorted(places, first)
    place = places[nearest]
    inside = (nearest >= 0) & (place >= first) & (place <= last)
    return np.where(inside, np.append(part.row, ABSENT)[np.where(inside, place, 0)], ABSENT)


def _mix(number: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """The finaliser of SplitMix64."""
    number = (number ^ (number >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    number = (number ^ (number >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return number ^ (number >> np.uint64(31))


@dataclass(frozen=True, slots=True)
class SessionCounts:
    """Partial numbers by bucket of the session's start, int64[n] each; `microseconds`: sum of durations. `several`: how many sessions have
    more than one event, `lasting`: the durations of those that took any time, which most may not."""

    sessions: Ints
    events: Ints
    pages: Ints
    bounces: Ints
    microseconds: Ints
    several: int
    lasting: Ints

    @classmethod
    def joined(cls, parts: Sequence[SessionCounts]) -> SessionCounts:
        """Of all parts, which have no subject in common."""
        sums = ("sessions", "events", "pages", "bounces", "microseconds", "several")
        return cls(
            **{name: sum(getattr(part, name) for part in parts) for name in sums},
            lasting=np.concatenate([part.lasting for part in parts]),
        )

    def median(self) -> float | None:
        """Of all durations, microseconds."""
        number = int(self.sessions.sum())
        middle = [place - (number - len(self.lasting)) for place in ((number - 1) // 2, number // 2)]
        if middle[1] < 0 or not number:
            return 0.0 if number else None
        ordered = np.partition(self.lasting, [place for place in middle if place >= 0])
        return float(np.mean([ordered[place] if place >= 0 else 0 for place in middle]))


def session_counts(found: Sessions, edges: Sequence[int], bounce: Bounce = "not_engaged") -> SessionCounts:
    """Adds up the sessions that start within the edges."""
    bucket = buckets_of(found.start, edges)
    inside = (bucket >= 0) & (bucket < len(edges) - 1)
    kept, bucket = found.only(inside), bucket[inside]

    def added(values: Ints | Bools) -> Ints:
        sums = np.zeros(len(edges) - 1, np.int64)
        np.add.at(sums, bucket, values.astype(np.int64))
        return sums

    return SessionCounts(
        sessions=added(np.ones(len(bucket), np.int64)),
        events=added(kept.events),
        pages=added(kept.pages),
        bounces=added(kept.bounced(bounce)),
        microseconds=added(kept.duration),
        several=int((kept.events > 1).sum()),
        lasting=kept.duration[kept.duration > 0],
    )
