"""One subject's instants, for the funnels whose rules need them one by one: shared instants, exclusions, entries with either."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from consentryd.analytics.kernel.chain import Bools
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.matching import fill
from consentryd.analytics.kernel.trail import Trail


class Attempt(NamedTuple):
    """Time and stream position of each step done, optional ones left out."""

    times: list[int]
    rows: list[int]


class Course(NamedTuple):
    """By instant: its time, the step bits and stream positions of its step events, its exclusion bits, whether a chain may start
    there, and how many events it has in all.

    An excluding event does not count where another event of its instant matches a step (R-F7).
    """

    times: list[int]
    masks: list[list[int]]
    rows: list[list[int]]
    bars: list[int]
    opens: list[bool]
    sizes: list[int]

    def add(self, attempt: Attempt, instant: int, events: list[int]) -> None:
        """Lets an attempt do its next steps with events of an instant."""
        attempt.times.extend([self.times[instant]] * len(events))
        attempt.rows.extend(self.rows[instant][event] for event in events)


def course_of(trail: Trail, first: int, end: int, starts: Bools) -> Course:
    """The events [first, end) of a trail; `starts` says for each of these whether it may start a chain.

    Of one instant those that match the fewest steps come first: matching prefers them and leaves the others for attempts to come.
    """
    course = Course([], [], [], [], [], [])
    columns = (trail.time, trail.steps, trail.bars, trail.row)
    events = zip(*(column[first:end].tolist() for column in columns), starts.tolist(), strict=True)
    for time, group in groupby(events, key=lambda event: event[0]):
        at_once = sorted(group, key=lambda event: event[1].bit_count())
        doing = sum(steps != 0 for _, steps, _, _, _ in at_once)
        course.times.append(time)
        course.sizes.append(len(at_once))
        course.masks.append([steps for _, steps, _, _, _ in at_once if steps])
        course.rows.append([row for _, steps, _, row, _ in at_once if steps])
        course.opens.append(any(start for _, _, _, _, start in at_once))
        bars = 0
        for _, steps, barred, _, _ in at_once:
            bars |= barred if doing - (steps != 0) == 0 else 0
        course.bars.append(bars)
    return course


class Deepest(NamedTuple):
    """How deep a course goes, when it first gets there, and the latest start of a chain that ends then."""

    depth: int
    end: int
    start: int


def deepest(course: Course, funnel: Funnel, chain: Sequence[int]) -> Deepest:
    """By the latest feasible start of each depth, carried from instant to instant; exclusions are not looked at."""
    best = Deepest(0, 0, 0)
    carried: list[int | None] = [None] * (len(chain) + 1)
    for time, masks, opens in zip(course.times, course.masks, course.opens, strict=True):
        now = _reached(time, masks, opens, carried, funnel, chain)
        for depth, start in sorted(now.items()):
            if depth > best.depth:
                best = Deepest(depth, time, start)
            before = carried[depth]
            carried[depth] = start if before is None else max(before, start)
    return best


def _reached(
    time: int, masks: list[int], opens: bool, carried: list[int | None], funnel: Funnel, chain: Sequence[int]
) -> dict[int, int]:
    """Depths that an instant's events complete, each with the latest start."""
    found: dict[int, int] = {}
    for done in range(len(chain)):
        start = (time if opens else None) if done == 0 else carried[done]
        if start is None or time - start > funnel.window:
            continue
        end = done + 1 if funnel.strict_ties else len(chain)
        for depth in range(done + 1, done + 1 + len(fill(masks, chain, done, end))):
            found[depth] = max(found.get(depth, start), start)
    return found


def walk(course: Course, funnel: Funnel, chain: Sequence[int], best: Deepest) -> Attempt:
    """The chain from the chosen start, each step as early as can be (R-F8)."""
    attempt = Attempt([], [])
    for instant in range(course.times.index(best.start), len(course.times)):
        done = len(attempt.times)
        end = min(done + 1 if funnel.strict_ties else len(chain), best.depth)
        course.add(attempt, instant, fill(course.masks[instant], chain, done, end))
        if len(attempt.times) == best.depth:
            break
    return attempt
