"""Funnels in any order (R-F6): the most steps done inside one window; column j of the chains is the j-th step completed."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np

from consentryd.analytics.kernel.chain import ABSENT, Bools, Chains, Ints, blank
from consentryd.analytics.kernel.change import firsts
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.matching import most
from consentryd.analytics.kernel.trail import Trail, trail_of
from consentryd.analytics.stream import Stream

NEVER = np.iinfo(np.int64).max


def chains(stream: Stream, funnel: Funnel) -> Chains:
    """One line for each subject that entered: did any step in the range, or the first step if that anchors the window."""
    trail = trail_of(stream, funnel)
    starts = _starts(trail, funnel)
    keys = np.unique(trail.key[starts])
    found = blank(trail.subject[keys], len(funnel.steps))
    several = np.zeros(len(trail.subject), np.bool_)
    several[trail.key[(trail.steps & (trail.steps - 1)) != 0]] = True
    plain = starts[~several[trail.key[starts]]]
    _slide(trail, plain, np.searchsorted(keys, trail.key[plain]), found, funnel)
    bounds, may_start = trail.bounds(), _marked(len(trail.key), starts)
    for line in np.flatnonzero(several[keys]).tolist():
        first, end = (int(bound) for bound in bounds[keys[line] : keys[line] + 2])
        _rewrite(trail, may_start, found, line, slice(first, end), funnel)
    return found


def _marked(length: int, places: Ints) -> Bools:
    found = np.zeros(length, np.bool_)
    found[places] = True
    return found


def _starts(trail: Trail, funnel: Funnel) -> Ints:
    may = trail.doing(0) if funnel.anchor_first else np.arange(len(trail.key))
    within = may[(trail.time[may] >= funnel.since) & (trail.time[may] < funnel.until)]
    if funnel.entry == "any":
        return within
    eligible = may if funnel.entry == "first_ever" else within
    earliest = np.full(len(trail.subject), NEVER)
    np.minimum.at(earliest, trail.key[eligible], trail.time[eligible])
    found: Ints = within[trail.time[within] == earliest[trail.key[within]]]
    return found


def _slide(trail: Trail, starts: Ints, line: Ints, found: Chains, funnel: Funnel) -> None:
    """For every start the next event of each step, if it is in the window: sorted, these complete 1, 2, ... steps."""
    if not len(starts):
        return
    place = np.full((len(starts), len(funnel.steps)), NEVER)
    for step in range(len(funnel.steps)):
        candidates = trail.doing(step)
        nearest = np.searchsorted(candidates, trail.instant[starts])
        inside = np.flatnonzero(nearest < len(candidates))
        event, start = candidates[nearest[inside]], starts[inside]
        good = (trail.key[event] == trail.key[start]) & (trail.time[event] - trail.time[start] <= funnel.window)
        place[inside[good], step] = event[good]
    place.sort(axis=1)
    done = place != NEVER
    depth = done.sum(axis=1)
    chosen = _chosen(line, depth, trail.time[place[np.arange(len(starts)), depth - 1]])
    lines = line[chosen]
    found.depth[lines], found.reached[lines] = depth[chosen], done[chosen]
    known = np.where(done[chosen], place[chosen], 0)
    found.time[lines] = np.where(done[chosen], trail.time[known], ABSENT)
    found.row[lines] = np.where(done[chosen], trail.row[known], ABSENT)


def _chosen(line: Ints, depth: Ints, ended: Ints) -> Ints:
    """Of each line, which are together, the start of the greatest depth that ends first, and of several such the last."""
    first = firsts(line)
    number = np.repeat(np.arange(len(first)), np.diff(first, append=len(line)))
    ends = np.where(depth == np.maximum.reduceat(depth, first)[number], ended, NEVER)
    best = np.flatnonzero(ends == np.minimum.reduceat(ends, first)[number])
    last: Ints = best[np.append(firsts(line[best])[1:], len(best)) - 1]
    return last


def _rewrite(trail: Trail, may_start: Bools, found: Chains, line: int, events: slice, funnel: Funnel) -> None:
    """A subject with events that match several steps: the most steps of each window, by matching."""
    times, masks, rows = (column[events].tolist() for column in (trail.time, trail.steps, trail.row))
    alike: dict[int, list[int]] = {}
    for event, mask in enumerate(masks):
        alike.setdefault(mask, []).append(event)
    best: list[int] = []
    for start in np.flatnonzero(may_start[events]).tolist():
        done = _completions(times, masks, alike, start, funnel)
        if not best or _rank(done, times) < _rank(best, times):
            best = done
    depth = len(best)
    found.depth[line] = depth
    found.reached[line, :depth] = True
    found.time[line, :depth] = [times[event] for event in best]
    found.row[line, :depth] = [rows[event] for event in best]


def _rank(done: list[int], times: list[int]) -> tuple[int, int, int, list[int]]:
    return (-len(done), times[done[-1]], -times[done[0]], [times[event] for event in done])


def _completions(times: list[int], masks: list[int], alike: dict[int, list[int]], start: int, funnel: Funnel) -> list[int]:
    """Events of the window from `start` that let one more step be done than before them.

    An event that does not is never of use later (transversal matroid), nor is one like it; so of each kind only as many as steps are tried.
    """
    steps = len(funnel.steps)
    first = bisect_left(times, times[start])
    done = [start] if funnel.anchor_first else []
    others = range(1, steps) if funnel.anchor_first else range(steps)
    next_ones = (places[low : low + steps + 1] for places in alike.values() for low in [bisect_left(places, first)])
    for event in sorted(event for places in next_ones for event in places):
        if times[event] - times[start] > funnel.window:
            break
        used = [masks[other] for other in done if not (funnel.anchor_first and other == start)]
        if event not in done and most([*used, masks[event]], others) > len(used):
            done.append(event)
    return done
