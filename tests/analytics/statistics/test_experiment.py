"""The report of an experiment: what is checked first, what decides, and what is only shown."""

from __future__ import annotations

import numpy as np
import pytest

from consentryd.analytics.statistics import cuped
from consentryd.analytics.statistics.experiment import Metric, Plan, report
from consentryd.analytics.statistics.moments import Moments, moments, moments_of_sums, pair
from consentryd.analytics.statistics.proportion import Proportion

FIXED = Plan(method="frequentist")
EVEN = [5_000, 5_000]


def row_of(metric, plan=FIXED, exposed=EVEN, mixed=0):
    (row,) = report([metric], exposed, mixed, sum(exposed), plan).rows
    return row


def conversion(control, treatment, **options):
    return Metric("bought", (Proportion(*control), Proportion(*treatment)), **options)


def spending(seed, lift, n=400):
    rng = np.random.default_rng(seed)
    return Metric("spent", (moments(rng.gamma(2, 5, n)), moments(rng.gamma(2, 5, n) + lift)))


def test_the_quoted_conversion_is_inconclusive_by_the_score_test():
    row = row_of(conversion((87, 1529), (62, 1471)))
    assert (row.test, row.status, row.n, row.total) == ("score", "inconclusive", 1471, 62)
    assert round(row.p_value, 4) == 0.0630 == round(row.adjusted_p, 4)
    assert row.interval.low < row.effect < row.interval.high
    assert row.relative_interval.low < row.relative < row.relative_interval.high
    assert row.chance is None


@pytest.mark.parametrize(
    ("direction", "status"),
    [("increase", "better"), ("decrease", "worse")],
)
@pytest.mark.parametrize("method", ["frequentist", "sequential", "bayesian"])
def test_the_direction_says_what_better_is(method, direction, status):
    plan = Plan(method=method)
    assert row_of(conversion((500, 5_000), (800, 5_000), direction=direction), plan).status == status
    swapped = {"better": "worse", "worse": "better"}[status]
    assert row_of(conversion((800, 5_000), (500, 5_000), direction=direction), plan).status == swapped
    assert row_of(conversion((500, 5_000), (501, 5_000), direction=direction), plan).status == "inconclusive"


@pytest.mark.parametrize("method", ["frequentist", "sequential", "bayesian"])
def test_means_are_decided_by_every_method(method):
    assert row_of(spending(1, 4.0, 4_000), Plan(method=method)).status == "better"
    assert row_of(spending(2, -4.0, 4_000), Plan(method=method)).status == "worse"
    same = spending(3, 0.0).arms[0]
    assert row_of(Metric("spent", (same, same)), Plan(method=method)).status == "inconclusive"


def test_means_are_decided_by_the_absolute_difference_and_shown_the_relative():
    treatment, control = moments_of_sums(2461, 1922.7, 94698.29), moments_of_sums(2507, 1196.87, 37377.9767)
    row = row_of(Metric("spent", (control, treatment)))
    assert row.p_value == pytest.approx(0.0371933, abs=1e-6)
    assert row.relative_interval == pytest.approx((-0.0875, 1.3605), abs=1e-4)
    believed = row_of(Metric("spent", (control, treatment)), Plan(method="bayesian"))
    assert believed.chance == pytest.approx(0.95759, abs=1e-5)
    assert believed.relative_interval == pytest.approx((-0.0873, 1.36026), abs=1e-4)


def test_a_negative_control_does_not_turn_the_belief_around():
    rng = np.random.default_rng(4)
    metric = Metric("margin", (moments(rng.normal(-3, 1, 900)), moments(rng.normal(-1, 1, 900))))
    row = row_of(metric, Plan(method="bayesian"))
    assert row.status == "better"
    assert row.chance > 0.99


def test_arms_filled_wrongly_make_every_row_invalid():
    found = report([conversion((500, 51_000), (800, 49_000))], [51_000, 49_000], 0, 100_000, FIXED)
    assert [row.status for row in found.rows] == ["invalid: sample ratio mismatch"]
    assert "not filled as planned" in found.warnings[0]
    amber = report([conversion((500, 50_500), (800, 49_500))], [50_500, 49_500], 0, 100_000, FIXED)
    assert amber.split.level == "amber"
    assert amber.rows[0].status == "better"
    assert len(amber.warnings) == 1
    planned = Plan(method="frequentist", weights=(51, 49))
    assert report([conversion((500, 51_000), (800, 49_000))], [51_000, 49_000], 0, 100_000, planned).rows[0].status == "better"


@pytest.mark.parametrize(
    ("mixed", "warnings", "status"), [(100, 0, "better"), (101, 1, "better"), (1001, 1, "invalid: mixed exposure")]
)
def test_mixed_exposure_is_warned_of_and_then_refused(mixed, warnings, status):
    found = report([conversion((500, 5_000), (800, 5_000))], EVEN, mixed, 10_000, FIXED)
    assert (len(found.warnings), found.rows[0].status) == (warnings, status)


@pytest.mark.parametrize(
    ("metric", "plan"),
    [
        (conversion((0, 0), (3, 9)), FIXED),
        (conversion((3, 900), (40, 900)), Plan(method="sequential")),
        (Metric("spent", (Moments(1, 3.0, 0.0), Moments(9, 3.0, 8.0))), FIXED),
        (Metric("spent", (Moments(9, 3.0, 0.0), Moments(9, 4.0, 0.0))), Plan(method="bayesian")),
        (Metric("pages", (pair(np.ones(3), np.zeros(3)), pair(np.ones(3), np.ones(3)))), FIXED),
    ],
)
def test_too_few_are_said_to_be_too_few(metric, plan):
    row = row_of(metric, plan)
    assert row.status == "invalid: too few"
    assert row.p_value is None


def test_arms_as_good_as_equal_are_not_called_better():
    row = row_of(conversion((5_000_000, 50_000_000), (5_000_900, 50_000_000)), Plan(method="bayesian"))
    assert row.expected_loss < 0.005
    assert row.status == "inconclusive"


def test_few_conversions_at_a_fixed_horizon_are_decided_exactly():
    row = row_of(conversion((1, 300), (14, 300)))
    assert (row.test, row.status) == ("fisher", "better")
    assert row_of(conversion((0, 300), (9, 300))).relative is None


def test_variants_and_primary_metrics_share_one_holm_and_secondary_ones_stand_apart():
    arms = (Proportion(500, 5_000), Proportion(570, 5_000), Proportion(565, 5_000))
    primary = Metric("bought", arms)
    secondary = Metric("viewed", arms, primary=False)
    found = report([primary, secondary], [5_000] * 3, 0, 15_000, FIXED)
    first, second, third, fourth = found.rows
    assert first.p_value < second.p_value < 0.05
    assert first.adjusted_p == pytest.approx(2 * first.p_value)
    assert second.adjusted_p == pytest.approx(max(second.p_value, 2 * first.p_value))
    assert third.adjusted_p == pytest.approx(min(2 * third.p_value, fourth.p_value))
    assert [row.exploratory for row in found.rows] == [False, False, True, True]
    assert [(row.metric, row.arm, row.mean) for row in found.controls] == [("bought", 0, 0.1), ("viewed", 0, 0.1)]


def test_cuped_decides_what_the_plain_mean_cannot():
    rng = np.random.default_rng(6)
    before = rng.gamma(2, 10, 2_000)
    since = before + rng.normal(0, 1, 2_000) + np.repeat([0, 0.4], 1_000)
    halves = slice(1_000), slice(1_000, None)
    plain = Metric("spent", tuple(moments(since[half]) for half in halves))
    adjusted = Metric("spent", tuple(cuped.arm(before[half], since[half]) for half in halves))
    assert row_of(plain).status == "inconclusive"
    found = report([adjusted], EVEN, 0, 10_000, FIXED)
    assert found.rows[0].status == "better"
    assert found.rows[0].mean == row_of(plain).mean
    assert found.reductions["spent"] > 0.9


def test_ratios_are_compared_over_subjects():
    rng = np.random.default_rng(8)
    visits = rng.poisson(3, 4_000) + 1.0
    pages = rng.poisson(visits * np.repeat([4, 5], 2_000)) * 1.0
    halves = slice(2_000), slice(2_000, None)
    row = row_of(Metric("pages per visit", tuple(pair(pages[half], visits[half]) for half in halves)))
    assert row.status == "better"
    assert row.mean == pytest.approx(pages[2_000:].sum() / visits[2_000:].sum())
    assert row.total == pytest.approx(pages[2_000:].sum())
