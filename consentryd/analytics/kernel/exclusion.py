"""Attempts that an event between two steps poisons (R-F7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from consentryd.analytics.kernel.chain import ABSENT, Bools, Ints
from consentryd.analytics.kernel.course import Attempt, Course
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.matching import fill
from consentryd.analytics.kernel.trail import Trail


def suspects(trail: Trail, place: Ints, funnel: Funnel) -> Bools:
    """Chains with an excluding event where it could poison them; all others are clean.

    `place` int64[m, k]: positions in the trail of each chain's steps, or `ABSENT`.
    """
    found = np.zeros(len(place), np.bool_)
    for bit, (_, low, high) in enumerate(funnel.exclusions):
        barred = np.flatnonzero(trail.bars & (1 << bit))
        lines = np.flatnonzero(place[:, low] != ABSENT)
        if not len(barred) or not len(lines):
            continue
        after, until = place[lines, low], _until(trail, place[lines], high, funnel.window)
        following = np.searchsorted(barred, trail.following(after))
        within = following < len(barred)
        nearest = barred[np.minimum(following, len(barred) - 1)]
        found[lines] |= within & (trail.key[nearest] == trail.key[after]) & (trail.time[nearest] < until)
    return found


def _until(trail: Trail, place: Ints, high: int, window: int) -> Ints:
    """Up to when an event poisons: the step that ends the exclusion, or just after the window if it was not reached."""
    done = place[:, high] != ABSENT
    last: Ints = np.where(done, trail.time[place[:, high]], trail.time[place[:, 0]] + window + 1)
    return last


def kept(course: Course, funnel: Funnel, depth: int) -> Attempt | None:
    """What `on_exclude` leaves of a subject whose deepest attempts have this depth: the attempt of R-F8, or nothing.

    Where an exclusion only ends attempts, that is the most steps of any attempt, each up to the first step of what poisons it.
    """
    if funnel.on_exclude == "remove":
        return _best(course, funnel, depth, depth)
    for done in range(depth, 0, -1):
        found = [attempt for length in range(done, depth + 1) if (attempt := _best(course, funnel, length, done))]
        if found:
            return min(found, key=lambda attempt: (attempt.times[-1], -attempt.times[0], attempt.times))
    return None


def _best(course: Course, funnel: Funnel, length: int, done: int) -> Attempt | None:
    """The first steps `done` of an attempt of this length that nothing poisons before them: they end earliest, then start latest."""
    best: Attempt | None = None
    search = _Search(course, funnel, length, done)
    for instant, opens in enumerate(course.opens):
        if best is not None and course.times[instant] > best.times[-1]:
            break
        found = search.attempt(instant) if opens else None
        if found is not None and (best is None or found.times[done - 1] <= best.times[-1]):
            best = Attempt(found.times[:done], found.rows[:done])
    return best


class _Search:
    """Depth first through the instants, each step as early as can be; dead ends of one start are remembered."""

    def __init__(self, course: Course, funnel: Funnel, goal: int, done: int) -> None:
        self.course, self.funnel, self.goal = course, funnel, goal
        self.chain: Sequence[int] = funnel.mandatory
        self.dead: set[tuple[int, int, int]] = set()
        self.start = 0
        last = self.chain[done - 1] if funnel.on_exclude == "drop_from_step" else len(funnel.steps)
        self.counted = sum(1 << bit for bit, (_, low, _) in enumerate(funnel.exclusions) if low < last)

    def attempt(self, instant: int) -> Attempt | None:
        """The earliest clean chain from a start at this instant."""
        self.dead.clear()
        self.start = self.course.times[instant]
        parts = self._from(instant, 0, 1)
        if parts is None:
            return None
        found = Attempt([], [])
        for at, first, done in parts:
            self.course.add(found, at, fill(self.course.masks[at], self.chain, first, done))
        return found

    def _from(self, instant: int, first: int, done: int) -> list[tuple[int, int, int]] | None:
        """Places [first, done) are done at this instant; the rest of the chain, as (instant, first, done), if there is one."""
        state = (instant, first, done)
        if state in self.dead:
            return None
        rest = self._rest(instant, first, done)
        if rest is None:
            self.dead.add(state)
        return rest

    def _rest(self, instant: int, first: int, done: int) -> list[tuple[int, int, int]] | None:
        if done == self.goal:
            return None if self._poisoned_inside(instant, done) or self._poisoned_after(instant) else [(instant, first, done)]
        if not self.funnel.strict_ties and len(fill(self.course.masks[instant], self.chain, first, done + 1)) > done - first:
            rest = self._from(instant, first, done + 1)
            if rest is not None:
                return rest
        if self._poisoned_inside(instant, done):
            return None
        for later in self._later(instant, done):
            rest = self._from(later, done, done + 1)
            if rest is not None:
                return [(instant, first, done), *rest]
        return None

    def _later(self, instant: int, done: int) -> Iterator[int]:
        """Instants that have the next step, up to the end of the window or an event that forbids it."""
        bars = self.counted & self.funnel.bars(self.chain[done - 1], self.chain[done])
        bit = 1 << self.chain[done]
        for later in range(instant + 1, len(self.course.times)):
            if self.course.times[later] - self.start > self.funnel.window:
                return
            if any(mask & bit for mask in self.course.masks[later]):
                yield later
            if self.course.bars[later] & bars:
                return

    def _poisoned_inside(self, instant: int, done: int) -> bool:
        """Whether the step done here is itself an excluding event strictly between the steps of its exclusion."""
        return self._has(instant, self.chain[done - 1], inside=True)

    def _has(self, instant: int, step: int, *, inside: bool) -> bool:
        bars = self.course.bars[instant] & self.counted
        return any(
            bars >> bit & 1 and (low < step if inside else low <= step) and step < high
            for bit, (_, low, high) in enumerate(self.funnel.exclusions)
        )

    def _poisoned_after(self, instant: int) -> bool:
        """Whether an excluding event follows the last step within the window, its exclusion's second step not being reached."""
        last = self.chain[self.goal - 1]
        for later in range(instant + 1, len(self.course.times)):
            if self.course.times[later] - self.start > self.funnel.window:
                return False
            if self._has(later, last, inside=False):
                return True
        return False
