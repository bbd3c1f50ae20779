"""Engaged time of sessions: that in which heartbeats came (section 1.7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from consentryd.analytics.kernel.chain import Ints
from consentryd.analytics.kernel.change import changes
from consentryd.analytics.stream import Stream


class Beats(NamedTuple):
    """Which events are heartbeats, and how long a pause between two of them still is engaged time, microseconds."""

    definition: int
    most: int


def engaged(stream: Stream, beats: Beats, apart: Sequence[str], first: Ints) -> Ints:
    """Microseconds by session, whose first events are at `first`, none of them a heartbeat; `apart` as in `Cut`.

    A heartbeat is of the last session that began before it or at its instant, of the same subject and the same values of `apart`. Engaged is
    the time between two that follow each other in a session and are no further apart than `most`; a single one is none.
    """
    begins = np.zeros(len(stream.code), np.bool_)
    begins[first] = True
    columns = [stream.values[name] for name in apart]
    order = np.lexsort((~begins, stream.time, *columns, stream.subject))
    alone = changes(stream.subject[order])
    for column in columns:
        alone |= changes(column[order])
    begins = begins[order]
    session, group = np.cumsum(begins) - 1, np.cumsum(alone) - 1
    line = np.empty(len(stream.code), np.int64)
    line[first] = np.arange(len(first))
    opened = np.flatnonzero(begins)
    beat = np.flatnonzero(stream.matches(beats.definition)[order])
    beat = beat[session[beat] >= 0]
    beat = beat[group[beat] == group[opened[session[beat]]]] if len(beat) else beat
    pause = np.diff(stream.time[order[beat]])
    near = (session[beat[1:]] == session[beat[:-1]]) & (pause <= beats.most)
    found = np.zeros(len(first), np.int64)
    np.add.at(found, line[order[opened[session[beat[1:][near]]]]], pause[near])
    return found
