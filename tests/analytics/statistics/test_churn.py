"""Churn and resurrection against their definitions; RFM."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.analytics.statistics import rfm
from consentryd.analytics.statistics.churn import churn, complete, usual_gap

activities = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 60)), max_size=40).map(sorted)


def arrays(events):
    columns = np.array(events, np.int64).reshape(-1, 2).T
    return columns[0], columns[1]


@settings(deadline=None, max_examples=120)
@given(activities, st.integers(1, 15), st.lists(st.integers(0, 70), min_size=2, max_size=8, unique=True).map(sorted))
def test_churn_is_what_its_definition_says(events, quiet, edges):
    found = churn(*arrays(events), np.array(edges), quiet)
    people = {who: [time for each, time in events if each == who] for who, _ in events}
    for bucket, (start, end) in enumerate(pairwise(edges)):
        active = {who for who, times in people.items() if any(start - quiet <= time < start for time in times)}
        churned = {who for who in active if not any(start <= time < start + quiet for time in people[who])}
        pool = {who for who, times in people.items() if times[0] < start} - active
        returned = {who for who in pool if any(start <= time < end for time in people[who])}
        resurrected = {
            who for who, times in people.items() if any(start <= b < end and b - a >= quiet for a, b in pairwise(times))
        }
        assert (found.active[bucket], found.churned[bucket], found.pool[bucket]) == (len(active), len(churned), len(pool))
        assert (found.returned[bucket], found.resurrected[bucket]) == (len(returned), len(resurrected))


def test_rates_need_somebody_and_add_up():
    found = churn(*arrays([(1, 0), (1, 40), (2, 5)]), np.array([0, 10, 20, 60]), 10)
    assert np.isnan(found.churn_rate()[0])
    assert found.churn_rate()[1] == 1
    assert found.resurrection_rate()[2] == 0.5
    parts = churn(*arrays([(1, 0), (1, 40)]), np.array([0, 10, 20, 60]), 10).merge(
        churn(*arrays([(2, 5)]), np.array([0, 10, 20, 60]), 10)
    )
    assert all((ours == theirs).all() for ours, theirs in zip(parts, found, strict=True))


def test_churn_is_known_when_the_quiet_time_has_passed():
    assert complete(np.array([0, 10, 20]), 15, 10).tolist() == [True, False]


def test_the_usual_gap_is_that_of_those_who_came_again():
    assert usual_gap(*arrays([(1, 0), (1, 10), (1, 30), (2, 4)])) == pytest.approx(19)
    assert usual_gap(*arrays([(1, 0), (2, 4)])) is None
    assert usual_gap(*arrays([])) is None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60))
def test_equals_share_the_lower_quintile(values):
    found = rfm.quintile(np.array(values))
    for value, score in zip(values, found, strict=True):
        assert score == 1 + 5 * sum(other < value for other in values) // len(values)
    assert found.min() == 1
    assert found.max() <= 5


def test_quintiles_of_different_values_are_fifths():
    assert np.bincount(rfm.quintile(np.arange(100)))[1:].tolist() == [20] * 5
    assert rfm.quintile(np.full(9, 3)).tolist() == [1] * 9
    assert rfm.quintile(np.zeros(0)).size == 0


def test_segments_follow_recency_and_worth():
    n = np.arange(100)
    found = rfm.scores(n, n, n)
    assert rfm.SEGMENTS[found.segment[-1]] == "champions"
    assert rfm.SEGMENTS[found.segment[0]] == "hibernating"
    turned = rfm.scores(n[::-1], n, n)
    assert rfm.SEGMENTS[turned.segment[-1]] == "cannot lose"
    assert rfm.SEGMENTS[turned.segment[0]] == "new"
    assert rfm.grid(found.recency, found.monetary).tolist() == np.diag([20] * 5).tolist()


def test_frequency_and_worth_that_disagree_meet_in_the_middle_rounded_up():
    found = rfm.scores(np.array([0, 1, 2, 3, 4]), np.array([0, 1, 3, 4, 2]), np.array([0, 1, 2, 4, 3]))
    assert (found.recency[-1], found.frequency[-1], found.monetary[-1]) == (5, 3, 4)
    assert rfm.SEGMENTS[found.segment[-1]] == "champions"


def test_flows_account_for_everyone():
    found = rfm.flow(np.array([1, 2, 5]), np.array([0, 0, 3]), np.array([2, 5, 9]), np.array([1, 3, 4]))
    outside = len(rfm.SEGMENTS)
    assert found[0, outside] == found[0, 1] == found[3, 3] == found[outside, 4] == 1
    assert found.sum() == 4
