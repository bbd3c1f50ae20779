"""Which arm a subject is in, and what counts as done since: compared with a reading event by event."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.analytics.statistics.exposure import assign, kept, outcome
from consentryd.analytics.stream import Stream, one_definition_each

EXPOSED, BOUGHT, OTHER = range(3)
rows = st.lists(
    st.tuples(st.integers(1, 4), st.integers(0, 12), st.integers(0, 2), st.integers(-1, 2), st.integers(1, 5)), max_size=30
).map(lambda found: sorted(found, key=lambda row: row[:2]))


def stream_of(events):
    columns = np.array(events, np.int64).reshape(-1, 5).T
    values = {"variant": columns[3].astype(np.int32), "amount": columns[4].astype(np.float64)}
    return Stream(columns[0], columns[1], columns[2].astype(np.int16), one_definition_each(3), values, {})


@settings(deadline=None, max_examples=120)
@given(rows, st.sampled_from([None, 0, 3]), st.integers(0, 5))
def test_arms_and_outcomes_are_those_of_a_plain_reading(events, window, lookback):
    stream = stream_of(events)
    found = assign(stream, EXPOSED, "variant")
    done = outcome(stream, found, BOUGHT, "amount", window, lookback)
    lines = []
    for subject in sorted({row[0] for row in events}):
        own = [row for row in events if row[0] == subject]
        seen = [(time, variant) for _, time, code, variant, _ in own if code == EXPOSED and variant >= 0]
        if not seen:
            continue
        first, variant = min(seen)
        bought = [(time, amount) for _, time, code, _, amount in own if code == BOUGHT]
        after = [amount for time, amount in bought if time >= first and (window is None or time <= first + window)]
        before = sum(amount for time, amount in bought if first - lookback <= time < first)
        there = own[0][1] < first
        lines.append((subject, variant, first, len({v for _, v in seen}) > 1, len(after), sum(after), before if there else None))
    assert list(zip(found.subject, found.variant, found.first, found.mixed, done.events, done.total, strict=True)) == [
        line[:6] for line in lines
    ]
    assert [None if np.isnan(value) else value for value in done.before] == [line[6] for line in lines]


def test_purchases_before_the_exposure_do_not_count_and_nobody_counts_in_two_arms():
    stream = stream_of(
        [(1, 1, BOUGHT, -1, 9), (1, 2, EXPOSED, 0, 0), (1, 3, EXPOSED, 1, 0), (1, 4, BOUGHT, -1, 5), (2, 1, EXPOSED, 1, 0)]
    )
    found = assign(stream, EXPOSED, "variant")
    assert found.exposed(2) == [1, 1]
    assert found.mixed.tolist() == [True, False]
    assert outcome(stream, found, BOUGHT).events.tolist() == [1, 0]
    assert found.exposed(2, kept(found, watermark=100)) == [0, 1]
    assert found.lines(1, kept(found, watermark=100)).tolist() == [1]
    assert found.lines(0, kept(found, watermark=100)).tolist() == []
    assert found.exposed(2, kept(found, watermark=100, mixed="first")) == [1, 1]


@pytest.mark.parametrize(("watermark", "expected"), [(11, [True, False]), (10, [False, False]), (13, [True, True])])
def test_open_windows_are_left_out(watermark, expected):
    found = assign(stream_of([(1, 1, EXPOSED, 0, 0), (2, 3, EXPOSED, 0, 0)]), EXPOSED, "variant")
    assert kept(found, watermark, window=10).tolist() == expected


def test_who_was_there_before_may_be_known_from_elsewhere():
    stream = stream_of([(1, 5, EXPOSED, 0, 0), (2, 5, EXPOSED, 0, 0)])
    found = assign(stream, EXPOSED, "variant")
    before = outcome(stream, found, BOUGHT, first_seen=np.array([2, 5])).before
    assert before[0] == 0
    assert np.isnan(before[1])


def test_money_in_ten_thousandths_is_summed_exactly():
    stream = stream_of([(1, 1, EXPOSED, 0, 0), (1, 2, BOUGHT, -1, 0), (1, 2, BOUGHT, -1, 0)])
    stream = stream._replace(values={**stream.values, "amount": np.array([0, 10_000_000_001, 2])})
    assert outcome(stream, assign(stream, EXPOSED, "variant"), BOUGHT, "amount").total.tolist() == [10_000_000_003]
