"""Our special functions against scipy's, and against exact values where scipy loses digits."""

from __future__ import annotations

from math import inf, isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from consentryd.analytics.statistics import distribution as d

shapes = st.floats(0.5, 2_000)
shares = st.floats(1e-6, 1 - 1e-6)


@settings(deadline=None, max_examples=50)
@given(shapes, st.floats(0, 3))
def test_the_incomplete_gamma_is_scipys(shape, relative):
    expected = special.gammaincc(shape, shape * relative)
    assert isclose(d.gamma_sf(shape, shape * relative), expected, rel_tol=1e-10, abs_tol=1e-200)


@settings(deadline=None, max_examples=50)
@given(shares, shapes, shapes)
def test_the_incomplete_beta_is_scipys(x, a, b):
    assert isclose(d.beta_cdf(x, a, b), special.betainc(a, b, x), rel_tol=1e-9, abs_tol=1e-13)


@settings(deadline=None, max_examples=50)
@given(shares, st.floats(1, 1_000), st.floats(1, 1_000))
def test_the_inverse_beta_leads_back(share, a, b):
    assert isclose(d.beta_cdf(d.beta_ppf(share, a, b), a, b), share, rel_tol=1e-9, abs_tol=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.floats(-40, 40), st.floats(1, 1e6))
def test_the_t_tail_is_scipys(x, freedom):
    assert isclose(d.t_sf(x, freedom), stats.t.sf(x, freedom), rel_tol=1e-10, abs_tol=1e-100)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.0001, 0.9999), st.floats(1, 1e6))
def test_the_t_quantile_is_scipys(share, freedom):
    assert isclose(d.t_ppf(share, freedom), stats.t.ppf(share, freedom), rel_tol=1e-9, abs_tol=1e-12)


@pytest.mark.parametrize("x", [-37.0, -8.0, -1.96, 0.0, 0.5, 3.0, 10.0, 37.0])
def test_the_normal_is_scipys_far_out_too(x):
    assert isclose(d.normal_sf(x), stats.norm.sf(x), rel_tol=1e-12)
    assert isclose(d.normal_cdf(x), stats.norm.cdf(x), rel_tol=1e-12)
    assert isclose(d.normal_pdf(x), stats.norm.pdf(x), rel_tol=1e-12)


@pytest.mark.parametrize("share", [1e-12, 0.001, 0.025, 0.5, 0.8, 0.999999])
def test_normal_quantiles_are_scipys(share):
    assert isclose(d.normal_ppf(share), stats.norm.ppf(share), rel_tol=1e-13, abs_tol=1e-15)


@pytest.mark.parametrize(
    ("a", "b", "x"),
    [(1e8, 1e8, 0.50001), (3e7, 9e8, 0.0322581), (12_345_678, 7_654_321, 0.6172), (1e6, 5, 0.999996), (4e8, 4e8, 0.49998)],
)
def test_counts_of_hundreds_of_millions_keep_ten_digits(a, b, x):
    assert isclose(d.beta_cdf(x, a, b), special.betainc(a, b, x), rel_tol=1e-10)


@pytest.mark.parametrize(("shape", "x"), [(1e8, 1.0001e8), (3e6, 2.999e6), (1e8, 1e8)])
def test_large_shapes_keep_ten_digits(shape, x):
    assert isclose(d.gamma_sf(shape, x), special.gammaincc(shape, x), rel_tol=1e-10)


def test_the_ends_are_exact():
    assert d.gamma_sf(2, 0) == 1 == d.beta_cdf(1, 2, 3)
    assert d.gamma_sf(2, inf) == 0 == d.beta_cdf(0, 2, 3)
    assert d.t_sf(inf, 5) == 0
    assert d.t_sf(-inf, 5) == 1
    assert d.t_sf(1.96, inf) == d.normal_sf(1.96)
    assert d.t_ppf(0.5, 7) == pytest.approx(0, abs=1e-12)
