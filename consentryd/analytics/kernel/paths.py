"""What subjects do one after the other (section 1.8): visits of items within sessions, between start and end points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.change import changes, firsts
from consentryd.analytics.kernel.sessions import Cut, sections
from consentryd.analytics.kernel.tie import untied
from consentryd.analytics.stream import NONE, Stream

#: Stands for the middle of a path that is left out between a start and an end point.
ELLIPSIS: Final = -2
#: Artificial first and last item in transitions.
START, END = -3, -4
MIN_STEPS, MAX_STEPS = 2, 20
DEFAULT_CUT: Final = Cut()


@dataclass(frozen=True, slots=True)
class Paths:
    """The question. `item`: a text column, names cleaned and grouped already; events without one cut sessions but are no steps.

    `steps` 2 to 20; `start`, `end`: codes of items at which paths begin and end, -5 or any unknown code for an item that no event has;
    `start_if`, `end_if`: definitions that the event there has to match. `goal`: the code of an item whose visitors are counted.
    """

    item: str
    cut: Cut = DEFAULT_CUT
    steps: int = 5
    start: int | None = None
    end: int | None = None
    collapse_repeats: bool = True
    start_if: int | None = None
    end_if: int | None = None
    goal: int | None = None

    def __post_init__(self) -> None:
        if not MIN_STEPS <= self.steps <= MAX_STEPS:
            raise ValueError(f"Paths have {MIN_STEPS} to {MAX_STEPS} steps.")

    @property
    def looks_at_definitions(self) -> bool:
        return self.start_if is not None or self.end_if is not None

    @property
    def ends_only(self) -> bool:
        """Whether paths are aligned at their end: the last step is then number `steps`."""
        return self.end is not None and self.start is None


class Walk(NamedTuple):
    """n visits of items by session and time; sessions without a visit have none.

    `session`: its number; `done`: the definitions that the event matches, as bits, where the question looks at them.
    """

    session: npt.NDArray[np.int32]
    subject: Ints
    time: Ints
    item: Ints
    done: Ints | None

    def take(self, kept: Bools) -> Walk:
        """Some of the visits. Their positions are found first, which takes a quarter of the time that a mask for each column does."""
        return self if kept.all() else self.at(np.flatnonzero(kept))

    def at(self, visits: Ints) -> Walk:
        session, subject, time, item, done = self
        return Walk(session[visits], subject[visits], time[visits], item[visits], None if done is None else done[visits])

    def sessions_with(self, item: int) -> Bools:
        """By number of the session whether it visits an item."""
        found = np.zeros(int(self.session.max(initial=0)) + 1, np.bool_)
        found[self.session[self.item == item]] = True
        return found

    def places(self) -> Ints:
        """By visit its place in the session, from 0."""
        first = firsts(self.session)
        return np.arange(len(self.session)) - np.repeat(first, np.diff(first, append=len(self.session)))

    def lengths(self) -> Ints:
        """By visit the visits of its session."""
        size = np.diff(firsts(self.session), append=len(self.session))
        return np.repeat(size, size)


def walk_of(stream: Stream, question: Paths) -> Walk:
    """Sessions cut, items of one instant by name, repeats collapsed to their first visit, limited to start and end points; of any length."""
    part = sections(untied(stream, question.item), question.cut)
    begins = np.zeros(len(part.row), np.bool_)
    begins[part.first] = True
    item = part.stream.values[question.item].astype(np.int64)
    done = part.stream.masks[part.stream.code] if question.looks_at_definitions else None
    found = Walk(np.cumsum(begins, dtype=np.int32), part.stream.subject, part.stream.time, item, done)
    found = found.take(item != NONE)
    if question.collapse_repeats:
        found = _collapsed(found)
    if question.start is not None:
        found = found.take(_seen(found, _is(found, question.start, question.start_if)))
    if question.end is not None:
        found = _up_to(found, _is(found, question.end, question.end_if))
    return found


def _collapsed(walk: Walk) -> Walk:
    """Runs of one item as their first visit, which has done what any visit of the run has."""
    new = changes(walk.session) | changes(walk.item)
    if new.all():
        return walk
    first = np.flatnonzero(new)
    done = None if walk.done is None else np.bitwise_or.reduceat(walk.done, first)
    return walk.at(first)._replace(done=done)


def _is(walk: Walk, item: int, definition: int | None) -> Bools:
    """Which visits are of the item, and match the definition."""
    found: Bools = walk.item == item
    return found if definition is None or walk.done is None else found & ((walk.done >> definition) & 1).astype(np.bool_)


def _seen(walk: Walk, wanted: Bools) -> Bools:
    """Visits from the first wanted one of their session on."""
    count = np.cumsum(wanted)
    first = firsts(walk.session)
    before: Ints = count[first] - wanted[first]
    found: Bools = count > np.repeat(before, np.diff(first, append=len(walk.session)))
    return found


def _up_to(walk: Walk, wanted: Bools) -> Walk:
    """Sessions with a wanted visit, up to the first one."""
    after = _seen(walk, wanted)
    first_after = after & (changes(walk.session) | ~np.concatenate([[False], after[:-1]])) if len(after) else after
    with_item = np.isin(walk.session, walk.session[after])
    return walk.take(with_item & (~after | first_after))


def shortened(walk: Walk, question: Paths) -> tuple[Walk, Ints]:
    """At most `steps` visits of each session, and their step, from 1.

    The first ones; with an end point only, the last ones; with both, the first and last halves, an `ELLIPSIS` between if any is missing.
    """
    place = walk.places()
    if question.end is None:
        return walk.take(place < question.steps), place[place < question.steps] + 1
    length = walk.lengths()
    if question.ends_only:
        step = question.steps - (length - 1 - place)
        return walk.take(step >= 1), step[step >= 1]
    half = question.steps // 2
    long = length > question.steps
    kept = ~long | (place <= half) | (place >= length - half)
    item = np.where(long & (place == half), ELLIPSIS, walk.item)
    step = np.where(long & (place > half), place - (length - 2 * half - 1), place) + 1
    return walk._replace(item=item).take(kept), step[kept]
