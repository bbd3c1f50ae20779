"""Time as an argument. All times are integers: UTC microseconds since the epoch."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_TIME_CHARS: Final = 40
_MIDNIGHT: Final = re.compile(r"(?<=[T ])24(?=:?00(?::?00(?:[.,]0+)?)?(?:[Z+-]|\Z))")
_LEAP_SECOND: Final = re.compile(r"(?<=[T ]\d\d)(:?[0-5]\d:?)60(?=[.,Z+-]|\Z)")


def micros_of(moment: datetime) -> int:
    """UTC microseconds of a moment with a zone, of any year."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(micros: int) -> datetime:
    """The moment, in UTC."""
    return _EPOCH + micros * _MICROSECOND


def parse_moment(text: str) -> datetime:
    """The moment that an ISO 8601 or RFC 3339 text names, with its zone if it has one. Raises `ValueError`.

    Python knows neither `z`, nor 24:00, nor a leap second, which is taken for the second after it.
    """
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        if len(text) > _TIME_CHARS:
            raise
    text, midnights = _MIDNIGHT.subn("00", text.upper())
    text, leaps = _LEAP_SECOND.subn(r"\g<1>59", text, count=1)
    moment = datetime.fromisoformat(text)
    if leaps and (moment - (moment.utcoffset() or timedelta())).strftime("%H%M") != "2359":
        raise ValueError("no leap second was ever there")
    try:
        return moment + timedelta(days=midnights, seconds=leaps)
    except OverflowError as error:
        raise ValueError("beyond the last year") from error


class Clock(Protocol):
    def now(self) -> int:
        """The current time, UTC microseconds."""
        ...


class SystemClock:
    def now(self) -> int:
        return time.time_ns() // 1_000


def is_due(last: int, now: int, every: int) -> bool:
    """Whether `every` microseconds are over since `last`, or the clock was set back behind it: what is done now and then goes on then."""
    return not 0 <= now - last < every


class ManualClock:
    """A clock that tests set by hand."""

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def advance(self, microseconds: int) -> None:
        self._now += microseconds
