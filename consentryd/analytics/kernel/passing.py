"""Who is behind a number of paths: subjects of passages, visits, whole paths and transitions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from consentryd.analytics.kernel.chain import Ints
from consentryd.analytics.kernel.change import changes, firsts
from consentryd.analytics.kernel.paths import END, START, Walk


def passed(walk: Walk, step: Ints, at: int, origin: int, target: int) -> Ints:
    """Who went from an item at a step to an item at the next. `walk` and `step` as `shortened` gives them."""
    went = np.flatnonzero((walk.session[1:] == walk.session[:-1]) & (walk.item[:-1] == origin) & (walk.item[1:] == target))
    return np.unique(walk.subject[went[step[went] == at]])


def arrived(walk: Walk, step: Ints, at: int, item: int) -> Ints:
    """Who came to an item at a step."""
    return np.unique(walk.subject[(step == at) & (walk.item == item)])


def took(walk: Walk, items: Sequence[int]) -> Ints:
    """Whose sessions have these items and no other, in this order."""
    first = firsts(walk.session)
    first = first[np.diff(first, append=len(walk.session)) == len(items)]
    same = np.ones(len(first), np.bool_)
    for place, item in enumerate(items):
        same &= walk.item[first + place] == item
    return np.unique(walk.subject[first[same]])


def turned(walk: Walk, origin: int, target: int) -> Ints:
    """Who went from an item to another anywhere in a session, from `START` or to `END` too. `walk` before it is shortened."""
    begins = changes(walk.session)
    ends = np.append(begins[1:], values=True)[: len(begins)]
    if origin == START:
        return np.unique(walk.subject[begins & (walk.item == target)])
    if target == END:
        return np.unique(walk.subject[ends & (walk.item == origin)])
    went = np.flatnonzero(~begins[1:] & (walk.item[:-1] == origin) & (walk.item[1:] == target))
    return np.unique(walk.subject[went])
