"""Retention's matrix from bits: who started in a bucket and returned in another is a product of two tables of 0 and 1."""

from __future__ import annotations

from functools import partial
from itertools import accumulate
from typing import Final

import numpy as np
import numpy.typing as npt

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.kernel.retention import Matrix, Retention
from consentryd.analytics.rollup.activity import first_words
from consentryd.analytics.rollup.answering import tally
from consentryd.analytics.rollup.bits import Ints, Words, as_matrix, counts, trailing
from consentryd.analytics.rollup.presence import Presence
from consentryd.analytics.rollup.wanted import wanted_of

#: Subjects at once: counts up to here are exact in float32, and the tables stay in the processor's cache.
_CHUNK: Final = 16_384
Table = npt.NDArray[np.float32]


def matrix_of(start: Matcher, back: Matcher, plan: Retention, asked: Asked) -> Matrix | None:
    """None if the events have to be asked: days do not tell how often, when on a day, or of what value."""
    of_days = plan.unit is None and plan.min_occurrences == 1 and not plan.zero_returned
    if not of_days or plan.has_amount or plan.group is not None or len(plan.edges) - 1 < plan.cohorts + sum(plan.brackets):
        return None
    wanted = wanted_of(asked, [start, back], plan.edges, history=plan.kind != "recurring")
    return tally(asked, wanted, partial(_matrix, plan=plan), Matrix.merge, ("retention", plan))


def _matrix(presence: Presence, *, plan: Retention) -> Matrix:
    start = presence.words[0] if plan.kind == "recurring" else first_words(presence)
    size = counts(start, plan.cohorts)
    retained = np.zeros((plan.cohorts, plan.periods), np.int64)
    retained[:, 0] = size
    cohort = np.arange(plan.cohorts)
    begins = list(accumulate(plan.brackets, initial=1))
    for width in {1} if plan.or_after else set(plan.brackets):
        together = _together(start, presence.words[1], width, plan)
        for period, (begin, length) in enumerate(zip(begins, plan.brackets, strict=False), start=1):
            if plan.or_after or length == width:
                retained[:, period] = together[cohort, cohort + begin + width - 1]
    amount = np.zeros(retained.shape, np.float64)
    return Matrix(size, retained, amount, np.full(plan.cohorts, -1, np.int64))


def _together(start: Words, back: Words, width: int, plan: Retention) -> Ints:
    """By cohort and bucket: members who returned in the `width` buckets that end with it or, `or_after`, in it or any later one."""
    buckets = len(plan.edges) - 1
    returned = trailing(back, width)
    found = np.zeros((plan.cohorts, buckets), np.int64)
    for low in range(0, start.shape[1], _CHUNK):
        rows = slice(low, low + _CHUNK)
        members: Table = as_matrix(start[:, rows], plan.cohorts)
        there: Table = as_matrix(returned[:, rows], buckets)
        if plan.or_after:
            there = np.maximum.accumulate(there[:, ::-1], axis=1)[:, ::-1]
        found += (members.T @ there).astype(np.int64)
    return found
