"""Journeys and credit: the specification's numbers, invariants, and brute force."""

from __future__ import annotations

from itertools import chain, combinations
from math import factorial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.analytics.statistics import attribution, markov, shapley
from consentryd.analytics.statistics.touch import DAY, Journeys, Touching, joined, journeys, unconverted
from consentryd.analytics.stream import NONE, Stream, one_definition_each

MODELS = {
    "first": attribution.first,
    "last": attribution.last,
    "linear": attribution.linear,
    "position": attribution.position,
    "decay": attribution.decay,
    "shapley": shapley.shares,
}
TOUCH, BUY = 0, 1
paths = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=6), max_size=8)


def made_of(channels, ages=None, values=None):
    """Journeys of lists of channel codes."""
    offset = np.concatenate([[0], np.cumsum([len(path) for path in channels])]).astype(np.int64)
    flat = np.array(list(chain.from_iterable(channels)), np.int64)
    age = np.zeros(len(flat), np.int64) if ages is None else (np.array(list(chain.from_iterable(ages))) * DAY).astype(np.int64)
    value = np.ones(len(channels)) if values is None else np.array(values, np.float64)
    return Journeys(np.arange(len(channels)), value, offset, flat, age)


@pytest.mark.parametrize(
    ("model", "touches", "expected"),
    [
        ("first", 3, [1, 0, 0]),
        ("last", 3, [0, 0, 1]),
        ("linear", 4, [0.25] * 4),
        ("position", 1, [1]),
        ("position", 2, [0.5, 0.5]),
        ("position", 3, [0.4, 0.2, 0.4]),
        ("position", 4, [0.4, 0.1, 0.1, 0.4]),
    ],
)
def test_rules_share_by_place(model, touches, expected):
    assert MODELS[model](made_of([list(range(touches))])) == pytest.approx(expected)


def test_the_quoted_decay():
    found = attribution.decay(made_of([[0, 1, 2]], [[14, 7, 0]]))
    assert found.round(4).tolist() == [0.1429, 0.2857, 0.5714]


def test_decay_does_not_vanish_when_all_is_long_ago():
    assert attribution.decay(made_of([[0, 1]], [[20_007, 20_000]])) == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize("model", MODELS)
@settings(deadline=None, max_examples=25)
@given(paths)
def test_credit_of_a_conversion_sums_to_one(model, given_):
    found = [sorted(path, key=lambda touch: -touch[1]) for path in given_]
    some = made_of(
        [[c for c, _ in p] for p in found], [[a for _, a in p] for p in found], [3.0 * (i + 1) for i in range(len(found))]
    )
    shares = MODELS[model](some)
    sums = np.bincount(some.owner, shares, len(found))
    assert sums == pytest.approx([1.0 if path else 0.0 for path in found])
    credit = attribution.credited(some, shares, 4)
    assert credit.conversions.sum() + credit.unattributed == pytest.approx(len(found))
    assert credit.value.sum() + credit.unattributed_value == pytest.approx(some.value.sum())


def test_the_quoted_markov_chain():
    won, lost = made_of([[0, 1, 2]]), made_of([[1], [1, 2]])
    counts = markov.transitions(won, 3, converted=True) + markov.transitions(lost, 3, converted=False)
    assert markov.conversion_chance(counts) == pytest.approx(1 / 3)
    assert markov.removal_effects(counts) == pytest.approx([1 / 3, 1, 1])
    credit = markov.credited(counts, attribution.credited(won, attribution.linear(won), 3))
    assert credit.conversions == pytest.approx([1 / 7, 3 / 7, 3 / 7])


@settings(deadline=None, max_examples=25)
@given(paths, paths)
def test_the_chain_converts_as_often_as_the_journeys_did(won, lost):
    won, lost = ([[c for c, _ in path] for path in some if path] for some in (won, lost))
    counts = markov.transitions(made_of(won), 4, converted=True) + markov.transitions(made_of(lost), 4, converted=False)
    if not won:
        assert not markov.removal_effects(counts).any()
        return
    effects = markov.removal_effects(counts)
    assert ((effects >= -1e-12) & (effects <= 1 + 1e-12)).all()
    if all(len(path) == 1 for path in won + lost):
        assert markov.conversion_chance(counts) == pytest.approx(len(won) / len(won + lost))
    all_won = markov.transitions(made_of(won), 4, converted=True)
    assert markov.conversion_chance(all_won) == pytest.approx(1)
    credit = markov.credited(counts, attribution.credited(made_of(won), attribution.last(made_of(won)), 4))
    assert credit.conversions.sum() == pytest.approx(len(won))


def test_the_chain_agrees_with_walking_it():
    rng = np.random.default_rng(2)
    won, lost = made_of([[0, 1, 0, 2], [2, 2], [1]]), made_of([[0], [1, 0], [2, 0, 1]])
    counts = markov.transitions(won, 3, converted=True) + markov.transitions(lost, 3, converted=False)
    chances = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    state = np.full(200_000, 3)
    for _ in range(60):
        walking = state < 4
        draws = rng.random(walking.sum())
        state[walking] = (draws[:, None] > np.cumsum(chances[state[walking]], axis=1)).sum(axis=1)
    assert (state == 4).mean() == pytest.approx(markov.conversion_chance(counts), abs=5e-3)


def test_the_quoted_shapley_values():
    some = made_of([[0]] * 10 + [[1]] * 5 + [[0, 1]] * 6)
    assert attribution.credited(some, shapley.shares(some), 2).conversions == pytest.approx([13, 8])


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=6), min_size=1, max_size=8))
def test_equal_parts_are_the_shapley_value_of_all_coalitions(given_):
    def worth(coalition):
        return sum(set(path) <= set(coalition) for path in given_)

    expected = np.zeros(5)
    for channel in range(5):
        others = [other for other in range(5) if other != channel]
        for size in range(5):
            for coalition in combinations(others, size):
                weight = factorial(size) * factorial(4 - size) / factorial(5)
                expected[channel] += weight * (worth((*coalition, channel)) - worth(coalition))
    some = made_of(given_)
    assert attribution.credited(some, shapley.shares(some), 5).conversions == pytest.approx(expected)


def test_credit_adds_up_over_streams():
    one, other = made_of([[0, 1], []], values=[2, 3]), made_of([[1]], values=[4])
    parts = [attribution.credited(some, attribution.linear(some), 2) for some in (one, other)]
    together = joined([one, other])
    whole = attribution.credited(together, attribution.linear(together), 2)
    for ours, theirs in zip(parts[0].merge(parts[1]), whole, strict=True):
        assert ours == pytest.approx(theirs)
    assert whole.unattributed == 1
    assert whole.unattributed_value == 3


rows = st.lists(
    st.tuples(st.integers(1, 3), st.integers(0, 12), st.integers(0, 1), st.integers(-1, 2), st.integers(-1, 1)), max_size=25
).map(lambda found: sorted(found, key=lambda row: row[:2]))


def stream_of(events):
    columns = np.array(events, np.int64).reshape(-1, 5).T
    values = {"channel": columns[3].astype(np.int32), "session": columns[4], "amount": columns[1].astype(np.float64)}
    return Stream(columns[0], columns[1], columns[2].astype(np.int16), one_definition_each(2), values, {})


def plain(touches, end, direct):
    """(channel, age) of touches (time, channel, session)."""
    if any(channel not in direct for _, channel, _ in touches):
        touches = [touch for touch in touches if touch[1] not in direct]
    alone = [
        touch
        for i, touch in enumerate(touches)
        if i == 0 or touch[2] == NONE or (touch[1], touch[2]) != (touches[i - 1][1], touches[i - 1][2])
    ]
    return [(channel, end - time) for time, channel, _ in alone]


def listed(found):
    return [
        (int(found.subject[i]), [(int(found.channel[j]), int(found.age[j])) for j in range(found.offset[i], found.offset[i + 1])])
        for i in range(len(found.subject))
    ]


@settings(deadline=None, max_examples=120)
@given(rows, st.integers(0, 8), st.sampled_from([(), (0,)]))
def test_journeys_are_those_of_a_plain_reading(events, look_back, direct):
    stream, touching = stream_of(events), Touching(TOUCH, "channel", "session", direct)
    touches = [
        (subject, (time, channel, session)) for subject, time, code, channel, session in events if code == TOUCH and channel >= 0
    ]
    since, until = 3, 11
    expected = [
        (subject, plain([t for who, t in touches if who == subject and time - look_back <= t[0] <= time], time, direct))
        for subject, time, code, _, _ in events
        if code == BUY and since <= time < until
    ]
    found = journeys(stream, touching, BUY, since, until, look_back, "amount")
    assert listed(found) == expected
    assert found.value.tolist() == [time for _, time, code, _, _ in events if code == BUY and since <= time < until]
    buyers = {subject for subject, time, code, _, _ in events if code == BUY and since <= time < until}
    lost = {who: [t for each, t in touches if each == who and since <= t[0] < until] for who, _ in touches if who not in buyers}
    assert listed(unconverted(stream, touching, BUY, since, until)) == [
        (who, plain(lost[who], until, direct)) for who in sorted(lost) if lost[who]
    ]


def test_a_touch_at_the_same_instant_was_before():
    stream = stream_of([(1, 5, BUY, -1, -1), (1, 5, TOUCH, 1, -1), (1, 6, TOUCH, 2, -1)])
    assert listed(journeys(stream, Touching(TOUCH, "channel"), BUY, 0, 9)) == [(1, [(1, 0)])]
