"""Features, fit, calibration and the rules of refusal."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from consentryd.analytics.statistics import logistic, propensity
from consentryd.analytics.statistics.feature import Activity, Table, behaviour, category, frequent, happened
from consentryd.analytics.statistics.quality import auc, calibration, lift, quality

CUTOFFS = propensity.cutoffs(today=100, horizon=7, gap=28)


def sample(seed, n=4_000, strength=1.0, base=-0.5):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    did = rng.random(n) < logistic.probability(base + strength * (x[:, 0] - 0.5 * x[:, 1]))
    return Table(np.arange(n), ("a", "b", "noise"), x * [10, 0.1, 1] + [5, 0, 0]), did


def test_without_a_ridge_the_fit_is_that_of_statsmodels():
    table, did = sample(1, 500)
    expected = sm.Logit(did.astype(float), sm.add_constant(table.values)).fit(disp=0).params
    assert logistic.fit(table.values, did, ridge=0.0) == pytest.approx(expected, rel=1e-5)


def test_with_a_ridge_no_other_weights_are_better():
    table, did = sample(2, 300)
    design = np.column_stack([np.ones(300), table.values])

    def loss(weights):
        logit = design @ weights
        return (np.logaddexp(0, logit) - did * logit).sum() + (weights[1:] ** 2).sum()

    found = logistic.fit(table.values, did, ridge=2.0)
    assert loss(found) <= minimize(loss, found + 0.01, method="BFGS").fun + 1e-7


def test_classes_that_separate_keep_finite_weights():
    x = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    found = logistic.fit(x, x[:, 0] > 0)
    assert np.isfinite(found).all()
    assert found[1] > 0.5
    assert logistic.probability(np.array([-1e4, 0.0, 1e4])).tolist() == [0, 0.5, 1]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=40))
def test_ranking_is_what_its_definition_says(pairs):
    scores, did = np.array([s for s, _ in pairs], float), np.array([d for _, d in pairs])
    wins = [(a > b) + 0.5 * (a == b) for a in scores[did] for b in scores[~did]]
    assert auc(scores, did) == (pytest.approx(np.mean(wins)) if wins else None)
    if did.any():
        assert lift(scores, did, 1.0) == pytest.approx(1)


def test_lift_counts_ties_at_the_edge_in_part():
    scores, did = np.array([3.0] + [2.0] * 9), np.array([True] * 2 + [False] * 8)
    assert lift(scores, did) == 5
    assert lift(scores, did, 0.2) == pytest.approx((1 + 1 / 9) / 2 / 0.2)
    assert lift(scores, np.zeros(10, bool)) is None


def test_calibration_compares_what_was_said_with_what_came():
    scores = np.repeat([0.2, 0.8], 50)
    did = np.concatenate([np.arange(50) < 10, np.arange(50) < 30])
    table = calibration(scores, did, 2)
    assert [(each.n, each.observed) for each in table] == [(50, 0.2), (50, 0.6)]
    assert [each.predicted for each in table] == pytest.approx([0.2, 0.8])
    found = quality(scores, np.concatenate([np.ones(10), np.zeros(40), np.ones(30), np.zeros(20)]).astype(bool))
    assert found.brier == pytest.approx((10 * 0.64 + 40 * 0.04 + 30 * 0.04 + 20 * 0.64) / 100)


def test_a_model_that_holds_later_is_believed():
    table, did = sample(3)
    found = propensity.train(table, did, *sample(4), CUTOFFS, 7)
    assert found.refusals == ()
    assert found.quality.auc > 0.7
    assert found.quality.lift > 1.5
    assert sum(each.n for each in found.quality.calibration) == 4_000
    assert found.quality.calibration_error < 0.05
    scores = propensity.score(found.model, sample(5)[0], today=100)
    assert scores.expires == 107
    assert scores.version == found.model.version
    assert scores.version == propensity.train(table, did, *sample(4), CUTOFFS, 7).model.version
    assert scores.version != propensity.fitted(table, ~did, 65, 7).version
    assert ((scores.chance > 0) & (scores.chance < 1)).all()


@pytest.mark.parametrize(
    ("now", "later", "refusals"),
    [
        (sample(3, base=-4), sample(4), ("too few positives",)),
        (sample(3), sample(4, base=4), ("too few negatives",)),
        (sample(3, n=600), sample(4), ("too few positives", "too few negatives")),
        (sample(3, strength=0.0), sample(4, strength=0.0), ("too weak",)),
        (sample(3), sample(4, base=-1.5), ("miscalibrated",)),
    ],
)
def test_a_model_that_does_not_hold_is_refused(now, later, refusals):
    found = propensity.train(*now, *later, CUTOFFS, 7)
    assert found.model is None
    assert found.refusals == refusals


def test_the_thresholds_are_those_of_the_specification():
    assert propensity.too_few(np.arange(1000) < 500) == ()
    assert propensity.too_few(np.arange(1000) < 499) == ("too few positives",)
    assert propensity.too_few(np.arange(1000) < 501) == ("too few negatives",)
    good = quality(np.array([0.1, 0.9]), np.array([False, True]))
    assert propensity.refused(good._replace(auc=0.6, calibration_error=0.05)) == ()
    assert propensity.refused(good._replace(auc=0.599, calibration_error=0.051)) == ("too weak", "miscalibrated")


def test_platts_correction_undoes_optimism():
    rng = np.random.default_rng(9)
    n = 800
    x = rng.normal(size=(n, 60))
    did = rng.random(n) < logistic.probability(x[:, 0])
    names = tuple(map(str, range(60)))
    model = propensity.fitted(Table(np.arange(n), names, x), did, 0, 7)
    assert model.slope < 0.9
    fresh = rng.normal(size=(5_000, 60))
    outcome = rng.random(5_000) < logistic.probability(fresh[:, 0])
    later = Table(np.arange(5_000), names, fresh)
    raw = quality(replace(model, slope=1.0, offset=0.0).chance(later), outcome)
    assert quality(model.chance(later), outcome).calibration_error < 0.7 * raw.calibration_error


def test_of_many_subjects_every_kth_is_used():
    table, did = sample(11, n=propensity.MAX_ROWS + 1)
    half = propensity.fitted(table.take(np.arange(0, len(did), 2)), did[::2], 65, 7)
    assert propensity.fitted(table, did, 65, 7).version == half.version


def test_explanations_name_the_strongest_contributions_which_add_up():
    table, did = sample(3)
    model = propensity.fitted(table, did, 65, 7)
    (best,) = model.explain(table.take(np.array([7])), top=3)
    assert {name for name, _ in best} == {"a", "b", "noise"}
    assert [abs(part) for _, part in best] == sorted((abs(part) for _, part in best), reverse=True)
    logit = sum(part for _, part in best) + model.slope * model.intercept + model.offset
    assert logistic.probability(np.array([logit]))[0] == pytest.approx(model.chance(table)[7])
    with pytest.raises(ValueError, match="not those of the model"):
        model.chance(table._replace(names=("a", "b", "c")))


def test_the_split_is_by_time():
    assert propensity.cutoffs(today=100, horizon=7, gap=28) == (65, 93)
    with pytest.raises(ValueError, match="at least a day"):
        propensity.cutoffs(100, 7, 0)


rollup = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 1), st.integers(50, 105), st.integers(1, 9)), max_size=25)


@settings(deadline=None, max_examples=80)
@given(rollup, st.sets(st.integers(1, 4)))
def test_features_are_those_of_a_plain_reading_of_the_past(rows, excluded):
    cutoff = 100
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    found = behaviour(Activity(*columns), ("view", "buy"), cutoff, np.array(sorted(excluded), np.int64))
    past = [row for row in rows if row[2] < cutoff and row[0] not in excluded]
    assert found.subject.tolist() == sorted({row[0] for row in past})
    for subject, values in zip(found.subject, found.values, strict=True):
        own = [row for row in past if row[0] == subject]

        def count(days, own=own, event=None):
            return sum(times for _, code, day, times in own if cutoff - day <= days and event in {None, code})

        days = {day for _, _, day, _ in own}
        expected = [
            np.log1p(cutoff - max(days)),
            np.log1p(cutoff - min(days)),
            np.log1p(sum(cutoff - day <= 28 for day in days)),
            count(7) / count(28) if count(28) else 0,
            *(np.log1p(count(window, event=event)) for window in (1, 7, 28) for event in (0, 1)),
        ]
        assert values == pytest.approx(expected)
    target = happened(found, columns[0], columns[2], cutoff, 3)
    assert target.tolist() == [any(row[0] == who and 100 <= row[2] < 103 for row in rows) for who in found.subject]


def test_only_harmless_texts_become_features():
    codes = np.array([0, 2, 2, -1, 1])
    chosen = frequent(codes, ["DE", "FR", "US"], limit=2)
    assert chosen == {2: "US", 0: "DE"}
    names, values = category("country", codes, chosen)
    assert names == ("country is DE", "country is US")
    assert values.tolist() == [[1, 0], [0, 1], [0, 1], [0, 0], [0, 0]]
    with pytest.raises(ValueError, match="country and device"):
        category("religion", codes, chosen)
    table = Table(np.arange(5), ("x",), np.zeros((5, 1))).beside(names, values)
    assert table.names == ("x", "country is DE", "country is US")
    assert table.values.shape == (5, 3)
