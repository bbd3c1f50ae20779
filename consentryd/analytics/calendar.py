"""Civil time as UTC instants: the edges of buckets in a time zone, worked out once per query.

Instants are integers, UTC microseconds. A day on which clocks change has 23 or 25 hours and is one bucket; an hour that is repeated gives
two buckets, for an hour bucket is known by its UTC start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Final, Literal
from zoneinfo import ZoneInfo

from consentryd.model.clock import micros_of, moment_of

Interval = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]

MICROSECOND: Final = timedelta(microseconds=1)
_MONTHS: Final[dict[str, int]] = {"month": 1, "quarter": 3, "year": 12}
_DAYS: Final[dict[str, int]] = {"day": 1, "week": 7}
_MINUTES: Final[dict[str, int]] = {"minute": 1, "hour": 60}


def instant_of(local: datetime, zone: ZoneInfo) -> int:
    """The instant of a local time without zone: the first, if clocks show it twice; the change itself, if they skip it."""
    return micros_of(local.replace(tzinfo=zone).astimezone(UTC))


def local_of(instant: int, zone: ZoneInfo) -> datetime:
    """The local time, without zone, that clocks show at an instant."""
    return moment_of(instant).astimezone(zone).replace(tzinfo=None)


def label_of(instant: int, zone: ZoneInfo) -> str:
    """ISO 8601 with the zone's offset: `2026-03-29T00:00:00+01:00`."""
    return moment_of(instant).astimezone(zone).isoformat()


def floor(local: datetime, interval: Interval, week_start: int) -> datetime:
    """Start of the bucket that a local time is in."""
    if interval in _MINUTES:
        return local.replace(minute=local.minute if interval == "minute" else 0, second=0, microsecond=0)
    day = local.date()
    if interval == "week":
        day -= timedelta(days=(day.isoweekday() - week_start) % 7)
    elif interval in _MONTHS:
        day = day.replace(day=1, month=(day.month - 1) // _MONTHS[interval] * _MONTHS[interval] + 1)
    return datetime.combine(day, datetime.min.time())


def step(local: datetime, interval: Interval, count: int = 1) -> datetime:
    """A bucket's start, `count` buckets on. Minutes and hours step over local time without zone."""
    if interval in _MONTHS:
        return datetime.combine(add_months(local.date(), count * _MONTHS[interval]), local.time())
    if interval in _DAYS:
        return local + timedelta(days=count * _DAYS[interval])
    return local + timedelta(minutes=count * _MINUTES[interval])


def add_months(day: date, months: int) -> date:
    """The same day of another month, or its last day if it has no such day."""
    total = day.year * 12 + day.month - 1 + months
    first = date(total // 12, total % 12 + 1, 1)
    last = (first.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    return first.replace(day=min(day.day, last.day))


def edges(start: datetime, end: datetime, interval: Interval, zone: ZoneInfo, limit: int) -> tuple[int, ...]:
    """Instants of n + 1 edges of the n buckets from `start`, a bucket's local start, up to the first edge at or after `end`.

    Stops beyond `limit` buckets, so that the caller can refuse.
    """
    found = [instant_of(start, zone)]
    for edge in _following(start, found[0], interval, zone):
        found.append(edge)
        if edge >= instant_of(end, zone) or len(found) > limit + 1:
            break
    return tuple(found)


def _following(start: datetime, first: int, interval: Interval, zone: ZoneInfo) -> Iterator[int]:
    if interval in _MINUTES:
        edge = first
        while True:
            shown = local_of(edge, zone)
            past = timedelta(minutes=shown.minute % _MINUTES[interval], seconds=shown.second, microseconds=shown.microsecond)
            edge += (timedelta(minutes=_MINUTES[interval]) - past) // MICROSECOND
            yield edge
    yield from starts(start, interval, zone, 1)


def starts(local: datetime, interval: Interval, zone: ZoneInfo, stride: int) -> Iterator[int]:
    """Instants at which the buckets begin that follow one by its local start, or with a stride of -1 precede it.

    A day that clocks skip whole, as Apia did the 30th of December 2011, is no bucket.
    """
    last, count = instant_of(local, zone), 0
    while True:
        count += stride
        start = instant_of(step(local, interval, count), zone)
        if start != last:
            yield start
        last = start


def index_sql(time: str, bounds: Sequence[int]) -> str:
    """SQL for the number of the bucket that `time`, microseconds as BIGINT, is in; it must be within the bounds.

    Runs of buckets of one width become one division each: a range without a change of clocks is one division.
    """
    runs: list[tuple[int, int, int]] = []  # (first instant, width, number of its first bucket)
    for number, (low, high) in enumerate(pairwise(bounds)):
        if not runs or runs[-1][1] != high - low:
            runs.append((low, high - low, number))
    terms = [f"({time} - {low}) // {width} + {number}" for low, width, number in runs]
    cases = [f"WHEN {time} < {run[0]} THEN {term}" for term, run in zip(terms, runs[1:], strict=False)]
    return f"CAST(CASE {' '.join(cases)} ELSE {terms[-1]} END AS INTEGER)" if cases else f"CAST({terms[0]} AS INTEGER)"
