"""Who comes back, and when (section 1.3): cohorts by bucket of start, returns by distance from it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from consentryd.analytics.kernel.bucket import Active, active, buckets_of, keys_of
from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.change import firsts
from consentryd.analytics.kernel.tie import named
from consentryd.analytics.stream import NONE, Stream, Values

Kind = Literal["recurring", "first_match", "first_ever"]
Floats = npt.NDArray[np.float64]
MAX_PERIODS: Final = 1_000
_CHUNK: Final = 50_000  # lines at once, 8 bytes each for every period


@dataclass(frozen=True, slots=True)
class Retention:
    """The question. Definitions are those of the stream, times UTC microseconds.

    `edges`: of the buckets observed; the first `cohorts` of them are cohorts, the rest is look-ahead. `brackets`: lengths of periods 1, 2
    and on in buckets (or units), after period 0, which is one long. `unit`: None for calendar buckets, else the length of a rolling unit,
    counted from the subject's first start in the range. `event`: for `first_ever`, the definition of the start event without its filters.
    The stream holds all history of these for the two `first` kinds. `group`, `metric`: value columns. `count_events`: the metric is the
    number of return events. `entered`: only starts at [since, until) make members; None: all of the cohorts' buckets.
    """

    start: int
    back: int
    edges: tuple[int, ...]
    cohorts: int
    brackets: tuple[int, ...]
    kind: Kind = "recurring"
    event: int | None = None
    or_after: bool = False
    unit: int | None = None
    min_occurrences: int = 1
    zero_returned: bool = False
    group: str | None = None
    metric: str | None = None
    count_events: bool = False
    entered: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.cohorts < len(self.edges):
            raise ValueError("Retention has one cohort at least and no more than buckets.")
        if not 0 < len(self.brackets) <= MAX_PERIODS or min(self.brackets) < 1:
            raise ValueError(f"Retention has 1 to {MAX_PERIODS} periods, each one bucket long at least.")
        if self.min_occurrences < 1 or (self.unit is not None and self.unit < 1):
            raise ValueError("Occurrences and units are positive.")
        if (self.kind == "first_ever") != (self.event is not None):
            raise ValueError("Only `first_ever` needs the definition of the event without filters.")

    @property
    def has_amount(self) -> bool:
        return self.metric is not None or self.count_events

    @property
    def periods(self) -> int:
        """Columns of the matrix, with period 0."""
        return len(self.brackets) + 1

    def columns(self) -> tuple[int, ...]:
        """Brackets to count in: those asked for, one for all later ones, or one for each of them if each must have several events."""
        if not self.or_after or self.min_occurrences == 1:
            return self.brackets
        width = self.unit or min(high - low for low, high in pairwise(self.edges))
        units = -(-(self.edges[-1] - self.edges[0]) // width)
        return (*self.brackets, *[1] * max(0, units - sum(self.brackets)))


def _period_of(distance: Ints, brackets: tuple[int, ...]) -> Ints:
    """By distance in buckets or units, from 0; one more than brackets for what lies after the last."""
    found: Ints = np.searchsorted(list(accumulate(brackets, initial=1)), distance, side="right")
    return found


class Members(NamedTuple):
    """m lines, each a subject in a cohort.

    `subject`, `cohort`; `time` of the start that made it a member; `group`: value at that start, of several of an instant the first by
    name; `returned` bool[m, periods]; `amount` float64[m, periods]: sums of the metric, or counts, over the return events of the subjects
    that returned.
    """

    subject: Ints
    cohort: Ints
    time: Ints
    group: Values
    returned: Bools
    amount: Floats

    def subjects_at(self, cohort: int, period: int) -> Ints:
        """Who of a cohort returned in a period."""
        found: Ints = self.subject[(self.cohort == cohort) & self.returned[:, period]]
        return found


@dataclass(frozen=True, slots=True)
class Matrix:
    """Partial numbers. `size` int64[cohorts]; `retained` int64[cohorts, periods]; `amount` float64[cohorts, periods]: of the metric, and
    `worth` int64[cohorts, periods]: of how many members it is, of all that were retained where there is no metric;
    `latest` int64[cohorts]: the last start that made a member, UTC microseconds, or -1 (a rolling cell is complete once the period of that
    one is over). Cells that no bucket was observed for are 0."""

    size: Ints
    retained: Ints
    amount: Floats
    worth: Ints
    latest: Ints

    def merge(self, other: Matrix) -> Matrix:
        """Of both. The parts must have no subject in common."""
        return Matrix(
            self.size + other.size,
            self.retained + other.retained,
            self.amount + other.amount,
            self.worth + other.worth,
            np.maximum(self.latest, other.latest),
        )


def matrix(members: Members, question: Retention) -> Matrix:
    """Adds up members."""
    size = np.bincount(members.cohort, minlength=question.cohorts)
    found = Matrix(
        size=size,
        retained=np.zeros((question.cohorts, question.periods), np.int64),
        amount=np.zeros((question.cohorts, question.periods), np.float64),
        worth=np.zeros((question.cohorts, question.periods), np.int64),
        latest=np.full(question.cohorts, -1, np.int64),
    )
    some = np.flatnonzero(size)
    if len(some):
        order = np.argsort(members.cohort, kind="stable")
        first = (np.cumsum(size) - size)[some]
        found.retained[some] = np.add.reduceat(members.returned[order], first, axis=0, dtype=np.int64)
        found.latest[some] = np.maximum.reduceat(members.time[order], first)
        if question.has_amount:
            found.amount[some] = np.add.reduceat(members.amount[order], first, axis=0)
        worth = members.amount[order] != 0 if question.has_amount else members.returned[order]
        found.worth[some] = np.add.reduceat(worth, first, axis=0, dtype=np.int64)
    return found


class Grouped(NamedTuple):
    """Of one value: its matrix, and how many subjects are in it."""

    matrix: Matrix
    people: int

    def merge(self, other: Grouped) -> Grouped:
        """Of both. The parts must have no subject in common."""
        return Grouped(self.matrix.merge(other.matrix), self.people + other.people)


def by_group(members: Members, question: Retention) -> dict[int, Grouped]:
    """By value of the group column."""
    found = {}
    for value in np.unique(members.group).tolist():
        lines = members.group == value
        own = Members(*(column[lines] for column in members))
        found[int(value)] = Grouped(matrix(own, question), len(np.unique(own.subject)))
    return found


def members_of(stream: Stream, question: Retention) -> Members:
    """Who is in which cohort, and in which periods each returned."""
    start = _entered(stream, question)
    back = _Back(stream, question)
    lines = len(start.subject)
    returned = np.zeros((lines, question.periods), np.bool_)
    amount = np.zeros((lines, question.periods if question.has_amount else 0))
    for low in range(0, lines, _CHUNK):
        part = slice(low, low + _CHUNK)
        done, added = back.periods(Active(*(column[part] for column in start)))
        returned[part] = done[:, : question.periods]
        amount[part] = added[:, : amount.shape[1]]
    returned[:, 0] = _zero(stream, start, question) | (question.or_after & returned[:, 1]) if question.zero_returned else True
    column = np.full(len(stream.code), NONE, np.int32)
    if question.group:
        column = named(stream, question.group, stream.matches(question.start))
    return Members(start.subject, start.bucket, stream.time[start.row], column[start.row], returned, amount)


def _entered(stream: Stream, question: Retention) -> Active:
    """Pairs of subject and cohort, with the event that made the subject a member."""
    starts = stream.matches(question.start)
    since, until = question.entered or (question.edges[0], question.edges[-1])
    in_time = (stream.time >= since) & (stream.time < until)
    edges = question.edges[: question.cohorts + 1]
    if question.kind == "recurring":
        found = active(stream, starts & in_time, edges)
        return found if question.unit is None else _first_of_each(found)
    wanted = np.flatnonzero(starts if question.event is None else stream.matches(question.event))
    first = wanted[firsts(stream.subject[wanted])]
    same_time = _same_instant(stream, wanted, first, starts) if question.event is not None else first
    entering = np.zeros(len(stream.code), np.bool_)
    entering[same_time] = True
    return active(stream, entering & in_time, edges)


def _first_of_each(found: Active) -> Active:
    lines = firsts(found.key)
    return Active(*(column[lines] for column in found))


def _same_instant(stream: Stream, wanted: Ints, first: Ints, starts: Bools) -> Ints:
    """Of the events at a subject's very first instant one that matches the filters, if any does: ties have no order."""
    line = np.searchsorted(stream.subject[first], stream.subject[wanted])
    tied: Ints = wanted[(stream.time[wanted] == stream.time[first][line]) & starts[wanted]]
    found: Ints = tied[firsts(stream.subject[tied])]
    return found


Joined = tuple[Ints, Ints, Ints, Floats]


class _Back:
    """The return events of a stream, by bucket or one by one, to be joined with members."""

    def __init__(self, stream: Stream, question: Retention) -> None:
        self.stream, self.question = stream, question
        bucket = buckets_of(stream.time, question.edges)
        within = stream.matches(question.back) & (bucket >= 0) & (bucket < len(question.edges) - 1)
        self.row = np.flatnonzero(within)
        self.key = keys_of(stream)[self.row]
        self.active = active(stream, within, question.edges)
        self.value = np.nan_to_num(stream.values[question.metric][self.row].astype(np.float64)) if question.metric else None

    def periods(self, start: Active) -> tuple[Bools, Floats]:
        """By line and period whether it returned, and the metric over the periods in which it did."""
        join = self._by_bucket if self.question.unit is None else self._by_unit
        line, distance, count, value = join(start)
        brackets = self.question.columns()
        shape = (len(start.subject), len(brackets) + 2)
        cell = line * shape[1] + _period_of(distance, brackets)
        counted = _added(cell, count.astype(np.float64), shape)
        returned: Bools = counted >= self.question.min_occurrences
        amount = counted if self.question.count_events else _added(cell, value, shape)
        amount = np.where(returned, amount, 0) if self.question.has_amount else amount[:, :0]
        if self.question.or_after:
            return np.logical_or.accumulate(returned[:, ::-1], axis=1)[:, ::-1], np.cumsum(amount[:, ::-1], axis=1)[:, ::-1]
        return returned, amount

    def _by_bucket(self, start: Active) -> Joined:
        """Joins each line with its subject's buckets of return from its own on: line, distance, events, metric."""
        span, back = len(self.question.edges), self.active
        keys = back.key * span + back.bucket
        reach = span if self.question.or_after else min(sum(self.question.brackets), span)
        low = np.searchsorted(keys, start.key * span + start.bucket)
        high = np.searchsorted(keys, start.key * span + np.minimum(start.bucket + reach, span - 1), side="right")
        line, place = _spread(low, high)
        value = np.zeros(len(back.row))
        if self.value is not None and len(back.row):
            value = np.add.reduceat(self.value, np.searchsorted(self.row, back.row))
        return line, back.bucket[place] - start.bucket[line], back.events[place], value[place]

    def _by_unit(self, start: Active) -> Joined:
        """Joins each line with its subject's return events, at the start or later."""
        assert self.question.unit is not None
        line, place = _spread(np.searchsorted(self.key, start.key), np.searchsorted(self.key, start.key, side="right"))
        passed = self.stream.time[self.row[place]] - self.stream.time[start.row[line]]
        line, place, passed = line[passed >= 0], place[passed >= 0], passed[passed >= 0]
        value = np.zeros(len(line)) if self.value is None else self.value[place]
        return line, passed // self.question.unit, np.ones(len(line), np.int64), value


def _added(cell: Ints, weights: Floats, shape: tuple[int, int]) -> Floats:
    return np.bincount(cell, weights=weights, minlength=shape[0] * shape[1]).astype(np.float64, copy=False).reshape(shape)


def _spread(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """For each line i the places low[i] to high[i]."""
    size = np.maximum(high - low, 0)
    line = np.repeat(np.arange(len(low)), size)
    place = np.arange(len(line)) - np.repeat(np.cumsum(size) - size, size) + low[line]
    return line, place


def _zero(stream: Stream, start: Active, question: Retention) -> Bools:
    """Who returned in period 0 strictly after the start that made it a member."""
    rows = np.flatnonzero(stream.matches(question.back))
    keys = keys_of(stream)[rows]
    line, place = _spread(np.searchsorted(keys, start.key), np.searchsorted(keys, start.key, side="right"))
    begun, time = stream.time[start.row[line]], stream.time[rows[place]]
    ends = np.asarray(question.edges)[start.bucket + 1][line] if question.unit is None else begun + question.unit
    ends = np.minimum(ends, question.edges[-1])
    counted = np.bincount(line[(time > begun) & (time < ends)], minlength=len(start.subject))
    found: Bools = counted >= question.min_occurrences
    return found
