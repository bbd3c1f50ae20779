"""Histories as streams, and streams' answers by subject."""

from __future__ import annotations

import numpy as np

from consentryd.analytics.kernel.chain import ABSENT
from consentryd.analytics.stream import Stream


def mask_of(definitions):
    return sum(1 << definition for definition in definitions)


def stream_of(histories, **values):
    """A stream of one subject (10, 11, ...) for each history, a list of (time, set of definitions); columns as one flat list each."""
    events = [(10 + number, *event) for number, history in enumerate(histories) for event in history]
    kinds = sorted({mask_of(event[2]) for event in events}) or [0]
    order = sorted(range(len(events)), key=lambda place: events[place][:2])
    events = [events[place] for place in order]
    columns = {
        name: np.array([column[place] for place in order], None if order else np.int32)
        for name, column in values.items()
        if name != "texts"
    }
    return Stream(
        subject=np.array([event[0] for event in events], np.int64),
        time=np.array([event[1] for event in events], np.int64),
        code=np.array([kinds.index(mask_of(event[2])) for event in events], np.int16),
        masks=np.array(kinds, np.int64),
        values=columns,
        texts=values.get("texts", {}),
    )


def lettered(history, letters):
    """`"0:S 1:P 2:b"` as (time, definitions), a letter's definition being its place in `letters`; times may have fractions of seconds."""
    events = [event.split(":") for event in history.split()]
    return [(round(float(time) * 1_000_000), {letters.index(kind)} if kind in letters else set()) for time, kind in events]


def by_path(found):
    """{items: (sessions, subjects, durations)} of whole paths."""
    durations = found.durations(np.arange(len(found.size)))
    items = np.split(found.item, found.first()[1:])
    lines = zip(items, found.sessions.tolist(), found.subjects.tolist(), durations, strict=False)
    return {tuple(path.tolist()): (sessions, people, taken.tolist()) for path, sessions, people, taken in lines}


def by_subject(chains):
    """{subject: [(depth, reached, times, excluded)]}."""
    found = {}
    for subject, depth, reached, time, _, excluded in zip(*chains, strict=True):
        times = tuple(None if moment == ABSENT else int(moment) for moment in time)
        found.setdefault(int(subject), []).append((int(depth), tuple(map(bool, reached)), times, bool(excluded)))
    return found
