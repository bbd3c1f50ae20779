"""How many of the buckets of a range each subject is active in, and how many subjects in trailing days (section 1.6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from consentryd.analytics.kernel.bucket import Active, active
from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.change import firsts
from consentryd.analytics.stream import Stream

Comparison = Literal[">=", "<=", "="]


class Habit(NamedTuple):
    """By subject: the number of buckets, 1 or more, in which it was active often enough."""

    subject: Ints
    buckets: Ints

    def subjects_at(self, buckets: int) -> Ints:
        found: Ints = self.subject[self.buckets == buckets]
        return found


@dataclass(frozen=True, slots=True)
class Stickiness:
    """`counts` int64[n]: subjects active in exactly 1, 2, ... n buckets."""

    counts: Ints

    def merge(self, other: Stickiness) -> Stickiness:
        """Of both. The parts must have no subject in common."""
        return Stickiness(self.counts + other.counts)

    def cumulative(self) -> Ints:
        """Subjects active in at least 1, 2, ... n buckets."""
        found: Ints = np.cumsum(self.counts[::-1])[::-1]
        return found

    def mean(self) -> float | None:
        """Mean active buckets of a subject that was active at all."""
        total = int(self.counts.sum())
        return float(self.counts @ np.arange(1, len(self.counts) + 1)) / total if total else None


def habits(stream: Stream, activity: int, edges: Sequence[int], times: int = 1, comparison: Comparison = ">=") -> Habit:
    """Buckets in which a subject did the activity, and did it `comparison` `times`."""
    found = active(stream, stream.matches(activity), edges)
    enough = _enough(found, times, comparison)
    subject = found.subject[enough]
    first = firsts(subject)
    return Habit(subject[first], np.diff(first, append=len(subject)))


def _enough(found: Active, times: int, comparison: Comparison) -> Bools:
    if comparison == ">=":
        return found.events >= times
    return found.events <= times if comparison == "<=" else found.events == times


def stickiness(found: Habit, buckets: int) -> Stickiness:
    """Adds up lines, over a range of so many buckets."""
    return Stickiness(np.bincount(found.buckets, minlength=buckets + 1)[1:])


def trailing(stream: Stream, activity: int, edges: Sequence[int], length: int) -> Ints:
    """int64[n]: distinct subjects active in the `length` buckets that end with each bucket, of all that the edges cover.

    For n days of a range pass `length` - 1 days before it and drop as many values. Results of disjoint streams add up.
    """
    found = active(stream, stream.matches(activity), edges)
    last = np.empty(len(found.bucket), np.int64)
    if len(last):
        same = found.key[1:] == found.key[:-1]
        last[:-1] = np.where(same, found.bucket[1:], len(edges))
        last[-1] = len(edges)
    ends = np.minimum(np.minimum(last, found.bucket + length), len(edges) - 1)
    change = np.bincount(found.bucket, minlength=len(edges)) - np.bincount(ends, minlength=len(edges))
    counted: Ints = np.cumsum(change)[:-1]
    return counted
