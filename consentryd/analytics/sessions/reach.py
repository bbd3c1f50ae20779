"""How far beyond a period events are read, so that its sessions begin and end where they do, whatever range is asked."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, Generic, TypeVar

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.kernel.chain import Ints
from consentryd.analytics.kernel.restless import parted, restless
from consentryd.analytics.kernel.sessions import Cut
from consentryd.analytics.kernel.start import taken
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.stream import Stream
from consentryd.analytics.streaming import Selection
from consentryd.model.clock import DAY

#: How much further back those are followed who made no pause, the longest that memory allows.
FURTHER: Final = (30 * DAY, 7 * DAY, 0)
#: So many are named in a statement; of more, everybody's events are read.
_FEW: Final = 1_000

T = TypeVar("T")
Work = Callable[[Stream], T]


@dataclass(frozen=True, slots=True)
class _Settled(Generic[T]):
    """What was made of everybody who made a pause, and who did not."""

    result: T
    restless: Ints


def streams(
    selection: Selection,
    cut: Cut,
    period: Period,
    asked: Asked,
    work: Work[T],
    name: Hashable = None,
    join: Callable[[Sequence[T]], T] | None = None,
) -> Iterator[T]:
    """What `work` makes of streams without a subject in common, as `Execution.streams` does. A session is known from the last pause before
    it on: everybody's is looked for within a session's length (a day at least), and that of those who made none then further back."""
    span = _near(cut, period)
    settled = partial(_settled, cut=cut, read=span.since or 0, since=period.since, work=work)
    joined = None if join is None else partial(_joined, join=join)
    found = list(asked.execution.streams(selection, span, settled, name, join=joined))
    yield from (each.result for each in found)
    others = np.sort(np.concatenate([each.restless for each in found]))
    if len(others):
        if len(others) <= _FEW:
            one_of = f"e.subject IN ({', '.join(map(str, others.tolist()))})"
            selection = replace(selection, conditions=(*selection.conditions, one_of))
        yield from asked.execution.streams(
            selection, _far(span, asked), partial(_only, subjects=others, work=work), None, join=join
        )


def _near(cut: Cut, period: Period) -> Span:
    length = max(DAY, cut.length or 0)
    return Span(period.since - max(DAY, length + (cut.gap or 0)), period.until + length)


def _far(span: Span, asked: Asked) -> Span:
    spans = [span._replace(since=(span.since or 0) - further) for further in FURTHER]
    return next((each for each in spans if asked.execution.has_room(each)), span)


def _settled(stream: Stream, *, cut: Cut, read: int, since: int, work: Work[T]) -> _Settled[T]:
    others = restless(stream, cut.gap or 0, read, since)
    if len(others):
        stream = taken(stream, np.flatnonzero(parted(stream, others)[0]))
    return _Settled(work(stream), others)


def _joined(parts: Sequence[_Settled[T]], *, join: Callable[[Sequence[T]], T]) -> _Settled[T]:
    return _Settled(join([part.result for part in parts]), np.concatenate([part.restless for part in parts]))


def _only(stream: Stream, *, subjects: Ints, work: Work[T]) -> T:
    return work(taken(stream, np.flatnonzero(parted(stream, subjects)[1])))
