"""Attempts that no exclusion poisons, found for all subjects at once (R-F7): the latest clean start is carried from step to step.

Of the events that do a step the latest has both the latest start and the shortest stretch that an exclusion could lie in, so it alone is
carried. What happens after the last step may poison a later start and spare an earlier one; that is left to `exclusion`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from consentryd.analytics.kernel.chain import ABSENT, Ints
from consentryd.analytics.kernel.change import firsts
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.trail import Front, Trail


def clean_starts(trail: Trail, starts: Ints, depth: Ints, funnel: Funnel) -> Ints:
    """By key, of subjects whose deepest attempts have `depth` steps: the start of one that nothing poisons before its last step.

    `ABSENT` where there is none. Instants that need matching are not understood.
    """
    found = np.full(len(depth), ABSENT, np.int64)
    barring = _barring(trail)
    for done, reached in enumerate(_fronts(trail, starts, barring, funnel), start=1):
        front = _undisturbed(trail, reached, barring & _bits(funnel, 0, inside=False), funnel) if done == 1 else reached
        deepest = depth[trail.key[front.place]] == done
        place, start = front.place[deepest], front.start[deepest]
        first = firsts(trail.key[place])
        found[trail.key[place[first]]] = start[first]
    return found


def _barring(trail: Trail) -> Ints:
    """By event its exclusions, if no other event of its instant matches a step."""
    if not trail.tied:
        return trail.bars
    doing = np.bincount(trail.instant[trail.steps != 0], minlength=len(trail.key))[trail.instant]
    barring: Ints = np.where(doing - (trail.steps != 0) == 0, trail.bars, 0)
    return barring


def _bits(funnel: Funnel, step: int, *, inside: bool) -> int:
    """Exclusions that a step lies strictly inside of, or that it has entered and not left."""
    ranges = enumerate((low, high) for _, low, high in funnel.exclusions)
    return sum(1 << bit for bit, (low, high) in ranges if (low < step if inside else low <= step) and step < high)


def _fronts(trail: Trail, starts: Ints, barring: Ints, funnel: Funnel) -> Iterator[Front]:
    front = Front(starts, starts)
    yield front
    for previous, step in zip(funnel.mandatory, funnel.mandatory[1:], strict=False):
        front = _advance(trail, front, step, barring, funnel.bars(previous, step), funnel)
        yield front


def _advance(trail: Trail, front: Front, step: int, barring: Ints, bars: int, funnel: Funnel) -> Front:
    place, nearest = trail.nearest(front.place, trail.doing(step), strict=funnel.strict_ties)
    prior, start = front.place[nearest], front.start[nearest]
    good = (trail.key[place] == trail.key[start]) & (trail.time[place] - trail.time[start] <= funnel.window)
    good &= (barring[place] & _bits(funnel, step, inside=True)) == 0
    barred = np.flatnonzero(barring & bars)
    last = np.concatenate([[ABSENT], trail.instant[barred]])[np.searchsorted(barred, trail.instant[place])]
    good &= last <= trail.instant[prior]
    return Front(place[good], start[good])


def _undisturbed(trail: Trail, front: Front, barring: Ints, funnel: Funnel) -> Front:
    """First steps with no excluding event after them within the window."""
    barred = np.flatnonzero(barring)
    if not len(barred):
        return front
    following = np.searchsorted(barred, trail.following(front.place))
    nearest = barred[np.minimum(following, len(barred) - 1)]
    disturbed = (following < len(barred)) & (trail.key[nearest] == trail.key[front.place])
    disturbed &= trail.time[nearest] - trail.time[front.place] <= funnel.window
    return Front(front.place[~disturbed], front.start[~disturbed])
