"""Attempts counted one by one (R-F11): one opens at a first step when none is open, and closes by completing, by time or by exclusion."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from consentryd.analytics.kernel.chain import ABSENT, Bools, Chains, Ints, blank, joined
from consentryd.analytics.kernel.course import Attempt, Course, course_of
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.matching import fill
from consentryd.analytics.kernel.ordered import starts_of
from consentryd.analytics.kernel.trail import Trail, trail_of
from consentryd.analytics.stream import Stream


def chains(stream: Stream, funnel: Funnel) -> Chains:
    """One line for each attempt; an excluded one keeps the time of its first step.

    No event belongs to two attempts; those of one instant come in whichever order helps the open attempt.
    """
    trail = trail_of(stream, funnel)
    starts = starts_of(trail, funnel)
    special = np.zeros(len(trail.subject), np.bool_)
    special[trail.key[(trail.bars != 0) | (trail.instant != np.arange(len(trail.key)))]] = True
    found = [_quickly(trail, starts[~special[trail.key[starts]]], funnel), *_closely(trail, starts, special, funnel)]
    lines = joined(found)
    return lines.take(np.lexsort((lines.time[:, 0], lines.subject)))


def _quickly(trail: Trail, starts: Ints, funnel: Funnel) -> Chains:
    """For subjects without shared instants and exclusions: from every start its attempt, then only those that open when none is open."""
    attempt = _attempts(trail, starts, funnel)
    chosen = _opened(trail, starts, attempt, funnel)
    return _lines(trail, trail.key[starts[chosen]], attempt[chosen])


def _attempts(trail: Trail, starts: Ints, funnel: Funnel) -> Ints:
    """Positions of each start's steps, each as early as can be within the window."""
    attempt = np.full((len(starts), len(funnel.steps)), ABSENT, np.int64)
    attempt[:, 0] = starts
    lines, place = np.arange(len(starts)), starts
    for step in range(1, len(funnel.steps)):
        candidates = trail.doing(step)
        nearest = np.searchsorted(candidates, place + 1)
        inside = nearest < len(candidates)
        lines, place = lines[inside], candidates[nearest[inside]]
        begun = starts[lines]
        good = (trail.key[place] == trail.key[begun]) & (trail.time[place] - trail.time[begun] <= funnel.window)
        lines, place = lines[good], place[good]
        attempt[lines, step] = place
    return attempt


def _opened(trail: Trail, starts: Ints, attempt: Ints, funnel: Funnel) -> Ints:
    """Which starts open an attempt: the first of each subject, then the first after its end, or after its window, and so on."""
    key = trail.key[starts]
    ends = np.searchsorted(key, key, side="right")
    after = np.where(attempt[:, -1] == ABSENT, -1, np.minimum(np.searchsorted(starts, attempt[:, -1] + 1), ends)).tolist()
    end, time = ends.tolist(), trail.time[starts].tolist()
    chosen, start = [], 0
    while start < len(time):
        chosen.append(start)
        following = after[start]
        start = following if following >= 0 else bisect_right(time, time[start] + funnel.window, start + 1, end[start])
    return np.array(chosen, np.int64)


def _lines(trail: Trail, keys: npt.NDArray[np.int32], attempt: Ints) -> Chains:
    found = blank(trail.subject[keys], attempt.shape[1])
    done = attempt != ABSENT
    found.depth[:] = done.sum(axis=1)
    found.reached[:] = done
    found.time[done] = trail.time[attempt[done]]
    found.row[done] = trail.row[attempt[done]]
    return found


def _closely(trail: Trail, starts: Ints, special: Bools, funnel: Funnel) -> Iterator[Chains]:
    """The same for subjects with excluding events or shared instants."""
    bounds = trail.bounds()
    may_start = np.zeros(len(trail.key), np.bool_)
    may_start[starts] = True
    for key in np.unique(trail.key[starts]).tolist():
        if special[key]:
            first, end = int(bounds[key]), int(bounds[key + 1])
            course = course_of(trail, first, end, may_start[first:end])
            yield _written(_Machine(course, funnel).run(), int(trail.subject[key]), funnel)


def _written(attempts: list[tuple[Attempt, bool]], subject: int, funnel: Funnel) -> Chains:
    found = blank(np.full(len(attempts), subject), len(funnel.steps))
    for line, (attempt, excluded) in enumerate(attempts):
        depth = len(attempt.times)
        shown = 1 if excluded else depth
        found.depth[line], found.excluded[line] = depth, excluded
        found.reached[line, :depth] = not excluded
        found.time[line, :shown], found.row[line, :shown] = attempt.times[:shown], attempt.rows[:shown]
    return found


class _Machine:
    """Goes through the instants of one subject."""

    def __init__(self, course: Course, funnel: Funnel) -> None:
        self.course, self.funnel = course, funnel
        self.open: Attempt | None = None
        self.closed: list[tuple[Attempt, bool]] = []

    def run(self) -> list[tuple[Attempt, bool]]:
        for instant, time in enumerate(self.course.times):
            if self.open is not None and time - self.open.times[0] > self.funnel.window:
                self._close(excluded=False)
            self._step(instant)
            self._exclude(instant)
        if self.open is not None:
            self._close(excluded=False)
        return self.closed

    def _close(self, *, excluded: bool) -> None:
        assert self.open is not None
        self.closed.append((self.open, excluded))
        self.open = None

    def _step(self, instant: int) -> None:
        """Extends the open attempt as far as can be; what it leaves over once complete may open others."""
        masks, left = self.course.masks[instant], list(range(len(self.course.masks[instant])))
        while left and (self.open is not None or self.course.opens[instant]):
            attempt = self.open or Attempt([], [])
            done = len(attempt.times)
            end = done + 1 if self.funnel.strict_ties else len(self.funnel.steps)
            events = [left[index] for index in fill([masks[event] for event in left], range(len(self.funnel.steps)), done, end)]
            if not events:
                return
            self.course.add(attempt, instant, events)
            left = [event for event in left if event not in events]
            self.open = attempt
            if len(attempt.times) < len(self.funnel.steps):
                return
            self._close(excluded=False)

    def _exclude(self, instant: int) -> None:
        """Closes the open attempt if an excluding event comes after its exclusion's first step, the second not being reached."""
        if self.open is None:
            return
        done, time = len(self.open.times), self.course.times[instant]
        bars = self.course.bars[instant]
        lows = [
            low
            for bit, (_, low, high) in enumerate(self.funnel.exclusions)
            if bars >> bit & 1 and low < done <= high and self.open.times[low] < time
        ]
        if not lows:
            return
        if self.funnel.on_exclude == "drop_from_step":
            kept = min(lows) + 1
            self.open = Attempt(self.open.times[:kept], self.open.rows[:kept])
        self._close(excluded=self.funnel.on_exclude == "remove")
