"""Ranges of time as people write them, resolved against a given now (section 1.0)."""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Annotated, Final, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from consentryd.analytics.calendar import Interval, add_months, edges, floor, instant_of, label_of, local_of, starts, step
from consentryd.analytics.shape import Shape
from consentryd.model.clock import HOUR
from consentryd.model.error import Unprocessable

CompareKind = Literal["previous", "year", "match_weekday"]
MAX_BUCKETS: Final = 10_000
_RELATIVE: Final = re.compile(r"-(\d{1,4})([hdwmqy])")
_DAY: Final = re.compile(r"\d{8}|\d{4}-.{5}")
_UNITS: Final[dict[str, Interval]] = {"h": "hour", "d": "day", "w": "week", "m": "month", "q": "quarter", "y": "year"}
_NAMED: Final[dict[str, Interval]] = {"week": "week", "month": "month", "quarter": "quarter", "year": "year"}
_STARTS: Final[dict[str, Interval]] = {"wStart": "week", "mStart": "month", "qStart": "quarter", "yStart": "year"}
_YEARS: Final[dict[Interval, float]] = {"week": 7 / 365, "month": 1 / 12, "quarter": 1 / 4, "year": 1}
_UTC: Final = ZoneInfo("UTC")
_MIN_YEAR: Final = 1971
_MAX_YEAR: Final = 9899  # a retention or a life looks ahead from there
#: More buckets than are wanted, for clocks that skip or repeat an hour.
_SPARE: Final = 3


def _readable(text: str) -> str:
    try:
        start, _ = _parse(text, datetime(2026, 1, 1), 1, _UTC)  # noqa: DTZ001 -- any local time will do
        far = not _MIN_YEAR <= start.year <= _MAX_YEAR
    except OverflowError:
        far = True
    if far:
        raise ValueError(f"must lie in the years {_MIN_YEAR} to {_MAX_YEAR}")
    return text


Moment = Annotated[
    str,
    AfterValidator(_readable),
    Field(
        max_length=40,
        description="A day `2026-11-21`, a local time `2026-11-21T10:30`, `-7d` (h, d, w, m, q, y), `today`, `yesterday`, "
        "`this_week`, `last_week` (month, quarter, year), `wStart`, `mStart`, `qStart`, `yStart`.",
    ),
]


class Range(Shape):
    """`from` to `to`, both local days inclusive, widened to whole buckets. `explicit` keeps exact instants and clips the outer buckets."""

    from_: Moment = Field("-30d", alias="from", description="Where it begins; a named period such as `last_week` needs no `to`.")
    to: Moment | None = Field(
        None,
        description="Where it ends: after the day or period that it names (`-1d`: yesterday), at a local time, `-3h` or `mStart`; default: "
        "the end of the named period, or now.",
    )
    explicit: bool = Field(False, description="Keep the exact instants instead of widening to whole buckets.")


@dataclass(frozen=True, slots=True)
class Period:
    """Buckets [edges[i], edges[i + 1]) in UTC microseconds, of a time zone."""

    edges: tuple[int, ...]
    interval: Interval
    zone: ZoneInfo
    week_start: int

    @property
    def since(self) -> int:
        return self.edges[0]

    @property
    def until(self) -> int:
        return self.edges[-1]

    @property
    def buckets(self) -> int:
        return len(self.edges) - 1

    def labels(self) -> list[str]:
        """Local starts of the buckets, ISO 8601."""
        return [label_of(edge, self.zone) for edge in self.edges[:-1]]

    def complete(self, watermark: int, grace: int) -> list[bool]:
        """Which buckets have ended, with time for late events, by the watermark."""
        return [end + grace <= watermark for end in self.edges[1:]]

    def bucket_at(self, instant: int) -> int | None:
        """Number of the bucket that an instant is in."""
        return bisect_right(self.edges, instant) - 1 if self.since <= instant < self.until else None


def resolve(wanted: Range, interval: Interval, zone_name: str, week_start: int, now: int) -> Period:
    """The buckets of a range. Raises `Unprocessable` if it is empty or has more than 10,000 of them."""
    zone = ZoneInfo(zone_name)
    local_now = local_of(now, zone)
    start, named_end = _parse(wanted.from_, local_now, week_start, zone)
    end = _end(wanted.to, None if _DAY.fullmatch(wanted.from_) else named_end, local_now, week_start, zone)
    if instant_of(end, zone) <= instant_of(start, zone):
        raise Unprocessable("invalid", "The range ends before it begins.", field="range")
    first = floor(start, interval, week_start)
    bounds = edges(first, end, interval, zone, MAX_BUCKETS)
    if len(bounds) > MAX_BUCKETS + 1:
        raise Unprocessable(
            "invalid", f"The range has more than {MAX_BUCKETS} buckets; choose a longer interval.", field="interval"
        )
    if wanted.explicit:
        bounds = _clipped(bounds, instant_of(start, zone), instant_of(end, zone))
    return Period(bounds, interval, zone, week_start)


def named_instant(text: str, zone: ZoneInfo, now: int, week_start: int) -> int:
    """The local time that a text names, or the last instant of the day or period that it names; never later than `now`."""
    start, end = _parse(text, local_of(now, zone), week_start, zone)
    return min(instant_of(start, zone) if end is None else instant_of(end, zone) - 1, now)


def previous(period: Period) -> Period:
    """As many buckets, immediately before; as much time, where the outer ones are clipped."""
    if period.interval in {"minute", "hour"} or not (_begins(period, period.since) and _begins(period, period.until)):
        width = period.until - period.since
        return _moved(period, tuple(edge - width for edge in period.edges))
    return earlier(period, period.buckets)


def year_before(period: Period) -> Period:
    """The same local times of the year before. A range from the 29th of February begins on the 28th; within one, that day is empty."""
    first, *inner = (_year_back(_civil(period, edge)) for edge in period.edges)
    return _moved(
        period, (instant_of(first[0], period.zone), *(instant_of(local + skipped, period.zone) for local, skipped in inner))
    )


def match_weekday(period: Period) -> Period:
    """As long, before this period, moved by whole weeks, so that weekdays meet."""
    start, end = _civil(period, period.since), _civil(period, period.until)
    weeks = max(1, -(-(end - start) // timedelta(weeks=1)))
    back = timedelta(weeks=weeks)
    return _moved(period, tuple(instant_of(_civil(period, edge) - back, period.zone) for edge in period.edges))


def compared(period: Period, kind: CompareKind) -> Period:
    """The period that a period is compared with. Raises `Unprocessable` where no calendar has it."""
    try:
        match kind:
            case "previous":
                return previous(period)
            case "year":
                return year_before(period)
            case "match_weekday":
                return match_weekday(period)
    except (OverflowError, ValueError):
        raise Unprocessable("invalid", "The range to compare with would begin before the year 1.", field="compare") from None


def elapsed(period: Period, moved: Period, now: int) -> Period:
    """Of the period that one is compared with, what that one has reached by now: the bucket under way as far as it is, none after it."""
    bucket = period.bucket_at(now)
    if bucket is None:
        return moved
    reached = moved.edges[bucket] + now - period.edges[bucket] + 1
    return _moved(period, (*moved.edges[: bucket + 1], min(reached, moved.edges[bucket + 1])))


def by_day(period: Period, before: int = 0) -> Period:
    """The local days that a period touches, and `before` days ahead of it."""
    first = floor(local_of(period.since, period.zone), "day", 1)
    last = local_of(period.until - 1, period.zone) + timedelta(microseconds=1)
    days = Period(edges(first, last, "day", period.zone, 2 * MAX_BUCKETS), "day", period.zone, period.week_start)
    return _moved(days, (*earlier(days, before).edges[:-1], *days.edges))


def days_of(period: Period) -> Range:
    """A range that names the period's first and last local day."""
    return from_to(local_of(period.since, period.zone).date(), local_of(period.until - 1, period.zone).date())


def from_to(first: date, last: date) -> Range:
    """A range of days, also of those outside of the years that may be asked for."""
    return Range.model_construct(from_=first.isoformat(), to=last.isoformat())


def exactly(period: Period) -> Range:
    """A range of the period's instants, also of those outside of the years that may be asked for."""
    since, until = (local_of(edge, period.zone).isoformat() for edge in (period.since, period.until))
    return Range.model_construct(from_=since, to=until, explicit=True)


def earlier(period: Period, buckets: int) -> Period:
    """The whole buckets immediately before."""
    before = islice(starts(_floor(period, period.since), period.interval, period.zone, -1), buckets)
    return _moved(period, (*reversed(list(before)), period.since))


def later(period: Period, buckets: int) -> Period:
    """The period, with its last bucket whole, and so many whole buckets after it."""
    begun = period.edges[-2]
    first = _floor(period, begun)
    far = step(first, period.interval, buckets + _SPARE)
    ends = [edge for edge in edges(first, far, period.interval, period.zone, buckets + _SPARE) if edge > begun]
    return _moved(period, (*period.edges[:-1], *ends[: buckets + 1]))


def _moved(period: Period, bounds: tuple[int, ...]) -> Period:
    return Period(bounds, period.interval, period.zone, period.week_start)


def _floor(period: Period, instant: int) -> datetime:
    return floor(local_of(instant, period.zone), period.interval, period.week_start)


def _begins(period: Period, instant: int) -> bool:
    """Whether a bucket of the period's interval begins at an instant."""
    return instant_of(_floor(period, instant), period.zone) == instant


def _civil(period: Period, edge: int) -> datetime:
    """The local time that an edge is of: midnight also where clocks skip it, so that it is another instant on another day."""
    return _floor(period, edge) if _begins(period, edge) else local_of(edge, period.zone)


def _year_back(local: datetime) -> tuple[datetime, timedelta]:
    """The local time a year before, and how far that is from the next day if the year before had no such day."""
    day = add_months(local.date(), -12)
    return datetime.combine(day, local.time()), timedelta(days=local.day - day.day)


def _clipped(bounds: tuple[int, ...], start: int, end: int) -> tuple[int, ...]:
    inner = [edge for edge in bounds if start < edge < end]
    return (start, *inner, end)


def _end(text: str | None, named_end: datetime | None, now: datetime, week_start: int, zone: ZoneInfo) -> datetime:
    if text is None:
        return named_end or (now + timedelta(microseconds=1)).replace(fold=now.fold)
    start, end = _parse(text, now, week_start, zone)
    if (match := _RELATIVE.fullmatch(text)) and match[2] != "h":
        return step(start, "day")
    return end or start


Edge = tuple[datetime, datetime | None]


def _parse(text: str, now: datetime, week_start: int, zone: ZoneInfo) -> Edge:
    """Local start of what a text names, and its end if it names a whole period. Raises `ValueError`."""
    if match := _RELATIVE.fullmatch(text):
        unit = _UNITS[match[2]]
        today = floor(now, "day" if unit in {"week", "month", "quarter", "year"} else unit, week_start)
        return _before(today, unit, int(match[1]), zone), None
    if text in _STARTS:
        return floor(now, _STARTS[text], week_start), None
    if text in {"today", "yesterday"}:
        today = floor(now, "day", week_start)
        return _whole("day", step(today, "day", 0 if text == "today" else -1))
    which, _, unit_name = text.partition("_")
    if which in {"this", "last"} and unit_name in _NAMED:
        unit = _NAMED[unit_name]
        return _whole(unit, step(floor(now, unit, week_start), unit, 0 if which == "this" else -1))
    return _absolute(text)


def _before(today: datetime, unit: Interval, count: int, zone: ZoneInfo) -> datetime:
    """So many hours that pass, whatever clocks show; of longer units as many by the calendar."""
    if unit == "hour":
        return local_of(instant_of(today, zone) - count * HOUR, zone)
    if count * _YEARS.get(unit, 0) > today.year - _MIN_YEAR:
        raise ValueError(f"must not lie before the year {_MIN_YEAR}")
    return step(today, unit, -count)


def _whole(unit: Interval, start: datetime) -> Edge:
    return start, step(start, unit)


def _absolute(text: str) -> Edge:
    is_day = _DAY.fullmatch(text) is not None
    try:
        start = datetime.combine(date.fromisoformat(text), datetime.min.time()) if is_day else datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is neither a day, a local time, nor a relative or named period") from None
    if start.tzinfo is not None:
        raise ValueError("must be local to the query's time zone, without an offset")
    return start, start + timedelta(days=1) if is_day else None
