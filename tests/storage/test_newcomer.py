"""Ids of newcomers: nobody gets another's, they stand in all buckets, and those of one commit beside each other."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from consentryd.model.identity import BUCKETS, bucket_of
from consentryd.storage.newcomer import Newcomers


def test_no_id_is_drawn_twice_and_all_are_of_63_bits() -> None:
    sources = [Newcomers() for _ in range(5)]
    drawn = [source.draw() for _ in range(4_000) for source in sources]
    assert len(set(drawn)) == len(drawn)
    assert all(0 < subject < 2**63 for subject in drawn)


def test_ids_are_spread_over_all_buckets() -> None:
    newcomers = Newcomers()
    counts = Counter(bucket_of(newcomers.draw()) for _ in range(100_000))
    assert len(counts) == BUCKETS
    assert max(counts.values()) < 2 * 100_000 / BUCKETS


@pytest.mark.parametrize("shift", [0, 8, 16])
def test_a_sample_by_low_bits_is_fair(shift: int) -> None:
    newcomers = Newcomers()
    parts = Counter((newcomers.draw() >> shift) % 8 for _ in range(80_000))
    assert all(9_500 < count < 10_500 for count in parts.values())


def test_those_of_one_commit_stand_beside_each_other() -> None:
    """Each at a random place would cost a page of the index."""
    newcomers = Newcomers()
    commits = {newcomers.draw(): commit for commit in range(50) for _ in range(100)}
    in_order = [commits[subject] for subject in sorted(commits)]
    places = sum(one != other for one, other in pairwise(in_order))
    assert places < 50 * 5
