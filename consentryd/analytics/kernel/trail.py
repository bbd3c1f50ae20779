"""The events of a stream that a funnel looks at, in an order in which ties help (R-F3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.change import changes
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.stream import Stream

#: Counting all events takes as long as searching for one in so many.
_MANY: Final = 6


class Front(NamedTuple):
    """Events that complete a step of some chain, ascending, and the latest start of a chain that ends there; positions in the trail."""

    place: Ints
    start: Ints


class Trail(NamedTuple):
    """n events, by key and time; of one instant, those of the lowest step first.

    `key`: 0, 1, ... for each subject that has any; `subject` int64 by key; bit k of `steps` (of as few bits as hold all) and of `bars`
    int64 is set for step k or exclusion k; `row`: position in the stream; `instant`: position of the first event of the same key and
    time; `tied`: whether any two events have that in common; `found`: what `doing` has found.
    """

    key: npt.NDArray[np.int32]
    subject: Ints
    time: Ints
    steps: npt.NDArray[np.unsignedinteger]
    bars: Ints
    row: Ints
    instant: Ints
    tied: bool
    found: dict[int, Ints]

    def doing(self, step: int) -> Ints:
        """Positions of the events that match a step; every step of a funnel asks for them several times."""
        known = self.found.get(step)
        if known is None:
            known = self.found[step] = np.flatnonzero((self.steps & (1 << step)) != 0)
        return known

    def lies_within(self, since: int, until: int) -> bool:
        """Whether all events have since <= time < until."""
        return not len(self.time) or bool(self.time.min() >= since and self.time.max() < until)

    def nearest(self, some: Ints, places: Ints, *, strict: bool) -> tuple[Ints, Ints]:
        """The places that have one of some events before them (or, if strict, before their instant), and the number of the last such event.

        Both ascend. For many places counting beats searching.
        """
        before = self.instant.take(places) if strict else places
        if len(places) * _MANY < len(self.key):
            number = np.searchsorted(some, before) - 1
        else:
            count = np.zeros(len(self.key) + 1, np.int32)
            count[1:][some] = 1
            np.cumsum(count, out=count)
            number = count.take(before).astype(np.int64) - 1
        first = np.searchsorted(number, 0)
        return places[first:], number[first:]

    def bounds(self) -> Ints:
        """Position of each key's first event, and n at the end."""
        return np.searchsorted(self.key, np.arange(len(self.subject) + 1))

    def following(self, places: Ints) -> Ints:
        """The position after the last event of each place's instant."""
        return np.searchsorted(self.instant, self.instant[places], side="right") if self.tied else places + 1

    def hard(self) -> Bools:
        """By key: whether events of one instant can be handed to steps in more than one way, so that order alone does not help."""
        found = np.zeros(len(self.subject), np.bool_)
        if self.tied:
            several = (self.steps & (self.steps - 1)) != 0
            size = np.bincount(self.instant[self.steps != 0], minlength=len(self.key))
            found[self.key[several & (size[self.instant] > 1)]] = True
        return found


def trail_of(stream: Stream, funnel: Funnel, *, everything: bool = False) -> Trail:
    """The events that match a step or an exclusion, or every event."""
    steps = bits(stream.masks, [step.definition for step in funnel.steps])
    bars = bits(stream.masks, [exclusion.definition for exclusion in funnel.exclusions])
    looked_at = (steps | bars) != 0
    least = stream.code.min(initial=len(looked_at))
    if everything or looked_at[least:].all() or looked_at.take(stream.code).all():
        row = np.arange(len(stream.code))
        subject, time, code = stream.subject, stream.time, stream.code
    else:
        row = np.flatnonzero(looked_at.take(stream.code))
        subject, time, code = stream.subject.take(row), stream.time.take(row), stream.code.take(row)
    new = changes(subject)
    places = np.arange(len(row))
    trail = Trail(
        key=np.cumsum(new, dtype=np.int32) - 1,
        subject=subject[np.flatnonzero(new)],
        time=time,
        steps=steps.astype(np.min_scalar_type((1 << len(funnel.steps)) - 1)).take(code),
        bars=bars[code] if funnel.exclusions else np.zeros(len(row), np.int64),
        row=row,
        instant=places,
        tied=False,
        found={},
    )
    tied = time[1:] == time[:-1]
    tied &= ~new[1:]
    return _untied(trail, tied) if tied.any() else trail


def bits(masks: Ints, definitions: Sequence[int]) -> Ints:
    """By code: bit k is set if it matches the k-th of the definitions."""
    found = np.zeros(len(masks), np.int64)
    for place, definition in enumerate(definitions):
        found |= ((masks >> definition) & 1) << place
    return found


def _untied(trail: Trail, tied: Bools) -> Trail:
    """Events of one instant by their lowest step, exclusions first; otherwise as they were."""
    within = np.concatenate([[False], tied])
    instant = np.maximum.accumulate(np.where(within, 0, np.arange(len(within))))
    places = np.flatnonzero(within | np.concatenate([tied, [False]]))
    lowest = trail.steps[places] & -trail.steps[places]
    order = places[np.lexsort((lowest, instant[places]))]
    steps, bars, row = trail.steps.copy(), trail.bars.copy(), trail.row.copy()
    for column, source in ((steps, trail.steps), (bars, trail.bars), (row, trail.row)):
        column[places] = source[order]
    return trail._replace(steps=steps, bars=bars, row=row, instant=instant, tied=True)
