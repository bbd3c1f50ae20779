"""Subjects who made no pause before a range: nothing in what was read of them says where their sessions begin."""

from __future__ import annotations

import numpy as np

from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.change import firsts
from consentryd.analytics.stream import Stream


def restless(stream: Stream, gap: int, read: int, since: int) -> Ints:
    """Of a stream read from `read` on, those who may have come until `since` without a pause longer than `gap`, ascending."""
    early = np.flatnonzero(stream.time < since)
    subject, time = stream.subject[early], stream.time[early]
    if not len(early):
        return subject
    first = firsts(subject)
    pause = np.empty(len(early), np.int64)
    pause[1:] = np.diff(time)
    pause[first] = time[first] - read
    last = np.append(first[1:], len(early)) - 1
    never: Bools = (np.maximum.reduceat(pause, first) <= gap) & (since - time[last] <= gap)
    return subject[first[never]]


def parted(stream: Stream, subjects: Ints) -> tuple[Bools, Bools]:
    """Which events are not of some subjects, and which are."""
    place = np.minimum(np.searchsorted(subjects, stream.subject), max(len(subjects) - 1, 0))
    own: Bools = subjects[place] == stream.subject if len(subjects) else np.zeros(len(stream.subject), np.bool_)
    return ~own, own
