"""Whether subjects are new, returning, resurrecting or dormant (section 1.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.kernel.bucket import active, buckets_of
from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.change import firsts
from consentryd.analytics.stream import Stream

STATUSES: Final = ("new", "returning", "resurrecting", "dormant")
NEW, RETURNING, RESURRECTING, DORMANT = range(4)


class Phases(NamedTuple):
    """Lines of subject, bucket of the range (from 0) and status, an index into `STATUSES`."""

    subject: Ints
    bucket: Ints
    status: Ints

    def subjects_at(self, bucket: int, status: int) -> Ints:
        found: Ints = self.subject[(self.bucket == bucket) & (self.status == status)]
        return found


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """`counts` int64[buckets, 4], by status; dormant ones are counted, not negative, at the first bucket without them."""

    counts: Ints

    def merge(self, other: Lifecycle) -> Lifecycle:
        """Of both. The parts must have no subject in common."""
        return Lifecycle(self.counts + other.counts)

    def quick_ratio(self) -> list[float | None]:
        """(new + resurrecting) / dormant by bucket; none where nobody went dormant."""
        return [
            (float(row[NEW]) + float(row[RESURRECTING])) / float(row[DORMANT]) if row[DORMANT] else None for row in self.counts
        ]


def phases(stream: Stream, activity: int, edges: Sequence[int], first_seen: tuple[Ints, Ints] | None = None) -> Phases:
    """`edges` of one bucket before the range and of the range's n: n + 2 instants.

    A subject is new in the bucket of its first activity ever: the first in the stream, or, where `first_seen` (subjects ascending, UTC
    microseconds) names an earlier one, that.
    """
    wanted = stream.matches(activity)
    found = active(stream, wanted, edges)
    before = np.zeros(len(found.key), np.bool_)
    before[1:] = (found.key[1:] == found.key[:-1]) & (found.bucket[1:] == found.bucket[:-1] + 1)
    after = np.append(before[1:], values=False) if len(before) else before
    new = found.bucket == _first_bucket(stream, wanted, found.subject, edges, first_seen)
    status = np.where(new, NEW, np.where(before, RETURNING, RESURRECTING))
    ended = ~after & (found.bucket < len(edges) - 2)
    return _within(
        np.concatenate([found.subject, found.subject[ended]]),
        np.concatenate([found.bucket, found.bucket[ended] + 1]) - 1,
        np.concatenate([status, np.full(int(ended.sum()), DORMANT)]),
    )


def _within(subject: Ints, bucket: Ints, status: Ints) -> Phases:
    """Without the bucket before the range."""
    inside = bucket >= 0
    return Phases(subject[inside], bucket[inside], status[inside])


def _first_bucket(
    stream: Stream, wanted: Bools, subject: Ints, edges: Sequence[int], first_seen: tuple[Ints, Ints] | None
) -> Ints:
    rows = np.flatnonzero(wanted)
    rows = rows[firsts(stream.subject[rows])]
    time = stream.time[rows][np.searchsorted(stream.subject[rows], subject)]
    if first_seen is not None and len(first_seen[0]):
        place = np.minimum(np.searchsorted(first_seen[0], subject), len(first_seen[0]) - 1)
        time = np.where(first_seen[0][place] == subject, np.minimum(first_seen[1][place], time), time)
    return buckets_of(time, edges)


def lifecycle(found: Phases, buckets: int) -> Lifecycle:
    """Adds up lines."""
    cells = np.bincount(found.bucket * len(STATUSES) + found.status, minlength=buckets * len(STATUSES))
    return Lifecycle(cells.reshape(buckets, len(STATUSES)))
