"""Answering sessions: how many, how long, how deep, where they begin and end, and how many bounce by a named definition."""

from __future__ import annotations

from typing import Final

from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import OTHER_LABEL
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period
from consentryd.analytics.sessions.measuring import PageCounts, SessionPart, measure
from consentryd.analytics.sessions.model import (
    PageCount,
    SessionBucket,
    SessionRules,
    SessionsQuery,
    SessionsResult,
    SessionTotals,
)
from consentryd.analytics.statistics.array import Ints
from consentryd.analytics.suppression import Line, hidden_of, largest
from consentryd.analytics.trends.measuring import scaled
from consentryd.model.clock import SECOND

_EDGES: Final = 25


def answer(question: SessionsQuery, asked: Asked) -> SessionsResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period(question.interval)
    found = measure(question, period, asked)
    return SessionsResult(
        **asked.envelope(period),
        bounce=question.bounce,
        totals=totals_of(found, question, asked),
        buckets=_buckets(found, question, period, asked),
        entries=top_pages(found.entries, asked),
        exits=top_pages(found.exits, asked),
    )


def totals_of(found: SessionPart, rules: SessionRules, asked: Asked) -> SessionTotals:
    """Over the whole range."""
    engaged = rules.heartbeat is not None
    counts = found.counts
    if asked.hides(found.subjects):
        return SessionTotals(**dict.fromkeys(SessionTotals.model_fields))
    sessions_ = int(counts.sessions.sum())
    several, single, bounced, stayed = (asked.hides(count) for count in found.kinds.tolist())
    return SessionTotals(
        sessions=scaled(sessions_, asked.scale),
        subjects=scaled(found.subjects, asked.scale),
        events_per_session=_per(int(counts.events.sum()), sessions_),
        pages_per_session=_per(int(counts.pages.sum()), sessions_),
        mean_duration_s=_per(counts.microseconds.sum() / SECOND, sessions_),
        median_duration_s=None if (median := counts.median()) is None else median / SECOND,
        mean_duration_of_several_events_s=_per(counts.microseconds.sum() / SECOND, 0 if several or single else counts.several),
        mean_engaged_s=_per(found.engaged.sum() / SECOND, sessions_) if engaged else None,
        bounce_rate=_per(int(counts.bounces.sum()), 0 if bounced or stayed else sessions_),
    )


def _buckets(found: SessionPart, rules: SessionRules, period: Period, asked: Asked) -> list[SessionBucket]:
    counts = found.counts
    columns = (counts.sessions, counts.events, counts.pages, counts.microseconds, counts.bounces, found.engaged)
    rows = enumerate(zip(period.labels(), asked.complete(period), *(column.tolist() for column in columns), strict=True))
    people, bounced, stayed = (_line(row) for row in (found.people, *found.bounced))
    hidden = hidden_of([people], asked.least)
    quiet = hidden_of([people, bounced, stayed], asked.least)
    shown = [
        _bucket(start, numbers, asked, complete=complete, hidden=number in hidden, quiet=number in quiet)
        for number, (start, complete, *numbers) in rows
    ]
    return shown if rules.heartbeat is not None else [bucket.model_copy(update={"engaged_s": None}) for bucket in shown]


def _line(people: Ints) -> Line:
    return Line(dict(enumerate(people.tolist())), shared=True)


def _bucket(start: str, counts: list[int], asked: Asked, *, complete: bool, hidden: bool, quiet: bool) -> SessionBucket:
    """`hidden`: the sessions are of too few subjects, however many they are, or would tell those that are. `quiet`: bounces are."""
    number, events, pages, microseconds, bounces, engaged = counts
    shown = 0 if hidden else number
    return SessionBucket(
        start=start,
        sessions=None if hidden else scaled(number, asked.scale),
        events_per_session=_per(events, shown),
        pages_per_session=_per(pages, shown),
        duration_s=_per(microseconds / SECOND, shown),
        engaged_s=_per(engaged / SECOND, shown),
        bounce_rate=_per(bounces, 0 if quiet else shown),
        complete=complete,
    )


def top_pages(pages: PageCounts, asked: Asked) -> list[PageCount]:
    """The pages most often there. Those of too few subjects are in `Other` with all that are not shown: they would follow from the whole."""
    named = {path: count for path, count in pages.sessions.items() if path is not None}
    ranked = sorted(named, key=lambda path: (-named[path], path))
    shown, rest = largest(ranked, pages.subjects, _EDGES, asked.least, pages.subjects[None])
    found = [PageCount(path=path, sessions=scaled(named[path], asked.scale)) for path in shown]
    if rest:
        found.append(PageCount(path=OTHER_LABEL, sessions=scaled(sum(named[path] for path in rest), asked.scale), rest=True))
    return found


def _per(total: float, number: int) -> float | None:
    return float(total) / number if number else None
