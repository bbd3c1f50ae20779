"""Limits which events may be a funnel's first step, where that depends on more than their definition."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.funnel import Funnel, Step
from consentryd.analytics.kernel.ordered import starts_of
from consentryd.analytics.kernel.trail import bits, trail_of
from consentryd.analytics.stream import MAX_DEFINITIONS, Stream

#: The definition of marked events: the one bit of a mask that no query uses.
MARK = MAX_DEFINITIONS


def start_rows(stream: Stream, funnel: Funnel) -> Ints:
    """Positions in the stream of the events that may start (R-F1, `entry`), ascending."""
    trail = trail_of(stream, funnel)
    rows: Ints = np.sort(trail.row[starts_of(trail, funnel)])
    return rows


def relevant(stream: Stream, funnel: Funnel) -> Bools:
    """Which events a funnel looks at: those of its steps and exclusions, or all if the steps must follow each other directly."""
    if funnel.order == "strict":
        return np.ones(len(stream.code), np.bool_)
    looked = bits(stream.masks, [step.definition for step in funnel.steps])
    looked |= bits(stream.masks, [exclusion.definition for exclusion in funnel.exclusions])
    found: Bools = (looked != 0)[stream.code]
    return found


def marked(stream: Stream, marks: Bools, funnel: Funnel) -> tuple[Stream, Funnel]:
    """A stream and funnel whose first step is done by the marked events only. Other steps keep their definitions, also the same one."""
    code: Any = stream.code.astype(np.int32) + np.where(marks, len(stream.masks), 0).astype(
        np.int32
    )  # twice as many may not fit 16 bits
    masks = np.concatenate([stream.masks, stream.masks | (1 << MARK)])
    steps = (Step(MARK), *funnel.steps[1:])
    return stream._replace(code=code, masks=masks), replace(funnel, steps=steps, entry="any")


def taken(stream: Stream, rows: Ints) -> Stream:
    """Some of a stream's events."""
    values = {name: column[rows] for name, column in stream.values.items()}
    return stream._replace(subject=stream.subject[rows], time=stream.time[rows], code=stream.code[rows], values=values)
