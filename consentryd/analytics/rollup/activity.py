"""How regularly subjects come: what the kernels of lifecycle and stickiness count, counted from bits."""

from __future__ import annotations

from functools import partial
from operator import add

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.kernel.lifecycle import Lifecycle
from consentryd.analytics.kernel.stickiness import Stickiness
from consentryd.analytics.rollup.answering import tally
from consentryd.analytics.rollup.bits import Ints, Words, counts, firsts, later, sizes, trailing
from consentryd.analytics.rollup.presence import Presence
from consentryd.analytics.rollup.wanted import wanted_of


def lifecycle_of(activity: Matcher, edges: tuple[int, ...], asked: Asked) -> Lifecycle | None:
    """Of the buckets after the first, which is the one before the range; None if the events have to be asked."""
    return tally(asked, wanted_of(asked, [activity], edges, history=True), _lifecycle, Lifecycle.merge, "lifecycle")


def stickiness_of(activity: Matcher, edges: tuple[int, ...], asked: Asked) -> Stickiness | None:
    return tally(asked, wanted_of(asked, [activity], edges), _stickiness, Stickiness.merge, "stickiness")


def trailing_of(activity: Matcher, edges: tuple[int, ...], lengths: tuple[int, ...], asked: Asked) -> dict[int, Ints] | None:
    """By length of the window, the distinct subjects of the buckets that end with each."""
    work = partial(_trailing, lengths=lengths)
    found = tally(asked, wanted_of(asked, [activity], edges), work, add, ("trailing", lengths))
    return None if found is None else dict(zip(lengths, found, strict=True))


def first_words(presence: Presence, definition: int = 0) -> Words:
    """The bucket in which each subject did it for the first time ever, unless that was before the first bucket."""
    found = firsts(presence.words[definition])
    found[:, presence.before[definition]] = 0
    return found


def _lifecycle(presence: Presence) -> Lifecycle:
    here, new = presence.words[0], first_words(presence)
    before = later(here, 1)
    statuses = (new, here & before, here & ~before & ~new, before & ~here)
    return Lifecycle(np.stack([counts(each, presence.buckets)[1:] for each in statuses], axis=1))


def _stickiness(presence: Presence) -> Stickiness:
    return Stickiness(np.bincount(sizes(presence.words[0]), minlength=presence.buckets + 1)[1:])


def _trailing(presence: Presence, lengths: tuple[int, ...]) -> Ints:
    return np.stack([counts(trailing(presence.words[0], length), presence.buckets) for length in lengths])
