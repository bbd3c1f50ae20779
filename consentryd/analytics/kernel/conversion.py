"""A funnel's numbers: how many did each step, and how long it took (R-F9)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.kernel.chain import ABSENT, Chains, Ints
from consentryd.analytics.kernel.change import firsts
from consentryd.analytics.kernel.funnel import Funnel

SECOND: Final = 1_000_000
MAX_BINS: Final = 90
_ONE_VALUE_WIDTH: Final = 60

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Conversion:
    """Partial numbers of one or several streams.

    `counts` int64[steps]: lines, that is subjects or attempts; `people` int64[steps]: their subjects; `excluded` lines, and
    `excluded_people`, their subjects; `waits`: for each pair of steps (from 0) int64 microseconds from one to the other, of every chosen
    chain that has both.
    """

    counts: Ints
    people: Ints
    excluded: int
    excluded_people: int
    waits: dict[Pair, Ints]

    @property
    def nbytes(self) -> int:
        return self.counts.nbytes + sum(taken.nbytes for taken in self.waits.values())

    @classmethod
    def joined(cls, parts: Sequence[Conversion]) -> Conversion:
        """Of all parts, which have no subject in common; at once, for each step would copy what the one before has."""
        waits = {pair: np.concatenate([part.waits[pair] for part in parts]) for pair in parts[0].waits}
        counts, people = (np.sum([getattr(part, name) for part in parts], axis=0) for name in ("counts", "people"))
        excluded, barred = (sum(getattr(part, name) for part in parts) for name in ("excluded", "excluded_people"))
        return cls(counts, people, excluded, barred, waits)

    def merge(self, other: Conversion) -> Conversion:
        """Of both. The parts must have no subject in common."""
        return Conversion.joined([self, other])


def conversion(chains: Chains, pairs: Sequence[Pair] = ()) -> Conversion:
    """Adds up the lines of `chains`."""
    counts = chains.reached.sum(axis=0, dtype=np.int64)
    several = bool((chains.subject[1:] == chains.subject[:-1]).any())
    return Conversion(
        counts=counts,
        people=_people(chains) if several else counts,
        excluded=int(chains.excluded.sum()),
        excluded_people=len(chains.subjects_excluded()),
        waits={pair: waits(chains, *pair) for pair in pairs},
    )


def nothing(funnel: Funnel, pairs: Sequence[Pair] = ()) -> Conversion:
    """What merging begins with."""
    none = np.zeros(len(funnel.steps), np.int64)
    return Conversion(none, none, 0, 0, {pair: np.empty(0, np.int64) for pair in pairs})


def _people(chains: Chains) -> Ints:
    """Subjects by step, where they have several lines."""
    first = firsts(chains.subject)
    found: Ints = np.logical_or.reduceat(chains.reached, first, axis=0).sum(axis=0, dtype=np.int64)
    return found


def waits(chains: Chains, from_step: int, to_step: int) -> Ints:
    """Microseconds between two steps, of the chains that have both."""
    began, ended = chains.time[:, from_step], chains.time[:, to_step]
    both = np.flatnonzero((began != ABSENT) & (ended != ABSENT))
    return ended.take(both) - began.take(both)


def rates(counts: Ints, funnel: Funnel) -> tuple[list[float | None], list[float | None]]:
    """Shares of the first step's count and of the mandatory step's before; none where that count is 0."""
    chain = funnel.mandatory
    previous = [0, *(chain[funnel.before(step) - 1] for step in range(1, len(counts)))]
    return [_share(counts, step, 0) for step in range(len(counts))], [_share(counts, *both) for both in enumerate(previous)]


def _share(counts: Ints, step: int, base: int) -> float | None:
    return float(counts[step]) / float(counts[base]) if counts[base] else None


class Summary(NamedTuple):
    """Seconds; none without a sample. Quantiles interpolate between neighbours (type 7)."""

    sample: int
    mean: float | None
    median: float | None
    p90: float | None


def summary(taken: Ints) -> Summary:
    """Of microseconds."""
    if not len(taken):
        return Summary(0, None, None, None)
    median, p90 = np.quantile(taken, [0.5, 0.9]) / SECOND
    return Summary(len(taken), float(taken.mean()) / SECOND, float(median), float(p90))


class Histogram(NamedTuple):
    """Bin i holds seconds in [start + i width, start + (i + 1) width), the last one its end too."""

    start: float
    width: int
    counts: list[int]


def histogram(taken: Ints, compared: Ints | None = None) -> Histogram | None:
    """Of microseconds: about as many bins as the cube root of the sample. Compared samples share their edges: pass the other one as well."""
    everything = taken if compared is None else np.concatenate([taken, compared])
    if not len(everything):
        return None
    low, high = int(everything.min()), int(everything.max())
    bins = min(max(_root(len(everything)), 1), MAX_BINS)
    width = max(-(-(high - low) // (bins * SECOND)), 1) if high > low else _ONE_VALUE_WIDTH
    place = np.minimum((taken - low) // (width * SECOND), bins - 1)
    return Histogram(low / SECOND, width, np.bincount(place, minlength=bins).tolist())


def _root(number: int) -> int:
    """The cube root, rounded up: of 27 it is 3, though 27 ** (1 / 3) is a little more."""
    root: int = round(float(number) ** (1 / 3))
    return root if root**3 >= number else root + 1
