"""MRR, lifetime value: the identity, the classes, and who stays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.analytics.statistics import lifetime, mrr
from consentryd.analytics.statistics.cancellation import Cancellations, lost
from consentryd.analytics.statistics.subscription import DAY, OPEN, PERIODS, Lines, book, lines, monthly

MONTH = PERIODS.index("month")
INSTANTS = np.arange(0, 14) * 30 * DAY
charges = st.lists(
    st.tuples(
        st.integers(1, 4),
        st.integers(0, 2),
        st.integers(0, 380),
        st.integers(0, 5),
        st.integers(0, 4),
        st.sampled_from([OPEN, 20, 200]),
    ),
    max_size=30,
)


def at(*rows):
    """Lines of (account, subscription, day, amount, period, days it lasts or OPEN)."""
    account, subscription, day, amount, period, lasts = np.array(rows, np.int64).reshape(-1, 6).T
    return lines(account, subscription, day * DAY, amount * 10_000, period, np.where(lasts == OPEN, OPEN, (day + lasts) * DAY))


def moved(*rows, instants=INSTANTS):
    return mrr.movements(book(at(*rows), instants), instants)


@pytest.mark.parametrize(
    ("period", "expected"), [("month", 12_0000), ("year", 1_0000), ("week", 52_0000), ("quarter", 4_0000), ("day", 365_2500)]
)
def test_every_period_is_a_month(period, expected):
    assert monthly(np.array([12_0000]), np.array([PERIODS.index(period)])).tolist() == [expected]


@settings(deadline=None, max_examples=80)
@given(charges)
def test_the_identity_holds_to_the_last_digit(rows):
    found = moved(*rows)
    assert (found.mrr[1:] == found.mrr[:-1] + found.amount.sum(axis=0)).all()
    assert (found.amount[:3] >= 0).all()
    assert (found.amount[3:] <= 0).all()
    assert (found.paying[1:] == found.paying[:-1] + found.accounts[0] + found.accounts[1] - found.accounts[4]).all()


@settings(deadline=None, max_examples=80)
@given(charges)
def test_the_book_is_that_of_a_plain_reading(rows):
    state = at(*rows)
    found = book(state, INSTANTS)
    for i, account in enumerate(found.account):
        for j, instant in enumerate(INSTANTS):
            expected = 0
            for subscription in range(3):
                own = [
                    line
                    for line in zip(*state, strict=True)
                    if (line[0], line[1]) == (account, subscription) and line[2] < instant
                ]
                if own:
                    newest = max(enumerate(own), key=lambda each: (each[1][2], each[0]))[1]
                    expected += newest[4] if instant <= newest[3] else 0
            assert found.mrr[i, j] == expected


def test_streams_add_up():
    rows = [(1, 0, 3, 10, MONTH, 200), (2, 0, 40, 5, MONTH, 20), (2, 0, 100, 7, MONTH, 50)]
    parts = moved(*rows[:1]).merge(moved(*rows[1:]))
    for ours, theirs in zip(parts, moved(*rows), strict=True):
        assert (ours == theirs).all()


def test_each_class_of_movement():
    found = moved((1, 0, 5, 10, MONTH, 55), (1, 0, 35, 15, MONTH, 30), (1, 0, 65, 12, MONTH, 30), (1, 0, 155, 12, MONTH, 10_000))
    assert found.mrr.tolist()[:8] == [0, 100_000, 150_000, 120_000, 0, 0, 120_000, 120_000]
    assert {name: np.flatnonzero(found.accounts[i]).tolist() for i, name in enumerate(mrr.MOVEMENTS)} == {
        "new": [0],
        "expansion": [1],
        "contraction": [2],
        "churn": [3],
        "reactivation": [5],
    }
    assert found.logo_churn()[3] == 1
    assert np.isnan(found.logo_churn()[0])


def test_another_subscription_of_the_account_is_an_expansion():
    found = moved((1, 0, 5, 10, MONTH, 30), (1, 1, 35, 25, MONTH, 400))
    assert found.amount[mrr.MOVEMENTS.index("expansion"), 1] == 150_000
    assert not found.accounts[mrr.MOVEMENTS.index("churn")].any()


def test_who_paid_within_a_month_only_is_not_new_again():
    found = moved((1, 0, 5, 10, MONTH, 10), (1, 0, 65, 10, MONTH, 400))
    assert found.accounts[:2].sum(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize(("period", "lasts"), [("day", 45), ("week", 45), ("month", 45), ("quarter", 106), ("year", 380)])
def test_a_charge_without_an_end_runs_for_its_period_and_some_grace(period, lasts):
    state = at((1, 0, 0, 1, PERIODS.index(period), OPEN))
    assert state.until.tolist() == [lasts * DAY]
    assert book(state, np.array([lasts * DAY, lasts * DAY + 1])).mrr.astype(bool).tolist() == [[True, False]]


def test_who_paid_nothing_yet_is_new():
    found = moved((1, 0, 5, 0, MONTH, 10), (1, 0, 65, 10, MONTH, 400))
    assert found.accounts[:2].sum(axis=1).tolist() == [1, 0]


def test_a_charge_at_an_instant_belongs_after_it():
    state = at((1, 0, 30, 1, MONTH, 30))
    assert book(state, np.array([30, 31, 60, 61]) * DAY).mrr.astype(bool).tolist() == [[False, True, True, False]]


@settings(deadline=None, max_examples=100)
@given(charges)
def test_gross_retention_never_passes_one(rows):
    kept = mrr.kept(book(at(*rows), INSTANTS))
    gross = kept.gross_retention()
    assert (np.isnan(gross) | ((gross >= 0) & (gross <= 1))).all()
    assert (kept.net >= kept.gross).all()


def test_retention_follows_the_accounts_of_a_year_before():
    instants = np.arange(1, 14) * 30 * DAY
    state = at((1, 0, 5, 10, MONTH, 400), (1, 1, 50, 10, MONTH, 400), (2, 0, 5, 30, MONTH, 100), (3, 0, 100, 99, MONTH, 400))
    kept = mrr.kept(book(state, instants))
    assert kept.net_retention() == pytest.approx([0.5])
    assert kept.gross_retention() == pytest.approx([0.25])
    assert mrr.kept(book(state, instants[:5])).base.size == 0


def test_how_many_accounts_are_behind_each_change_of_a_year_is_counted():
    instants = np.arange(1, 14) * 30 * DAY
    more = (1, 0, 5, 10, MONTH, 400), (1, 1, 50, 10, MONTH, 400), (2, 0, 5, 1, MONTH, 400), (2, 1, 50, 1, MONTH, 400)
    less = (3, 0, 5, 30, MONTH, 100), (4, 0, 5, 5, MONTH, 400), (4, 1, 5, 5, MONTH, 100), (5, 0, 5, 1, MONTH, 100)
    rest = (6, 0, 5, 7, MONTH, 400), (7, 0, 100, 99, MONTH, 400), (8, 0, 100, 9, MONTH, 20)
    kept = mrr.kept(book(at(*more, *less, *rest), instants))
    assert kept.accounts.tolist() == [[6], [1], [2], [3]]
    assert (kept.base.tolist(), kept.net.tolist(), kept.gross.tolist()) == ([59_0000], [34_0000], [23_0000])


def test_churn_is_told_apart_by_the_last_reason_given():
    state = at(
        (1, 0, 5, 10, MONTH, 30),
        (2, 0, 5, 20, MONTH, 30),
        (3, 0, 5, 30, MONTH, 30),
        (3, 0, 95, 40, MONTH, 30),
        (4, 0, 40, 50, MONTH, 30),
    )
    told = Cancellations(np.array([1, 1, 2, 3, 4]), np.array([10, 30, 70, 100, 20]) * DAY, np.array([1, 0, 0, 1, 0]))
    held = book(state, INSTANTS)
    found = lost(held, INSTANTS, told, 2)
    assert found.accounts[:, 1].tolist() == [1, 0, 2]
    assert found.amount[:, 1].tolist() == [-100_000, 0, -500_000]
    assert found.accounts[:, 2].tolist() == [0, 0, 1]
    assert found.accounts[:, 4].tolist() == [0, 1, 0]
    movements = mrr.movements(held, INSTANTS)
    churned = mrr.MOVEMENTS.index("churn")
    assert (found.accounts.sum(axis=0) == movements.accounts[churned]).all()
    assert (found.amount.sum(axis=0) == movements.amount[churned]).all()
    assert (found.merge(found).amount == 2 * found.amount).all()


def test_no_charges_move_nothing():
    empty = Lines(*(np.zeros(0, np.int64) for _ in range(5)))
    assert mrr.movements(book(empty, INSTANTS), INSTANTS).mrr.tolist() == [0] * 14
    assert at().time.size == 0


def test_lifetime_value_shows_complete_ages_only():
    cohort, age, amount = np.array([0, 0, 0, 1, 1, 0]), np.array([0, 2, 2, 0, 9, 1]), np.array([100, 50, -20, 30, 7, 0])
    complete = np.array([[True, True, True], [True, False, False], [True, True, True]])
    found = lifetime.historical(cohort, age, amount, np.array([2, 3, 0]), complete)
    assert found[0].tolist() == [50, 50, 65]
    assert found[1, 0] == 10
    assert np.isnan(found[1, 1:]).all()
    assert np.isnan(found[2]).all()


def test_a_refund_accrues_to_its_order():
    time, order = np.array([5, 6, 9, 12, 13]), np.array([1, 1, 1, 2, -1])
    refund = np.array([False, False, True, True, True])
    assert lifetime.accrued(time, order, refund).tolist() == [5, 6, 5, 12, 13]
    assert time.tolist() == [5, 6, 9, 12, 13]


def test_revenue_per_head():
    assert lifetime.arpu(100, 8) == 12.5
    assert lifetime.arppu(100, 0) is None
    assert lifetime.order_value(90, 3) == 30
    assert lifetime.predicted(10, 0.8, 0.05) == 160
    assert lifetime.predicted(10, 0.8, 0) is None
