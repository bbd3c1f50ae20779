"""Going quiet and coming back, by gaps between a subject's activities (1.13).

The gap after each activity decides alone for which bucket starts the subject counts, so one pass over the events answers for all buckets.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.statistics.array import Bools, Floats, Ints, shares
from consentryd.analytics.statistics.segment import heads

DAY: Final = 86_400_000_000
QUIET: Final = 30 * DAY
_NEVER: Final = np.int64(1) << 61


class Churn(NamedTuple):
    """For each of n buckets, int64[n]; adds up over streams.

    `active`: subjects active in the d before the bucket's start s, [s - d, s); `churned`: those of them not active in [s, s + d);
    `pool`: subjects seen ever, but not in [s - d, s); `returned`: those of them active in the bucket; `resurrected`: all with an activity
    in the bucket after a gap of at least d, also those whose gap only grew to d within it.
    """

    active: Ints
    churned: Ints
    pool: Ints
    returned: Ints
    resurrected: Ints

    def merge(self, other: Churn) -> Churn:
        """Of both; the parts must have no subject in common."""
        return Churn(*(ours + theirs for ours, theirs in zip(self, other, strict=True)))

    def churn_rate(self) -> Floats:
        """Churned / active; nan of nobody."""
        return shares(self.churned, self.active)

    def resurrection_rate(self) -> Floats:
        """Returned / pool; nan of nobody."""
        return shares(self.returned, self.pool)


def churn(subject: Ints, time: Ints, edges: Ints, quiet: int = QUIET) -> Churn:
    """Of activities sorted by (subject, time), over all history, and the n + 1 edges of the buckets; `quiet` is d in microseconds.

    A bucket's churn is known once d has passed since its start: see `complete`.
    """
    starts = edges[:-1]
    follows = _next(subject, time)
    past = np.searchsorted(starts, time, "right")  # the first start after the activity
    before_next = np.searchsorted(starts, follows, "right")  # starts up to and including the next activity
    still = np.searchsorted(starts, time + quiet, "right")  # starts s with s - d <= time
    unheard = np.searchsorted(starts, follows - quiet, "right")  # starts s with s + d <= next
    gone = np.maximum(past, np.searchsorted(starts, time + quiet, "right"))
    bucket, returned = _returns(subject, time, follows, edges, quiet)
    buckets = len(starts)
    return Churn(
        active=_over(past, np.minimum(still, before_next), buckets),
        churned=_over(past, np.minimum(still, unheard), buckets),
        pool=_over(gone, before_next, buckets),
        returned=np.bincount(bucket[returned], minlength=buckets).astype(np.int64),
        resurrected=np.bincount(bucket, minlength=buckets).astype(np.int64),
    )


def complete(edges: Ints, watermark: int, quiet: int = QUIET) -> Bools:
    """Which buckets' churn is known: whose start is at least d before the watermark."""
    return np.asarray(edges[:-1] + quiet <= watermark, np.bool_)


def usual_gap(subject: Ints, time: Ints, share: float = 0.9) -> float | None:
    """A d taken from the data: the p90 (type 7) of the gaps between activities of those who came again, microseconds; None of none."""
    gaps = (_next(subject, time) - time)[_again(subject)]
    return float(np.quantile(gaps, share)) if len(gaps) else None


def _again(subject: Ints) -> Bools:
    """Which activities are followed by another of the same subject."""
    return np.append(~heads(subject)[1:], False) if len(subject) else np.zeros(0, np.bool_)


def _next(subject: Ints, time: Ints) -> Ints:
    follows = np.full(len(time), _NEVER)
    follows[:-1] = np.where(_again(subject)[:-1], time[1:], _NEVER)
    return follows


def _returns(subject: Ints, time: Ints, follows: Ints, edges: Ints, quiet: int) -> tuple[Ints, Bools]:
    """Buckets in which a subject came back, once for each subject; and whether it was in the pool at that bucket's start."""
    back = np.flatnonzero((follows - time >= quiet) & (follows >= edges[0]) & (follows < edges[-1]))
    bucket = np.searchsorted(edges, follows[back], "right") - 1
    once = heads(subject[back], bucket)
    bucket, back = bucket[once], back[once]
    return bucket, np.asarray(edges[bucket] - time[back] > quiet, np.bool_)


def _over(begin: Ints, end: Ints, buckets: int) -> Ints:
    """How many of the ranges [begin, end) each bucket is in."""
    some = begin < end
    changes = np.bincount(begin[some], minlength=buckets + 1) - np.bincount(end[some], minlength=buckets + 1)
    return np.cumsum(changes)[:-1].astype(np.int64)
