"""Time as an argument. All times are integers: UTC microseconds since the epoch."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

SECOND: Final = 1_000_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def micros_of(moment: datetime) -> int:
    """UTC microseconds of a moment with a zone, of any year."""
    return (moment - _EPOCH) // _MICROSECOND


def moment_of(micros: int) -> datetime:
    """The moment, in UTC."""
    return _EPOCH + micros * _MICROSECOND


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
