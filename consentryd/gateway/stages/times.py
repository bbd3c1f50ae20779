"""Client times: read, corrected for the skew of the client's clock, and held to a range."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Final

from consentryd.config.settings import Limits
from consentryd.model.clock import DAY, MINUTE, SECOND, micros_of, parse_moment
from consentryd.model.outcome import Reason

#: A smaller difference between a client's `sentAt` and our clock is the network's, not the clock's, and is left alone.
LEAST_SKEW: Final = 5 * SECOND

#: Times outside of these are no date in some zone: the lake could not take them, whatever the settings let in.
_FIRST: Final = micros_of(datetime(1, 1, 3, tzinfo=UTC))
_LAST: Final = micros_of(datetime(9999, 12, 29, tzinfo=UTC))
#: Of more digits Python makes a day and a time of day with a digit between them: a Unix time as text would be one of long ago.
_DIGITS_OF_A_DAY: Final = len("20261231")


def read_time(value: Any) -> int | None:
    """UTC microseconds from ISO 8601 text (no zone: UTC) or a Unix time in seconds, milliseconds or microseconds; None if it is neither."""
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _from_number(value)
    return None


def _from_text(value: str) -> int | None:
    if len(value) > _DIGITS_OF_A_DAY and value.isdigit():
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        try:
            moment = parse_moment(value)
        except ValueError:
            return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * SECOND)


def _from_number(value: float) -> int | None:
    if not math.isfinite(value) or abs(value) > 1e17:  # noqa: PLR2004 - microseconds of the year 5138
        return None
    if abs(value) < 1e11:  # noqa: PLR2004 - seconds until the year 5138
        return int(value * SECOND)
    if abs(value) < 1e14:  # noqa: PLR2004 - milliseconds until then
        return int(value * 1000)
    return int(value)


def skew_of(sent_at: Any, received_at: int) -> int:
    """What to add to a client's times so that they are in ours: zero without a readable `sentAt`."""
    sent = read_time(sent_at)
    if sent is None or abs(received_at - sent) < LEAST_SKEW:
        return 0
    return received_at - sent


def put_time(value: Any, skew: int, received_at: int, limits: Limits) -> int | Reason:
    """The event's time; `received_at` where the client gave none."""
    if value is None or value == "":
        return received_at
    time = _from_text(value) if value.__class__ is str else read_time(value)
    if time is None:
        return Reason.INVALID_TIME
    time += skew
    if -DAY < time - received_at < MINUTE:  # no setting is narrower
        return time
    oldest = max(received_at - limits.max_age_days * DAY, _FIRST)
    newest = min(received_at + limits.max_future_minutes * MINUTE, _LAST)
    if oldest <= time <= newest:
        return time
    if limits.bad_time == "clamp":
        return min(max(time, oldest), newest)
    return Reason.TOO_OLD if time < oldest else Reason.IN_FUTURE
