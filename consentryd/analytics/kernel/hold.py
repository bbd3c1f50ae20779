"""Funnels within one value of held properties (R-F12): each pair of subject and value is a subject of its own, then the best one counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from consentryd.analytics.kernel.chain import ABSENT, Bools, Chains, Ints, ends
from consentryd.analytics.kernel.change import changes, firsts
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.solution import chains_of
from consentryd.analytics.kernel.start import relevant, taken
from consentryd.analytics.stream import NONE, Stream, Values


class Held(NamedTuple):
    """A stream whose subjects are numbers of (subject, value) pairs; by number the subject; by event its position in the whole stream."""

    stream: Stream
    owner: Ints
    row: Ints

    def restored(self, chains: Chains) -> Chains:
        """Lines of the held stream with true subjects and positions."""
        row = np.where(chains.row == ABSENT, ABSENT, np.append(self.row, ABSENT)[chains.row])
        return chains._replace(subject=self.owner[chains.subject], row=row)


def held(stream: Stream, names: Sequence[str], wanted: Bools, *, with_missing: bool = False) -> Held:
    """Parts subjects by the values of columns, of the wanted events; those without a value are left out, or have the value `NONE`."""
    columns = [stream.values[name] for name in names]
    known = wanted.copy()
    for column in columns:
        known &= with_missing | present(column)
    rows = np.flatnonzero(known)
    order = rows[np.lexsort((*(column[rows] for column in columns), stream.subject[rows]))]
    found = taken(stream, order)
    new = changes(found.subject)
    for name in names:
        new |= changes(found.values[name])
    return Held(found._replace(subject=np.cumsum(new) - 1), found.subject[new], order)


def present(column: Values) -> Bools:
    """Which values are there."""
    known: Bools = ~np.isnan(column) if column.dtype.kind == "f" else column != NONE
    return known


def held_chains(stream: Stream, funnel: Funnel, names: Sequence[str]) -> Chains:
    """One line for each subject, of its value that goes deepest; or every attempt of every value."""
    parts = held(stream, names, relevant(stream, funnel))
    found = parts.restored(chains_of(parts.stream, funnel))
    if funnel.count_entries:
        return found.take(np.lexsort((found.time[:, 0], found.subject)))
    return best_of(found)


def best_of(found: Chains) -> Chains:
    """Of several lines of a subject the deepest, rather one that is not excluded, that ends earliest and starts latest.

    Optional steps count that any line of a subject has which is not excluded.
    """
    order = np.lexsort((-found.time[:, 0], ends(found), found.excluded, -found.depth, found.subject))
    lines = found.take(order)
    first = firsts(lines.subject)
    if not len(first):
        return lines
    chosen = lines.take(first)
    reached = np.logical_or.reduceat(lines.reached, first, axis=0) & ~chosen.excluded[:, None]
    return chosen._replace(reached=reached)
