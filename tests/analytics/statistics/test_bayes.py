"""Chances and expected losses: quoted numbers, exact sums, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from scipy.special import betaln

from consentryd.analytics.statistics import bayes
from consentryd.analytics.statistics.estimate import relative
from consentryd.analytics.statistics.moments import moments_of_sums
from consentryd.analytics.statistics.proportion import Proportion

small = st.integers(1, 60)


def exact_chance(t, c):
    """P(t > c) of betas with whole parameters, as a finite sum."""
    i = np.arange(t.a)
    return np.exp(betaln(c.a + i, t.b + c.b) - np.log(t.b + i) - betaln(1 + i, t.b) - betaln(c.a, c.b)).sum()


def test_the_quoted_chance_is_that_of_another_prior():
    arms = Proportion(87, 1529), Proportion(62, 1471)
    found = bayes.rates(*(bayes.posterior(arm) for arm in arms))
    assert round(found.chance, 4) == 0.0318
    assert round(bayes.rates(*(bayes.posterior(arm, (0.5, 0.5)) for arm in arms)).chance, 4) == 0.0313
    assert found.loss_of_treatment - found.loss_of_control == pytest.approx(88 / 1531 - 63 / 1473)


def test_the_quoted_mean():
    treatment, control = moments_of_sums(2461, 1922.7, 94698.29), moments_of_sums(2507, 1196.87, 37377.9767)
    shown = relative(control.estimate(), treatment.estimate())
    found = bayes.normal(shown.effect, shown.error)
    assert shown.effect == pytest.approx(0.63646, abs=1e-5)
    assert found.chance == pytest.approx(0.95759, abs=1e-5)
    assert found.interval == pytest.approx((-0.0873, 1.36026), abs=1e-4)


@settings(max_examples=15, deadline=None)
@given(small, small, small, small)
def test_chances_are_exact(a, b, c, d):
    treatment, control = bayes.Beta(a, b), bayes.Beta(c, d)
    assert bayes.above(treatment, control) == pytest.approx(exact_chance(treatment, control), rel=1e-9, abs=1e-12)
    assert bayes.above(treatment, control) + bayes.above(control, treatment) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize(
    ("treatment", "control"), [((1, 1), (1, 2_000_000)), ((3, 900), (50_000_000, 49_990_000)), ((2, 1), (1, 2))]
)
def test_arms_of_very_different_sizes_are_exact(treatment, control):
    treatment, control = bayes.Beta(*treatment), bayes.Beta(*control)
    assert bayes.above(treatment, control) == pytest.approx(exact_chance(treatment, control), rel=1e-8, abs=1e-12)


@settings(max_examples=15, deadline=None)
@given(small, small, small, small)
def test_losses_are_the_integrals(a, b, c, d):
    found = bayes.rates(bayes.Beta(c, d), bayes.Beta(a, b))
    loss, _ = integrate.quad(lambda x: stats.beta.cdf(x, a, b) * stats.beta.sf(x, c, d), 0, 1, epsabs=1e-12, limit=200)
    assert found.loss_of_treatment == pytest.approx(loss, abs=1e-8)
    assert found.loss_of_control >= -1e-12


def test_credible_intervals_hold_what_they_say():
    rng = np.random.default_rng(3)
    control, treatment = bayes.Beta(30, 270), bayes.Beta(40, 250)
    draws_t, draws_c = rng.beta(*treatment, 1_000_000), rng.beta(*control, 1_000_000)
    assert bayes.rates(control, treatment).interval == pytest.approx(np.quantile(draws_t - draws_c, [0.025, 0.975]), abs=3e-4)
    assert bayes.relative_interval(control, treatment) == pytest.approx(
        np.quantile(draws_t / draws_c - 1, [0.025, 0.975]), abs=6e-3
    )
    assert control.interval() == pytest.approx(stats.beta.ppf([0.025, 0.975], 30, 270), rel=1e-10)


def test_a_mean_loses_what_it_is_expected_to():
    found = bayes.normal(0.4, 0.5)
    draws = np.random.default_rng(5).normal(0.4, 0.5, 1_000_000)
    assert found.loss_of_treatment == pytest.approx(np.maximum(-draws, 0).mean(), abs=1e-3)
    assert found.loss_of_control == pytest.approx(np.maximum(draws, 0).mean(), abs=2e-3)
