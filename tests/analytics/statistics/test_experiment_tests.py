"""Tests and intervals of experiments: the numbers the specification quotes, then scipy and statsmodels."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats import proportion as sp
from statsmodels.stats.contingency_tables import Table2x2
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from consentryd.analytics.statistics import cuped, mean, multiplicity, power, proportion, sequential, srm
from consentryd.analytics.statistics.estimate import Estimate, difference, relative
from consentryd.analytics.statistics.moments import moments, moments_of_sums, pair, pair_of_sums
from consentryd.analytics.statistics.proportion import Proportion
from consentryd.analytics.statistics.ratio import ratio

CONTROL, TREATMENT = Proportion(87, 1529), Proportion(62, 1471)


@st.composite
def arms(draw):
    n = draw(st.integers(1, 400))
    return Proportion(draw(st.integers(0, n)), n)


def table(control, treatment):
    return [[treatment.successes, treatment.n - treatment.successes], [control.successes, control.n - control.successes]]


def test_the_quoted_conversion_test_is_the_uncorrected_one():
    found = proportion.decide(CONTROL, TREATMENT)
    assert found.test == "score"
    assert round(found.p_value, 4) == 0.0630
    assert round(stats.chi2_contingency(table(CONTROL, TREATMENT)).pvalue, 4) == 0.0759
    assert found.p_value == pytest.approx(stats.chi2_contingency(table(CONTROL, TREATMENT), correction=False).pvalue, rel=1e-10)


def test_the_absolute_and_the_relative_delta_method_disagree_about_the_same_data():
    absolute = difference(CONTROL.estimate(), TREATMENT.estimate())
    shown = relative(CONTROL.estimate(), TREATMENT.estimate())
    assert round(absolute.p_value, 4) == 0.0622
    assert round(shown.p_value, 5) == 0.03096


def test_the_quoted_mean_is_reproduced():
    treatment, control = moments_of_sums(2461, 1922.7, 94698.29), moments_of_sums(2507, 1196.87, 37377.9767)
    found = relative(control.estimate(), treatment.estimate())
    assert [round(x, 5) for x in (found.effect, found.p_value)] == [0.63647, 0.08488]
    assert [round(found.low, 4), round(found.high, 4)] == [-0.0875, 1.3605]


@pytest.mark.parametrize(
    ("exposed", "p_value", "level"),
    [([5100, 4900], 0.0455, "ok"), ([50_500, 49_500], 0.00157, "amber"), ([51_000, 49_000], 2.5e-10, "alarm")],
)
def test_the_quoted_splits(exposed, p_value, level):
    found = srm.split(exposed, [1, 1])
    assert found.p_value == pytest.approx(p_value, rel=0.02)
    assert found.level == level


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=6), st.data())
def test_the_split_is_scipys_chi_square(exposed, data):
    weights = data.draw(st.lists(st.integers(1, 9), min_size=len(exposed), max_size=len(exposed)))
    found = srm.split(exposed, weights)
    if not sum(exposed):
        assert found is None
        return
    expected = stats.chisquare(exposed, np.array(weights) / sum(weights) * sum(exposed))
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9, abs=1e-200)
    assert (found.level == "alarm") == (found.p_value < 0.001)
    assert (found.level == "ok") == (found.p_value >= 0.01)


def test_a_split_needs_positive_weights_and_two_arms():
    with pytest.raises(ValueError, match="positive"):
        srm.split([1, 2], [1, 0])
    with pytest.raises(ValueError, match="positive"):
        srm.split([1, 2], [1])
    assert srm.split([5], [1]) is None


@settings(deadline=None, max_examples=50)
@given(arms(), arms())
def test_fishers_test_is_scipys(control, treatment):
    assert proportion.fisher(control, treatment) == pytest.approx(stats.fisher_exact(table(control, treatment)).pvalue, rel=1e-7)


@pytest.mark.parametrize("n", [7, 24, 60])
def test_tables_that_are_mirror_images_are_equally_likely(n):
    for first in range(n + 1):
        for second in (first + 2, n - first, n // 2):
            pair_of = Proportion(first, n), Proportion(min(second, n), n)
            assert proportion.fisher(*pair_of) == pytest.approx(stats.fisher_exact(table(*pair_of)).pvalue, rel=1e-7)


@settings(deadline=None, max_examples=50)
@given(arms(), arms())
def test_the_score_test_is_the_pooled_z_of_statsmodels(control, treatment):
    total = control.merge(treatment)
    if total.successes in {0, total.n}:
        assert proportion.score(control, treatment) == 1
        return
    _, expected = sp.proportions_ztest([treatment.successes, control.successes], [treatment.n, control.n])
    assert proportion.score(control, treatment) == pytest.approx(expected, rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(arms(), arms())
def test_few_conversions_are_decided_exactly(control, treatment):
    each = min(control.successes, control.n - control.successes, treatment.successes, treatment.n - treatment.successes)
    expected = min(control.n, treatment.n) * min((p := control.merge(treatment).rate), 1 - p)
    assert proportion.decide(control, treatment).test == ("fisher" if each < 5 or expected < 5 else "score")


def test_nobody_in_an_arm_decides_nothing():
    assert proportion.decide(Proportion(0, 0), Proportion(3, 9)) is None


@settings(deadline=None, max_examples=50)
@given(arms(), arms(), st.sampled_from([0.01, 0.05, 0.2]))
def test_intervals_of_rates_are_those_of_statsmodels(control, treatment, alpha):
    counts = (treatment.successes, treatment.n, control.successes, control.n)
    for ours, name in ((proportion.newcombe, "newcomb"), (proportion.wald, "wald")):
        expected = sp.confint_proportions_2indep(*counts, method=name, compare="diff", alpha=alpha)
        assert ours(control, treatment, alpha) == pytest.approx(expected, rel=1e-8, abs=1e-10)
    if not control.successes or not treatment.successes:
        assert proportion.katz(control, treatment, alpha) is None
    elif treatment.rate < 1 or control.rate < 1:
        low, high = sp.confint_proportions_2indep(*counts, method="log", compare="ratio", alpha=alpha)
        assert proportion.katz(control, treatment, alpha) == pytest.approx((low - 1, high - 1), rel=1e-8)


def test_the_ratio_of_risks_is_katz_by_the_table_of_statsmodels():
    low, high = Table2x2(np.array(table(CONTROL, TREATMENT))).riskratio_confint()
    assert proportion.katz(CONTROL, TREATMENT) == pytest.approx((low - 1, high - 1), rel=1e-10)


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30),
    st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30),
    st.floats(-1e5, 1e5),
)
@example([0.0, 1e-160], [0.0, 1e-160], 0.0)
def test_welchs_test_is_scipys(a, b, offset):
    control, treatment = np.array(a) + offset, np.array(b) + offset
    found = difference(moments(control).estimate(), moments(treatment).estimate(), 0.1)
    if np.ptp(control) < 1e-3 or np.ptp(treatment) < 1e-3:
        return
    assert found.p_value == pytest.approx(stats.ttest_ind(treatment, control, equal_var=False).pvalue, rel=1e-6)
    expected = CompareMeans(DescrStatsW(treatment), DescrStatsW(control)).tconfint_diff(alpha=0.1, usevar="unequal")
    assert (found.low, found.high) == pytest.approx(expected, rel=1e-6, abs=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-1e6, 1e6), max_size=30), st.lists(st.floats(-1e6, 1e6), max_size=30))
def test_moments_add_up_over_buckets(a, b):
    whole, parts = moments(np.array(a + b)), moments(np.array(a)).merge(moments(np.array(b)))
    assert parts.n == whole.n
    assert (parts.mean, parts.squares) == pytest.approx((whole.mean, whole.squares), rel=1e-9, abs=1e-3)
    assert whole.total == pytest.approx(sum(a + b), abs=1e-3)
    both = pair(np.array(a), np.array(a) * 2 + 1).merge(pair(np.array(b), np.array(b) * 2 + 1))
    assert both == pytest.approx(pair(np.array(a + b), np.array(a + b) * 2 + 1), rel=1e-9, abs=1e-3)


def test_what_has_no_variance_is_not_tested():
    still = moments(np.array([2.0, 2.0])).estimate()
    assert difference(still, still) is None
    assert difference(moments(np.array([1.0])).estimate(), moments(np.array([1.0, 2.0])).estimate()) is None
    assert difference(moments(np.array([])).estimate(), still) is None
    assert relative(Estimate(0.0, 1.0, 9), Estimate(1.0, 1.0, 9)) is None


def test_one_cap_is_put_on_all_arms():
    quiet, loud = np.arange(200.0), np.append(np.arange(199.0), 1e9)
    limit = mean.cap([quiet, loud])
    assert limit == np.quantile(np.concatenate([quiet, loud]), 0.995)
    capped = mean.winsorised([quiet, loud])
    assert capped[1].max() == capped[0].max() == limit
    assert mean.cap([]) is None
    assert mean.winsorised([np.array([])])[0].size == 0


def test_a_ratio_varies_as_its_bootstrap_does():
    rng = np.random.default_rng(7)
    sessions = rng.poisson(3, 4_000) + 1.0
    pages = rng.poisson(4 * sessions) * 1.0
    found = ratio(pair(pages, sessions))
    picks = rng.integers(0, 4_000, (800, 4_000))
    assert found.value == pytest.approx(pages.sum() / sessions.sum())
    assert found.variance**0.5 == pytest.approx(np.std(pages[picks].sum(1) / sessions[picks].sum(1)), rel=0.08)


def test_a_ratio_is_a_mean_when_every_denominator_is_one():
    values = np.array([1.0, 4.0, 2.0, 9.0])
    sums = pair_of_sums(4, values.sum(), 4, (values**2).sum(), 4, values.sum())
    assert ratio(sums) == pytest.approx(moments(values).estimate())
    assert ratio(pair(values, np.zeros(4))) is None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(values):
    found = multiplicity.holm(np.array([np.nan if value is None else value for value in values]))
    known = [each for each, value in enumerate(values) if value is not None]
    for each, value in enumerate(values):
        if value is None:
            assert np.isnan(found[each])
            continue
        sets = [s for m in range(1, len(known) + 1) for s in combinations(known, m) if each in s]
        assert found[each] == pytest.approx(min(1.0, max(len(s) * min(values[i] for i in s) for s in sets)))


def test_adjusted_p_values_are_those_of_statsmodels():
    for seed in range(5):
        given_ = np.random.default_rng(seed).beta(0.3, 2, 9)
        assert multiplicity.holm(given_) == pytest.approx(multipletests(given_, method="holm")[1])
        assert multiplicity.benjamini_hochberg(given_) == pytest.approx(multipletests(given_, method="fdr_bh")[1])


def test_the_quoted_holm():
    assert multiplicity.holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])


@settings(deadline=None, max_examples=50)
@given(st.integers(20, 200), st.integers(20, 200), st.integers(0, 1_000))
def test_cuped_is_the_regression_on_arm_and_past(m, n, seed):
    rng = np.random.default_rng(seed)
    before = rng.gamma(2.0, 3.0, m + n)
    arm = np.repeat([0.0, 1.0], [m, n])
    since = 5 + 0.8 * before + 0.3 * arm + rng.normal(size=m + n)
    found = cuped.adjust([cuped.arm(before[arm == side], since[arm == side]) for side in (0, 1)])
    fitted = sm.OLS(since, np.column_stack([np.ones(m + n), arm, before])).fit()
    assert found.theta == pytest.approx(fitted.params[2])
    assert found.arms[1].mean - found.arms[0].mean == pytest.approx(fitted.params[1], abs=1e-8)
    assert 0 < found.reduction < 1


def test_cuped_leaves_those_without_a_past_at_the_mean():
    past = cuped.arm(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    mixed = past.merge(cuped.arm(np.array([np.nan, np.nan]), np.array([4.0, 4.0])))
    found = cuped.adjust([mixed, past])
    assert found.theta == 2
    assert found.reduction == 1
    assert [arm.mean for arm in found.arms] == [4, 4]
    assert found.arms[0].n == 5


def test_cuped_does_nothing_where_the_past_does_not_vary():
    arms = [cuped.arm(np.array([1.0, 1.0]), np.array([2.0, 5.0])), cuped.arm(np.array([1.0]), np.array([3.0]))]
    found = cuped.adjust(arms)
    assert (found.theta, found.reduction) == (0, 0)
    assert list(found.arms) == [arm.plain for arm in arms]
    assert cuped.adjust([cuped.Arm(), cuped.Arm()]).reduction is None


def test_twenty_looks_fool_the_fixed_horizon_and_not_the_confidence_sequence():
    rng = np.random.default_rng(1)
    runs, looks, step = 4_000, 20, 500
    totals = rng.binomial(step, 0.1, (runs, 2, looks)).cumsum(axis=2)
    n = np.arange(1, looks + 1) * step
    rates = totals / n
    effect, error = rates[:, 1] - rates[:, 0], np.sqrt((rates * (1 - rates) / n).sum(axis=1))
    fixed = (np.abs(effect) > 1.959964 * error).any(axis=1).mean()
    halves = np.array([sequential.half_width(1.0, int(2 * each)) for each in n])
    assert fixed == pytest.approx(0.231, abs=0.025)
    assert (np.abs(effect) > halves * error).any(axis=1).mean() == pytest.approx(0.010, abs=0.007)


@settings(deadline=None, max_examples=50)
@given(st.floats(-5, 5), st.floats(0.1, 2), st.integers(10, 100_000), st.floats(0.001, 0.3))
def test_the_always_valid_p_agrees_with_its_interval(effect, error, n, alpha):
    found = sequential.sequence(effect, error, n, alpha)
    excluded = found.low > 0 or found.high < 0
    assert excluded == (found.p_value < alpha) or found.p_value == pytest.approx(alpha)


@pytest.mark.parametrize(
    ("planned", "planned_at", "n", "expected"),
    [
        (1000, 5, 1000, "frequentist"),
        (1000, 5, 999, "sequential"),
        (1000, 11, 1000, "sequential"),
        (None, 5, 1000, "sequential"),
        (1000, None, 1000, "sequential"),
    ],
)
def test_a_fixed_horizon_is_believed_only_if_planned_before_and_reached(planned, planned_at, n, expected):
    assert sequential.method(planned, planned_at, 10, n) == expected


def test_the_sample_size_is_the_formulas():
    z = stats.norm.ppf(0.975) + stats.norm.ppf(0.8)
    assert power.sample_size(0.10, 0.12) == int(np.ceil(z**2 * (0.09 + 0.1056) / 0.0004)) == 3839
    assert power.sample_size_of_mean(10, 1) == int(np.ceil(2 * (z * 10) ** 2)) == 1570


@settings(deadline=None, max_examples=50)
@given(st.floats(0.001, 0.999), st.integers(5, 1_000_000), st.sampled_from(["increase", "decrease"]))
def test_the_detectable_effect_needs_just_the_sample_there_is(base, n, direction):
    found = power.detectable(base, n, direction=direction)
    if found is None:
        assert power.sample_size(base, 1.0 if direction == "increase" else 0.0) > n
        return
    assert (found > 0) == (direction == "increase")
    assert power.sample_size(base, min(1.0, max(0.0, base + found))) <= n + 1
    if abs(found) > 1e-9:
        assert power.sample_size(base, base + found * 0.99) >= n


def test_days_to_go():
    assert power.days_to_go(100, 100, 0) == 0
    assert power.days_to_go(100, 40, 25) == 3
    assert power.days_to_go(100, 40, 0) is None
    assert power.detectable_mean(10, 1570) == pytest.approx(1, rel=1e-3)
    assert power.detectable_mean(10, 0) is None
    with pytest.raises(ValueError, match="two different"):
        power.sample_size(0.1, 0.1)
    with pytest.raises(ValueError, match="effect"):
        power.sample_size_of_mean(1, 0)
