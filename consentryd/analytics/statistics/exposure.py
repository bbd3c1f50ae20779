"""Who is in an experiment, in which arm since when, and what they did after that (1.10, unit rules).

All of one `Stream`; results of several streams are concatenated, or their `Moments`, `Pair` and `Proportion` merged.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from consentryd.analytics.statistics.array import Bools, Floats, Ints
from consentryd.analytics.statistics.segment import heads
from consentryd.analytics.stream import Stream


class Assignment(NamedTuple):
    """One line per exposed subject, by subject ascending: int64 subject, code of the variant of the first exposure, its time, and whether
    the subject saw more than one variant."""

    subject: Ints
    variant: Ints
    first: Ints
    mixed: Bools

    def exposed(self, variants: int, keep: Bools | None = None) -> list[int]:
        """Subjects by variant code, of all lines or those kept: what `srm.split` asks for."""
        lines = self.variant if keep is None else self.variant[keep]
        return [int(count) for count in np.bincount(lines, minlength=variants)]

    def lines(self, variant: int, keep: Bools) -> Ints:
        """Positions of an arm's lines among those kept: index `Outcome` columns with them to get the arm's values."""
        return np.flatnonzero((self.variant == variant) & keep)


class Outcome(NamedTuple):
    """For each line of an assignment: matching events since exposure, the sum of their values, and the same sum before (nan: not there)."""

    events: Ints
    total: Floats
    before: Floats


def assign(stream: Stream, exposure: int, variant: str) -> Assignment:
    """By the events of definition `exposure` whose text column `variant` is not missing. Of variants seen at one instant first, the lower
    code is taken; such a subject is mixed anyway."""
    codes = np.asarray(stream.values[variant], np.int64)
    rows = np.flatnonzero(stream.matches(exposure) & (codes >= 0))
    subject, time, seen = stream.subject[rows], stream.time[rows], codes[rows]
    edges = np.flatnonzero(heads(subject))
    if not len(edges):
        return Assignment(subject, seen, time, np.zeros(0, np.bool_))
    first = time[edges]
    at_first = time == np.repeat(first, np.diff(np.append(edges, len(rows))))
    variants = np.minimum.reduceat(np.where(at_first, seen, np.iinfo(np.int64).max), edges)
    mixed = np.minimum.reduceat(seen, edges) != np.maximum.reduceat(seen, edges)
    return Assignment(subject[edges], variants, first, mixed)


def kept(
    assignment: Assignment, watermark: int, window: int | None = None, mixed: Literal["exclude", "first"] = "exclude"
) -> Bools:
    """Which lines are analysed: not the mixed ones, unless kept at first, and with a window (microseconds) only those whose window has
    closed by the watermark."""
    lines = np.ones(len(assignment.subject), np.bool_) if mixed == "first" else ~assignment.mixed
    return lines if window is None else lines & (assignment.first + window <= watermark)


def outcome(
    stream: Stream,
    assignment: Assignment,
    metric: int,
    value: str | None = None,
    window: int | None = None,
    lookback: int = 0,
    first_seen: Ints | None = None,
) -> Outcome:
    """What each line did of definition `metric`: from its first exposure on, both ends of the window included, and within `lookback`
    microseconds before it.

    `value` names a numeric column (nan counts 0); without it events are counted. `first_seen` (of each line, over all history) tells who
    was there before; without it the stream's earliest event of the subject does.
    """
    line, rows = _lines(stream, assignment, np.flatnonzero(stream.matches(metric)))
    worth = np.ones(len(rows)) if value is None else np.nan_to_num(np.asarray(stream.values[value], np.float64)[rows])
    since = stream.time[rows] - assignment.first[line]
    after = since >= 0 if window is None else (since >= 0) & (since <= window)
    lines = len(assignment.subject)
    earlier = (since < 0) & (since >= -lookback)
    before = np.bincount(line[earlier], worth[earlier], lines)
    known = (_earliest(stream, assignment) if first_seen is None else first_seen) < assignment.first
    return Outcome(
        events=np.bincount(line[after], minlength=lines).astype(np.int64),
        total=np.bincount(line[after], worth[after], lines).astype(np.float64),
        before=np.where(known, before, np.nan),
    )


def _lines(stream: Stream, assignment: Assignment, rows: Ints) -> tuple[Ints, Ints]:
    """The line that each row's subject has, and the rows whose subject has one."""
    subject = stream.subject[rows]
    line = np.searchsorted(assignment.subject, subject)
    has = line < len(assignment.subject)
    has[has] = assignment.subject[line[has]] == subject[has]
    return line[has], rows[has]


def _earliest(stream: Stream, assignment: Assignment) -> Ints:
    return stream.time[np.searchsorted(stream.subject, assignment.subject)]
