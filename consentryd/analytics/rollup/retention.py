"""Retention's matrix from bits: of those who started in a bucket, how many have each later one."""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from typing import Final, NamedTuple

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.kernel.retention import Matrix, Retention
from consentryd.analytics.rollup.activity import first_words
from consentryd.analytics.rollup.answering import tally
from consentryd.analytics.rollup.bits import WORD, Ints, Words, counts, trailing, up_to_last
from consentryd.analytics.rollup.presence import Presence
from consentryd.analytics.rollup.wanted import wanted_of

_PATTERN_BITS: Final = 16


def matrix_of(start: Matcher, back: Matcher, plan: Retention, asked: Asked) -> Matrix | None:
    """None if the events have to be asked: days do not tell how often, when on a day, or of what value."""
    of_days = plan.unit is None and plan.min_occurrences == 1 and not plan.zero_returned and plan.entered is None
    if not of_days or plan.has_amount or plan.group is not None or len(plan.edges) - 1 < plan.cohorts + sum(plan.brackets):
        return None
    wanted = wanted_of(asked, [start, back], plan.edges, history=plan.kind != "recurring")
    return tally(asked, wanted, partial(_matrix, plan=plan), Matrix.merge, ("retention", plan))


def _matrix(presence: Presence, *, plan: Retention) -> Matrix:
    start = presence.words[0] if plan.kind == "recurring" else first_words(presence)
    crowd = _crowd(start, presence.words[1], plan)
    size = counts(crowd.start, plan.cohorts, crowd.people)
    retained = np.zeros((plan.cohorts, plan.periods), np.int64)
    retained[:, 0] = size
    cohort = np.arange(plan.cohorts)
    begins = list(accumulate(plan.brackets, initial=1))
    for width in {1} if plan.or_after else set(plan.brackets):
        returned = up_to_last(crowd.back) if plan.or_after else trailing(crowd.back, width)
        together = _together(crowd, returned, plan)
        for period, (begin, length) in enumerate(zip(begins, plan.brackets, strict=False), start=1):
            if plan.or_after or length == width:
                retained[:, period] = together[cohort, cohort + begin + width - 1]
    amount = np.zeros(retained.shape, np.float64)
    return Matrix(size, retained, amount, retained, np.full(plan.cohorts, -1, np.int64))


class _Crowd(NamedTuple):
    """`people[i]` subjects started and returned in the buckets of column i; without `people`, one of each."""

    start: Words
    back: Words
    people: Ints | None


def _crowd(start: Words, back: Words, plan: Retention) -> _Crowd:
    """Where few patterns are possible, subjects of one pattern together."""
    buckets = len(plan.edges) - 1
    if plan.cohorts + buckets > _PATTERN_BITS:
        return _Crowd(start, back, None)
    keep = np.uint64((1 << plan.cohorts) - 1)
    people = np.bincount(((start[0] & keep) << np.uint64(buckets) | back[0]).astype(np.int64))
    patterns = np.flatnonzero(people).astype(np.uint64)
    return _Crowd(
        (patterns >> np.uint64(buckets))[None],
        (patterns & np.uint64((1 << buckets) - 1))[None],
        people[people > 0],
    )


def _together(crowd: _Crowd, returned: Words, plan: Retention) -> Ints:
    """By cohort and bucket, from the cohort's own on: members who have the bucket in `returned`."""
    buckets = len(plan.edges) - 1
    found = np.zeros((plan.cohorts, buckets), np.int64)
    for cohort in range(plan.cohorts):
        whole, bit = divmod(cohort, WORD)
        members = np.flatnonzero(crowd.start[whole] >> np.uint64(bit) & np.uint64(1))
        people = None if crowd.people is None else crowd.people[members]
        found[cohort, whole * WORD :] = counts(returned[whole:, members], buckets - whole * WORD, people, since=bit)
    return found
