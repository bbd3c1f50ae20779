"""Which group of a breakdown a conversion belongs to (R-F13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from consentryd.analytics.kernel.chain import ABSENT, Chains, Ints
from consentryd.analytics.kernel.change import changes, firsts
from consentryd.analytics.kernel.conversion import Conversion, Pair, conversion
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.hold import held, present
from consentryd.analytics.kernel.solution import chains_of
from consentryd.analytics.kernel.start import marked, relevant, start_rows, taken
from consentryd.analytics.kernel.tie import named
from consentryd.analytics.stream import NONE, Stream, Values


class Grouped(NamedTuple):
    """Chains and, by line, the value they count for (`NONE` or nan: none). A subject may have several lines if `overlap`."""

    chains: Chains
    group: Values
    overlap: bool

    def conversions(self, pairs: tuple[Pair, ...] = ()) -> dict[int, Conversion]:
        """Partial numbers by value."""
        return {int(value): conversion(self.chains.take(self.group == value), pairs) for value in np.unique(self.group)}


def touched(chains: Chains, columns: Sequence[Values], *, last: bool = False) -> Grouped:
    """First or last touch: the value on the earliest or latest event of the chosen chain that has one. `columns`: of each step."""
    values = np.column_stack([_at(column, chains.row[:, step]) for step, column in enumerate(columns)])
    known = present(values)
    if last:
        place = chains.time.shape[1] - 1 - np.where(known, chains.time, ABSENT)[:, ::-1].argmax(axis=1)
    else:
        place = np.where(known, chains.time, np.iinfo(np.int64).max).argmin(axis=1)
    lines = np.arange(len(place))
    return Grouped(chains, np.where(known[lines, place], values[lines, place], _missing(values)), overlap=False)


def at_step(chains: Chains, column: Values, step: int) -> Grouped:
    """The value at a step; lines that did not reach it are left out. For the first step see `at_first_step`."""
    found = chains.take(chains.row[:, step] != ABSENT)
    return Grouped(found, column[found.row[:, step]], overlap=False)


def column_of(stream: Stream, funnel: Funnel, name: str, step: int) -> Values:
    """The column as it names a step: of several events of an instant that match it, the first by name.

    In any order, where steps are numbered as they are done, of all that match one of them.
    """
    matching = relevant(stream, funnel) if funnel.order == "any" else stream.matches(funnel.steps[step].definition)
    return named(stream, name, matching)


def _at(column: Values, row: Ints) -> Values:
    """Values of events, the missing one where there is no event."""
    found: Values = np.append(column, np.array([_missing(column)], column.dtype))[row]
    return found


def all_steps(stream: Stream, funnel: Funnel, name: str) -> Grouped:
    """The funnel run once for each value, over the events that have it."""
    parts = held(stream, [name], relevant(stream, funnel), with_missing=True)
    chains = chains_of(parts.stream, funnel)
    first = firsts(parts.stream.subject)
    return Grouped(parts.restored(chains), parts.stream.values[name][first][chains.subject], overlap=True)


def at_first_step(stream: Stream, funnel: Funnel, name: str) -> Grouped:
    """The funnel run once for each value on a subject's entering events, these being its first step: a subject is in each such group."""
    whole = np.flatnonzero(relevant(stream, funnel))
    found = _at_first_step(taken(stream, whole), funnel, name)
    row = np.where(found.chains.row == ABSENT, ABSENT, np.append(whole, ABSENT)[found.chains.row])
    return found._replace(chains=found.chains._replace(row=row))


def _at_first_step(stream: Stream, funnel: Funnel, name: str) -> Grouped:
    rows = start_rows(stream, funnel)
    column = stream.values[name]
    rows = rows[np.lexsort((column[rows], stream.subject[rows]))]
    first = rows[np.flatnonzero(changes(stream.subject[rows]) | changes(column[rows]))]
    copies, copied = _copied(stream, first)
    starting = np.zeros(len(stream.subject), np.bool_)
    starting[rows] = True
    same = (column[copied] == column[first][copies]) | (~present(column)[copied] & ~present(column)[first][copies])
    doubled = taken(stream, copied)._replace(subject=copies)
    chains = chains_of(*marked(doubled, starting[copied] & same, funnel))
    row = np.where(chains.row == ABSENT, ABSENT, np.append(copied, ABSENT)[chains.row])
    return Grouped(
        chains._replace(subject=stream.subject[first][chains.subject], row=row), column[first][chains.subject], overlap=True
    )


def _copied(stream: Stream, first: Ints) -> tuple[Ints, Ints]:
    """For each of some events all events of its subject: number of the copy, position in the stream."""
    low = np.searchsorted(stream.subject, stream.subject[first])
    size = np.searchsorted(stream.subject, stream.subject[first], side="right") - low
    copies = np.repeat(np.arange(len(first)), size)
    offset = np.arange(len(copies)) - np.repeat(np.cumsum(size) - size, size)
    return copies, low[copies] + offset


def _missing(column: Values) -> float:
    return float("nan") if column.dtype.kind == "f" else NONE
