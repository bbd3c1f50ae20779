"""The journey before each conversion: which channels touched the subject, and when (1.11)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.statistics.array import Bools, Floats, Ints
from consentryd.analytics.statistics.segment import expand, first_at_or_after, heads, offsets
from consentryd.analytics.stream import NONE, Stream

DAY: Final = 86_400_000_000
LOOK_BACK: Final = 30 * DAY


class Journeys(NamedTuple):
    """c journeys: that of journey i are the touches [offset[i], offset[i + 1]), by time.

    `subject` int64[c]; `value` float64[c], what the conversion is worth; `offset` int64[c + 1]; `channel` int64 codes and `age` int64
    microseconds before the conversion, one for each touch. A journey may have no touch.
    """

    subject: Ints
    value: Floats
    offset: Ints
    channel: Ints
    age: Ints

    @property
    def sizes(self) -> Ints:
        """Touches of each."""
        return np.diff(self.offset)

    @property
    def owner(self) -> Ints:
        """The journey of each touch."""
        return np.repeat(np.arange(len(self.subject)), self.sizes)


class Touching(NamedTuple):
    """What is a touch: events of `definition` with a value in the text column `channel`. Touches whose channel is in `direct` count only
    where a journey has no other. Equal channels in a row within one session (int64 column `session`, `NONE` for none) are one touch, the
    first."""

    definition: int
    channel: str
    session: str | None = None
    direct: Collection[int] = ()


def journeys(
    stream: Stream,
    touching: Touching,
    conversion: int,
    since: int,
    until: int,
    look_back: int = LOOK_BACK,
    value: str | None = None,
) -> Journeys:
    """Of the conversions in [since, until), in stream order: the subject's touches not older than `look_back` microseconds; a touch at the
    same instant was before. `value` names a numeric column (nan is 0); without it each is worth 1. The stream must reach back that far."""
    made = np.flatnonzero(stream.matches(conversion) & (stream.time >= since) & (stream.time < until))
    rows, _ = _touches(stream, touching)
    low, high = _own(stream, rows, made)
    end = stream.time[made]
    begin = first_at_or_after(stream.time[rows], low, high, end - look_back)
    owner, touch = expand(begin, first_at_or_after(stream.time[rows], low, high, end + 1))
    worth = np.ones(len(made)) if value is None else np.nan_to_num(np.asarray(stream.values[value], np.float64)[made])
    return _journeys(stream, touching, stream.subject[made], worth, end, owner, rows[touch])


def unconverted(stream: Stream, touching: Touching, conversion: int, since: int, until: int) -> Journeys:
    """The touches in [since, until) of each subject that has some and no conversion then: one journey, worth 0, aged from `until`."""
    within = (stream.time >= since) & (stream.time < until)
    rows, subject = _touches(stream, touching, within)
    lost = ~np.isin(subject, stream.subject[stream.matches(conversion) & within])
    rows, subject = rows[lost], subject[lost]
    begins = heads(subject)
    owner = np.cumsum(begins) - 1
    who = subject[begins]
    return _journeys(stream, touching, who, np.zeros(len(who)), np.full(len(who), until), owner, rows)


def joined(parts: Sequence[Journeys]) -> Journeys:
    """One after the other; at least one part."""
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    return Journeys(columns[0], columns[1], offsets(np.concatenate([part.sizes for part in parts])), columns[3], columns[4])


def _touches(stream: Stream, touching: Touching, among: Bools | None = None) -> tuple[Ints, Ints]:
    touch = stream.matches(touching.definition) & (stream.values[touching.channel] != NONE)
    rows = np.flatnonzero(touch if among is None else touch & among)
    return rows, stream.subject[rows]


def _own(stream: Stream, rows: Ints, made: Ints) -> tuple[Ints, Ints]:
    subject, wanted = stream.subject[rows], stream.subject[made]
    return np.searchsorted(subject, wanted, "left"), np.searchsorted(subject, wanted, "right")


def _journeys(stream: Stream, touching: Touching, subject: Ints, value: Floats, end: Ints, owner: Ints, rows: Ints) -> Journeys:
    channel = np.asarray(stream.values[touching.channel], np.int64)
    count = len(subject)
    direct = np.isin(channel[rows], np.array(sorted(touching.direct), np.int64))
    others = np.bincount(owner[~direct], minlength=count) > 0
    used = ~(direct & others[owner])
    owner, rows = owner[used], rows[used]
    if touching.session is not None:
        session = np.asarray(stream.values[touching.session], np.int64)[rows]
        first = heads(owner, channel[rows], session) | (session == NONE)
        owner, rows = owner[first], rows[first]
    sizes = np.bincount(owner, minlength=count)
    return Journeys(subject, value, offsets(sizes), channel[rows], end[owner] - stream.time[rows])
