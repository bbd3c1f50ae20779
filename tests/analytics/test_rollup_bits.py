"""Sets of buckets as bits, against sets of numbers."""

from __future__ import annotations

import numpy as np
import pytest

from consentryd.analytics.rollup.bits import counts, firsts, later, sizes, spread, trailing, up_to_last, words_of

BUCKETS = [1, 9, 63, 64, 65, 130]


def drawn(buckets: int, subjects: int = 300, seed: int = 0) -> tuple[np.ndarray, list[set[int]]]:
    """Words, and the same as sets."""
    rng = np.random.default_rng(seed)
    table = rng.random((subjects, buckets)) < rng.random((subjects, 1)) ** 2
    words = np.zeros((words_of(buckets), subjects), np.uint64)
    for bucket in range(buckets):
        words[bucket // 64] |= table[:, bucket].astype(np.uint64) << np.uint64(bucket % 64)
    return words, [set(np.flatnonzero(row).tolist()) for row in table]


def sets(words: np.ndarray, buckets: int) -> list[set[int]]:
    return [{bucket for bucket in range(buckets) if int(column[bucket // 64]) >> bucket % 64 & 1} for column in words.T]


@pytest.mark.parametrize("rows", [50, 5_000])
@pytest.mark.parametrize("width", [np.uint32, np.uint64])
@pytest.mark.parametrize(
    ("first", "days_a_bucket", "buckets"),
    [(0, 1, 31), (-4, 1, 40), (50, 1, 90), (-1, 7, 5), (2, 7, 70), (0, 30, 2), (3, 5, 4), (40, 1, 30), (-9, 1, 2), (62, 2, 80)],
)
def test_days_become_the_buckets_that_they_are_in(rows, width, first, days_a_bucket, buckets):
    length = 31 if width is np.uint32 else 40
    days = np.random.default_rng(rows).integers(0, 1 << length, rows, dtype=np.uint64).astype(width)
    places = [max(-1, min(first + (day + 3) // days_a_bucket, buckets)) for day in range(length)]
    expected = [{places[day] for day in range(length) if int(each) >> day & 1} & set(range(buckets)) for each in days]
    assert sets(spread(days, places, buckets), buckets) == expected


@pytest.mark.parametrize("buckets", BUCKETS)
def test_buckets_are_counted_for_one_and_for_many(buckets):
    words, known = drawn(buckets)
    people = np.arange(len(known))
    assert counts(words, buckets).tolist() == [sum(bucket in each for each in known) for bucket in range(buckets)]
    weighed = [sum(number for number, each in enumerate(known) if bucket in each) for bucket in range(buckets)]
    assert counts(words, buckets, people).tolist() == weighed
    assert counts(words[:, people[::-1]], buckets, people[::-1], since=buckets - 1)[-1] == weighed[-1]


@pytest.mark.parametrize("buckets", BUCKETS)
def test_firsts_sizes_and_what_comes_before_the_last(buckets):
    words, known = drawn(buckets, seed=1)
    assert sets(firsts(words), buckets) == [{min(each)} if each else set() for each in known]
    assert sets(up_to_last(words), buckets) == [set(range(max(each, default=-1) + 1)) for each in known]
    assert sizes(words).tolist() == [len(each) for each in known]


@pytest.mark.parametrize("buckets", BUCKETS)
@pytest.mark.parametrize("length", [1, 2, 7, 30, 64, 90])
def test_windows_look_back_and_shifts_move_on(buckets, length):
    words, known = drawn(buckets, seed=2)
    there = set(range(buckets))
    assert sets(trailing(words, length), buckets) == [
        {b for b in there if each & set(range(b - length + 1, b + 1))} for each in known
    ]
    if length < 64 * len(words):
        assert sets(later(words, length), buckets) == [{b + length for b in each} & there for each in known]
