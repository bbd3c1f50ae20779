"""Strict funnels (R-F5): the steps follow each other directly in all that a stream holds of the subject; shared instants in any order."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from consentryd.analytics.kernel.chain import ABSENT, Bools, Chains, Ints, blank
from consentryd.analytics.kernel.course import Attempt, Course, course_of
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.matching import fill
from consentryd.analytics.kernel.ordered import starts_of
from consentryd.analytics.kernel.trail import Trail, trail_of
from consentryd.analytics.stream import Stream


def chains(stream: Stream, funnel: Funnel) -> Chains:
    """One line for each subject that entered. Every event of the stream counts as between: leave out of it what is to be ignored."""
    trail = trail_of(stream, funnel, everything=True)
    starts = starts_of(trail, funnel)
    keys = np.unique(trail.key[starts])
    found = blank(trail.subject[keys], len(funnel.steps))
    _run(trail, starts, np.searchsorted(keys, trail.key[starts]), found, funnel)
    for line in np.flatnonzero(_shared(trail)[keys]).tolist():
        _rewrite(trail, starts, found, line, int(keys[line]), funnel)
    return found


def _run(trail: Trail, starts: Ints, line: Ints, found: Chains, funnel: Funnel) -> None:
    """Runs from every start, a step at a time; the first start of the greatest depth is the chosen one."""
    start = starts
    for step in range(len(funnel.steps)):
        place = start + step
        inside = place < len(trail.key)
        start, line, place = start[inside], line[inside], place[inside]
        good = (
            (trail.key[place] == trail.key[start])
            & ((trail.steps[place] >> step & 1) != 0)
            & (trail.time[place] - trail.time[start] <= funnel.window)
        )
        start, line = start[good], line[good]
        _note(trail, start, line, step, found)


def _note(trail: Trail, start: Ints, line: Ints, step: int, found: Chains) -> None:
    chosen, first = np.unique(line, return_index=True)
    found.depth[chosen] = step + 1
    found.reached[chosen, step] = True
    for done in range(step + 1):
        found.time[chosen, done] = trail.time[start[first] + done]
        found.row[chosen, done] = trail.row[start[first] + done]


def _shared(trail: Trail) -> Bools:
    """By key: whether a step shares its instant with any other event."""
    found = np.zeros(len(trail.subject), np.bool_)
    if trail.tied:
        size = np.bincount(trail.instant, minlength=len(trail.key))
        found[trail.key[(size[trail.instant] > 1) & (trail.steps != 0)]] = True
    return found


def _rewrite(trail: Trail, starts: Ints, found: Chains, line: int, key: int, funnel: Funnel) -> None:
    first, end = (int(bound) for bound in trail.bounds()[key : key + 2])
    may_start = np.zeros(end - first, np.bool_)
    may_start[starts[(starts >= first) & (starts < end)] - first] = True
    course = course_of(trail, first, end, may_start)
    best = min(
        _attempts(course, funnel), key=lambda attempt: (-len(attempt.times), attempt.times[-1], -attempt.times[0], attempt.times)
    )
    depth = len(best.times)
    found.depth[line] = depth
    for column, values in ((found.time, best.times), (found.row, best.rows)):
        column[line] = ABSENT
        column[line, :depth] = values
    found.reached[line] = np.arange(len(funnel.steps)) < depth


def _attempts(course: Course, funnel: Funnel) -> Iterator[Attempt]:
    """Every start with every number of steps that its own instant can do."""
    everything = range(len(funnel.steps))
    for instant, opens in enumerate(course.opens):
        most = 1 if funnel.strict_ties else len(funnel.steps)
        events = fill(course.masks[instant], everything, 0, most) if opens else []
        for done in range(1, len(events) + 1):
            attempt = Attempt([], [])
            course.add(attempt, instant, fill(course.masks[instant], everything, 0, done))
            _follow(attempt, course, instant, funnel)
            yield attempt


def _follow(attempt: Attempt, course: Course, instant: int, funnel: Funnel) -> None:
    """Goes on while each instant is used up by steps."""
    steps = len(funnel.steps)
    for later in range(instant + 1, len(course.times)):
        done = len(attempt.times)
        if done == steps or course.times[later] - attempt.times[0] > funnel.window:
            return
        end = done + 1 if funnel.strict_ties else steps
        events = fill(course.masks[later], range(steps), done, end)
        course.add(attempt, later, events)
        if len(events) < course.sizes[later]:
            return
