"""Ordered funnels (R-F2 to R-F4, R-F7, R-F8, R-F14): per step the latest feasible start is carried, for a later start is never worse."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from consentryd.analytics.kernel.chain import ABSENT, Bools, Chains, Ints, blank
from consentryd.analytics.kernel.change import firsts
from consentryd.analytics.kernel.clean import clean_starts
from consentryd.analytics.kernel.course import Attempt, Course, course_of, deepest, walk
from consentryd.analytics.kernel.exclusion import kept, suspects
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.trail import Front, Trail, trail_of
from consentryd.analytics.stream import Stream


class Ending(NamedTuple):
    """By key: mandatory steps done, the latest start of a chain that ends where that depth is first completed, and which steps were done."""

    depth: Ints
    start: Ints
    reached: Bools


def chains(stream: Stream, funnel: Funnel) -> Chains:
    """One line for each subject that entered."""
    trail = trail_of(stream, funnel)
    starts = starts_of(trail, funnel)
    ending = _ending(trail, starts, funnel)
    keys = np.flatnonzero(ending.depth)
    place = _places(trail, ending.start[keys], ending.depth[keys], funnel)
    found = _lines(trail, place, keys, ending, funnel)
    slow = np.zeros(len(keys), np.bool_) if funnel.strict_ties else trail.hard()[keys]
    if funnel.exclusions:
        slow |= _judge(trail, starts, found, suspects(trail, place, funnel) & ~slow, keys, ending, funnel)
    if slow.any():
        _look_closer(trail, starts, found, np.flatnonzero(slow), keys, funnel)
    return found


def _judge(trail: Trail, starts: Ints, found: Chains, suspect: Bools, keys: Ints, ending: Ending, funnel: Funnel) -> Bools:
    """Rewrites the suspect lines that have no clean chain, or one that is found at once. Gives the others."""
    if funnel.on_exclude != "remove" or not suspect.any():
        return suspect
    lines = np.flatnonzero(suspect)
    start = clean_starts(trail, starts, ending.depth, funnel)[keys[lines]]
    kept = start != ABSENT
    place = np.full((len(lines), len(funnel.steps)), ABSENT, np.int64)
    place[kept] = _places(trail, start[kept], ending.depth[keys[lines[kept]]], funnel)
    better = _lines(trail, place, keys[lines], ending, funnel)
    better.excluded[:] = ~kept
    better.reached[~kept] = False
    for column, replacement in zip(found, better, strict=True):
        column[lines] = replacement
    left = np.zeros(len(keys), np.bool_)
    left[lines] = suspects(trail, place, funnel)
    return left


def starts_of(trail: Trail, funnel: Funnel) -> Ints:
    """Positions of the events that may start an attempt (R-F1, `entry`)."""
    first_steps = trail.doing(0)
    if funnel.entry == "any" and trail.lies_within(funnel.since, funnel.until):
        return first_steps
    within = _within(trail.time.take(first_steps), funnel)
    if funnel.entry == "any":
        return first_steps[within]
    eligible = first_steps if funnel.entry == "first_ever" else first_steps[within]
    earliest = np.full(len(trail.subject), np.iinfo(np.int64).max)
    np.minimum.at(earliest, trail.key[eligible], trail.time[eligible])
    found: Ints = first_steps[within & (trail.time[first_steps] == earliest[trail.key[first_steps]])]
    return found


def _within(time: Ints, funnel: Funnel) -> Bools:
    found: Bools = (time >= funnel.since) & (time < funnel.until)
    return found


def _ending(trail: Trail, starts: Ints, funnel: Funnel) -> Ending:
    keys = len(trail.subject)
    ending = Ending(np.zeros(keys, np.int64), np.zeros(keys, np.int64), np.zeros((keys, len(funnel.steps)), np.bool_, order="F"))
    front = Front(starts, starts)
    _deepen(front, *_note(trail, front, 0, ending), ending)
    for number, step in enumerate(funnel.steps[1:], start=1):
        following = advance(trail, front, number, funnel)
        first, key = _note(trail, following, number, ending)
        if not step.optional:
            front = following
            _deepen(front, first, key, ending)
    return ending


def _deepen(front: Front, first: Ints, key: Ints, ending: Ending) -> None:
    ending.depth[key] += 1
    ending.start[key] = front.start.take(first)


def advance(trail: Trail, front: Front, step: int, funnel: Funnel) -> Front:
    """The events of a step that continue the latest chain before them within its window."""
    place, nearest = trail.nearest(front.place, trail.doing(step), strict=funnel.strict_ties)
    start = front.start.take(nearest)
    within = trail.time.take(place) - trail.time.take(start) <= funnel.window
    feasible = np.flatnonzero((trail.key.take(place) == trail.key.take(start)) & within)
    return Front(place.take(feasible), start.take(feasible))


def _note(trail: Trail, front: Front, number: int, ending: Ending) -> tuple[Ints, Ints]:
    """Notes who did the step. Gives the first event of each key, as indices of the front, and the keys."""
    key = trail.key.take(front.place)
    first = firsts(key)
    own = key.take(first).astype(np.int64)
    ending.reached[:, number][own] = True
    return first, own


def _places(trail: Trail, start: Ints, depth: Ints, funnel: Funnel) -> Ints:
    """Positions of the chosen chains' steps: from the start, each as early as can be."""
    place = np.full((len(start), len(funnel.steps)), ABSENT, np.int64, order="F")
    place[:, 0] = _foremost(trail, start, 0)
    previous = start
    for number, step in enumerate(funnel.steps[1:], start=1):
        done = funnel.before(number)
        lines = np.flatnonzero(depth >= done) if step.optional else np.flatnonzero(depth > done)
        candidates = trail.doing(number)
        after = trail.following(previous[lines]) if funnel.strict_ties else previous[lines] + 1
        found = np.searchsorted(candidates, after)
        if step.optional:
            lines, found = _optional(trail, candidates, found, lines, start, funnel)
        place[lines, number] = _foremost(trail, candidates[found], number)
        if not step.optional:
            previous = previous.copy()
            previous[lines] = candidates[found]
    return place


def _optional(trail: Trail, candidates: Ints, found: Ints, lines: Ints, start: Ints, funnel: Funnel) -> tuple[Ints, Ints]:
    """The lines whose chain is followed by an optional step within the window, and which event does it."""
    within = found < len(candidates)
    lines, found = lines[within], found[within]
    place, begin = candidates[found], start[lines]
    good = (trail.key[place] == trail.key[begin]) & (trail.time[place] - trail.time[begin] <= funnel.window)
    return lines[good], found[good]


def _foremost(trail: Trail, place: Ints, step: int) -> Ints:
    """Of events of one instant that match the same step, the first in the stream stands for all."""
    if not trail.tied or not len(place):
        return place
    candidates = trail.doing(step)
    return candidates[np.searchsorted(candidates, trail.instant[place])]


def _lines(trail: Trail, place: Ints, keys: Ints, ending: Ending, funnel: Funnel) -> Chains:
    found = blank(trail.subject[keys], len(funnel.steps))
    found.depth[:] = ending.depth[keys]
    for step in range(len(funnel.steps)):
        known = np.flatnonzero(place[:, step] != ABSENT)
        events = place[:, step].take(known)
        found.time[:, step][known] = trail.time.take(events)
        found.row[:, step][known] = trail.row.take(events)
        found.reached[:, step] = ending.reached[:, step].take(keys)
    return found


def _look_closer(trail: Trail, starts: Ints, found: Chains, lines: Ints, keys: Ints, funnel: Funnel) -> None:
    """The same, instant by instant, for the lines that need it."""
    may_start = np.zeros(len(trail.key), np.bool_)
    may_start[starts] = True
    bounds = trail.bounds()
    for line in lines.tolist():
        first, end = (int(bound) for bound in bounds[keys[line] : keys[line] + 2])
        _rewrite(found, line, course_of(trail, first, end, may_start[first:end]), funnel)


def _rewrite(found: Chains, line: int, course: Course, funnel: Funnel) -> None:
    chain = funnel.mandatory
    best = deepest(course, funnel, chain)
    attempt = kept(course, funnel, best.depth) if funnel.exclusions else walk(course, funnel, chain, best)
    for column in (found.time, found.row):
        column[line] = ABSENT
    found.reached[line] = False
    found.depth[line] = best.depth if attempt is None else len(attempt.times)
    found.excluded[line] = attempt is None
    if attempt is not None:
        steps = list(chain[: len(attempt.times)])
        found.reached[line, steps] = True
        found.time[line, steps] = attempt.times
        found.row[line, steps] = attempt.rows
        _rewrite_optional(found, line, course, attempt, funnel)


def _rewrite_optional(found: Chains, line: int, course: Course, attempt: Attempt, funnel: Funnel) -> None:
    for number, step in enumerate(funnel.steps):
        done = funnel.before(number)
        if not step.optional or done > len(attempt.times):
            continue
        side = (*funnel.mandatory[:done], number)
        found.reached[line, number] = deepest(course, funnel, side).depth == len(side)
        event = _first_after(course, attempt, number, done, funnel)
        if event is not None:
            found.time[line, number], found.row[line, number] = event


def _first_after(course: Course, attempt: Attempt, number: int, done: int, funnel: Funnel) -> tuple[int, int] | None:
    """The first event of an optional step that the chain's earlier steps leave over, within the window."""
    used = set(attempt.rows[:done])
    for time, masks, rows in zip(course.times, course.masks, course.rows, strict=True):
        early = time <= attempt.times[done - 1] if funnel.strict_ties else time < attempt.times[done - 1]
        if early or time - attempt.times[0] > funnel.window:
            continue
        for mask, row in zip(masks, rows, strict=True):
            if mask >> number & 1 and row not in used:
                return time, row
    return None
