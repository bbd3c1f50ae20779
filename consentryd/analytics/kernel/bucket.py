"""Which bucket of time events are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.change import changes
from consentryd.analytics.stream import Stream


class Active(NamedTuple):
    """Pairs of subject and bucket with events, ascending.

    `subject` int64; `key`: its number 0, 1, ... in the stream; `bucket`; `events`: how many; `row`: position of its first event.
    """

    subject: Ints
    key: Ints
    bucket: Ints
    events: Ints
    row: Ints


def buckets_of(time: Ints, edges: Sequence[int]) -> Ints:
    """Number of the bucket [edges[i], edges[i + 1]); -1 before the first, n after the last."""
    found: Ints = np.searchsorted(np.asarray(edges, np.int64), time, side="right") - 1
    return found


def keys_of(stream: Stream) -> Ints:
    """By event: number of its subject in the stream."""
    return np.cumsum(changes(stream.subject)) - 1


def active(stream: Stream, wanted: Bools, edges: Sequence[int]) -> Active:
    """Where a stream's wanted events are."""
    bucket = buckets_of(stream.time, edges)
    row = np.flatnonzero(wanted & (bucket >= 0) & (bucket < len(edges) - 1))
    key, bucket = keys_of(stream)[row], bucket[row]
    first = np.flatnonzero(changes(key) | changes(bucket))
    events = np.diff(first, append=len(row))
    return Active(stream.subject[row[first]], key[first], bucket[first], events, row[first])
