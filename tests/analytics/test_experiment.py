"""Experiments over the engine: every metric counted by hand from the same events and judged by scipy and statsmodels."""

from __future__ import annotations

import random

import numpy as np
import pytest
from scipy.stats import ttest_ind
from statsmodels.stats.power import tt_ind_solve_power
from statsmodels.stats.proportion import proportions_ztest

from consentryd.analytics import format as forms
from consentryd.analytics.behind.point import Point
from consentryd.analytics.query import read
from consentryd.analytics.statistics import power
from consentryd.model.clock import DAY, HOUR
from consentryd.model.error import Unprocessable
from tests.analytics.site import Shop, instant

RANGE = {"from": "2026-02-01", "to": "2026-02-14"}
NOW = "2026-03-20T12:00:00"
PEOPLE = 240
BASE = {
    "kind": "experiment",
    "exposure": {"event": "exposed"},
    "variants": ["old", "new"],
    "range": RANGE,
    "method": "frequentist",
    "planned": {"subjects": 100, "at": "2026-01-20"},
}


def history(seed: int):
    """(person, instant, event, values): visits and purchases before and after an exposure that some see in both variants."""
    rng = random.Random(seed)
    start, rows = instant("2026-01-20T00:00:00"), []
    for person in range(1, PEOPLE + 1):
        exposed = instant("2026-02-01T00:00:00") + rng.randrange(14 * DAY)
        variant = rng.choice(["old", "new"])
        rows.append((person, exposed, "exposed", {"variant": variant}))
        if rng.random() < 0.01:
            rows.append((person, exposed + HOUR, "exposed", {"variant": "old" if variant == "new" else "new"}))
        for _ in range(rng.randrange(9)):
            at = start + rng.randrange(50 * DAY)
            event = rng.choice(["viewed", "carted", "bought"])
            amount = rng.randrange(1, 100) + (15 if variant == "new" and at >= exposed else 0)
            rows.append((person, at, event, {"revenue": f"{amount}.0000"} if event == "bought" else {}))
    return sorted(rows, key=lambda row: (row[0], row[1]))


def arms_of(rows):
    """{person: (arm, first exposure)} of those who saw one variant."""
    seen: dict[int, list] = {}
    for person, at, event, values in rows:
        if event == "exposed":
            seen.setdefault(person, []).append((at, values["variant"]))
    return {
        person: (["old", "new"].index(min(each)[1]), min(each)[0])
        for person, each in seen.items()
        if len({v for _, v in each}) == 1
    }


def after(rows, arms, window_days=None):
    """For each person of an arm the events from the exposure on, and within the window."""
    found: dict[int, list] = {person: [] for person in arms}
    for person, at, event, values in rows:
        if person in arms:
            since = at - arms[person][1]
            if since >= 0 and (window_days is None or since <= window_days * DAY):
                found[person].append((since, event, float(values.get("revenue", 0))))
    return found


@pytest.fixture(scope="module", params=[1, 2])
def rows(request):
    return history(request.param)


@pytest.fixture(scope="module")
def lab(tmp_path_factory, rows):
    made = Shop(tmp_path_factory.mktemp("lab"))
    made.add(*rows[::2])
    made.seal()
    made.add(*rows[1::2])
    yield made
    made.close()


def split_by(arms, value):
    return [np.array([value(person) for person, (arm, _) in arms.items() if arm == wanted], float) for wanted in (0, 1)]


@pytest.mark.parametrize("window", [None, 10])
def test_conversion_retention_and_funnel_are_those_of_plain_readings(lab, rows, window):
    metrics = [
        {"name": "buys", "event": {"event": "bought"}},
        {"name": "comes back", "type": "retention", "event": {"event": "viewed"}, "from_days": 1, "to_days": 8},
        {"name": "checkout", "type": "funnel", "event": {"event": "viewed"}, "steps": [{"event": "carted"}, {"event": "bought"}]},
    ]
    found = lab.ask(NOW, **BASE, metrics=metrics, window_days=window)
    arms = arms_of(rows)
    did = after(rows, arms, window)

    def finished(person):
        left = ["viewed", "carted", "bought"]
        for _, event, _ in did[person]:
            if left and event == left[0]:
                left.pop(0)
        return not left

    every = after(rows, arms)
    values = {
        "buys": lambda person: any(event == "bought" for _, event, _ in did[person]),
        "comes back": lambda person: any(event == "viewed" and DAY <= since < 8 * DAY for since, event, _ in every[person]),
        "checkout": finished,
    }
    for control, arm in zip(found.controls, found.arms, strict=True):
        one, two = split_by(arms, values[arm.metric])
        assert (control.n, control.total, arm.n, arm.total) == (len(one), one.sum(), len(two), two.sum())
        if arm.test == "score":
            assert arm.p_value == pytest.approx(proportions_ztest([one.sum(), two.sum()], [len(one), len(two)])[1])
    assert found.method == "frequentist"


@pytest.mark.parametrize("share", [None, 0.9])
def test_means_are_welchs_test_also_where_outliers_are_brought_down(lab, rows, share):
    metrics = [{"name": "spends", "type": "mean", "event": {"event": "bought"}, "property": "revenue"}]
    found = lab.ask(NOW, **BASE, metrics=metrics, winsorise=share)
    arms = arms_of(rows)
    did = after(rows, arms)
    one, two = split_by(arms, lambda person: sum(amount for *_, amount in did[person]))
    if share:
        cap = np.quantile(np.concatenate([one, two]), share)
        assert cap < max(one.max(), two.max())
        one, two = np.minimum(one, cap), np.minimum(two, cap)
    arm = found.arms[0]
    assert arm.effect == pytest.approx(two.mean() - one.mean())
    assert arm.p_value == pytest.approx(ttest_ind(two, one, equal_var=False).pvalue)
    assert arm.detectable == pytest.approx(power.detectable_mean(one.std(ddof=1), min(len(one), len(two))))
    close = tt_ind_solve_power(alpha=0.05, power=0.8, nobs1=min(len(one), len(two)), alternative="two-sided") * one.std(ddof=1)
    assert arm.detectable == pytest.approx(close, rel=0.02)


def test_a_retention_that_ends_after_the_window_is_counted_to_its_end(shop):
    shop.add(
        (1, "2026-02-14", "exposed", {"variant": "old"}),
        (2, "2026-02-14", "exposed", {"variant": "new"}),
        (2, "2026-02-20", "viewed"),
    )
    metrics = [{"name": "back", "type": "retention", "event": {"event": "viewed"}, "from_days": 1, "to_days": 8}]
    for window in (None, 1):
        assert shop.ask(NOW, **BASE, metrics=metrics, window_days=window).arms[0].total == 1


def test_a_retention_that_cannot_be_known_yet_leaves_the_subject_out(shop):
    shop.add(
        (1, "2026-02-02", "exposed", {"variant": "old"}),
        (2, "2026-02-13", "exposed", {"variant": "old"}),
        (3, "2026-02-13", "exposed", {"variant": "new"}),
        (1, "2026-02-04", "viewed"),
    )
    metric = {"name": "r", "type": "retention", "event": {"event": "viewed"}, "from_days": 1, "to_days": 7}
    found = shop.ask("2026-02-15T12:00:00", **BASE, metrics=[metric])
    assert (found.controls[0].n, found.controls[0].total, found.arms[0].n) == (1, 1, 0)
    assert found.exposed == {"old": 2, "new": 1}


def test_a_subject_is_of_its_first_exposure_also_if_that_is_not_asked_about(shop):
    first = {"old": 20, "new": 20, "holdout": 25}
    people = [(variant, number) for variant, count in first.items() for number in range(count)]
    for person, (variant, number) in enumerate(people, start=1):
        shop.add((person, "2026-02-02", "exposed", {"variant": variant}))
        if variant == "holdout" and number < 20:
            shop.add((person, "2026-02-03", "exposed", {"variant": "new"}))
    shop.add((1, "2026-02-04", "exposed", {"variant": "holdout"}), (2, "2026-02-04", "exposed", {}))
    metric = {"name": "buys", "event": {"event": "bought"}}
    found = shop.ask(NOW, **BASE, metrics=[metric])
    assert (found.exposed, found.mixed) == ({"old": 19, "new": 20}, 21)
    kept = shop.ask(NOW, **BASE, metrics=[metric], mixed="first")
    assert (kept.exposed, kept.mixed) == ({"old": 20, "new": 20}, 21)
    for arm, count in (("old", 19), ("new", 20)):
        assert len(shop.engine.subjects(read({**BASE, "metrics": [metric]}), Point(arm=arm), "shop", instant(NOW))) == count


@pytest.mark.parametrize(
    ("planned", "used"),
    [
        ({"subjects": 100, "at": "2026-01-20"}, "frequentist"),
        ({"subjects": 500, "at": "2026-01-20"}, "sequential"),
        ({"subjects": 100, "at": "2026-02-10"}, "sequential"),
    ],
)
def test_a_fixed_horizon_is_believed_only_if_fixed_before_and_reached(lab, planned, used):
    metrics = [{"name": "buys", "event": {"event": "bought"}, "smallest_effect": 0.1}]
    found = lab.ask(NOW, **{**BASE, "planned": planned}, metrics=metrics)
    assert found.method == used
    assert any("planned" in note for note in found.notes) == (used == "sequential")
    arm = found.arms[0]
    base = found.controls[0].mean
    assert arm.needed == power.sample_size(base, base + 0.1)
    assert arm.detectable == pytest.approx(power.detectable(base, min(found.controls[0].n, arm.n)))
    present = sum(found.exposed.values())
    assert (found.days_to_go == 0) == (present >= planned["subjects"])


def test_conversions_of_too_few_are_not_shown(lab):
    metrics = [{"name": "buys", "event": {"event": "bought"}}, {"name": "rare", "event": {"event": "exposed"}}]
    found = lab.ask(NOW, least=20, **BASE, metrics=metrics)
    assert {arm.metric for arm in found.arms} | {control.metric for control in found.controls} == {"buys", "rare"}
    hidden = lab.ask(NOW, least=90, **BASE, metrics=metrics)
    assert "buys: too few subjects did it, or did not, to be shown" in hidden.notes
    assert {arm.metric for arm in hidden.arms} <= {"rare"}
    assert lab.ask(NOW, least=150, **BASE, metrics=metrics).arms == []


def test_how_many_saw_several_variants_is_not_told_of_too_few(shop):
    for person in range(1, 41):
        shop.add((person, "2026-02-02", "exposed", {"variant": "new" if person % 2 else "old"}))
    shop.add(*((person, "2026-02-03", "exposed", {"variant": "new"}) for person in (2, 4)))
    asked = {**BASE, "metrics": [{"name": "buys", "event": {"event": "bought"}}]}
    told, quiet = shop.ask(NOW, **asked), shop.ask(NOW, least=5, **asked)
    assert (told.mixed, told.notes[0]) == (2, "5.0% of the subjects saw more than one variant.")
    assert (quiet.mixed, quiet.notes[0]) == (None, "Too many of the subjects saw more than one variant.")
    hidden = shop.ask(NOW, least=30, **asked)
    assert (hidden.mixed, hidden.exposed, any("%" in note for note in hidden.notes)) == (None, {}, False)


@pytest.mark.parametrize("winsorise", [None, 0.9])
@pytest.mark.parametrize("look_back", [0, 30])
def test_means_and_ratios_of_too_few_are_not_shown(shop, winsorise, look_back):
    """The total of an arm in which one had anything is that one's."""
    for person in range(1, 41):
        shop.add((person, "2026-02-02", "exposed", {"variant": "new" if person % 2 else "old"}))
        shop.add((person, "2026-02-03", "seen", {}))
        if person % 4 == 0 or person == 1:
            shop.add((person, "2026-02-03", "bought", {"price": 100 + person}))
    price = {"event": {"event": "bought"}, "property": "price"}
    metrics = [
        {"name": "spent", "type": "mean", **price},
        {"name": "spent a view", "type": "ratio", **price, "per": {"event": "seen"}},
        {"name": "views a buy", "type": "ratio", "event": {"event": "seen"}, "per": {"event": "bought"}},
        {"name": "views", "type": "mean", "event": {"event": "seen"}},
    ]
    asked = {**BASE, "winsorise": winsorise, "look_back_days": look_back}
    assert {row.metric for row in shop.ask(NOW, **asked, metrics=metrics).arms} == {metric["name"] for metric in metrics}
    found = shop.ask(NOW, least=5, **asked, metrics=metrics)
    shown = {row.metric for row in (*found.arms, *found.controls)} | set(found.variance_reduction)
    assert shown == {"views"}
    assert "spent: too few subjects did it, or did not, to be shown" in found.notes


@pytest.mark.parametrize("method", ["frequentist", "sequential", "bayesian"])
def test_a_variant_without_any_value_is_compared_all_the_same(shop, method):
    for person in range(1, 21):
        shop.add((person, "2026-02-02", "exposed", {"variant": "new" if person % 2 else "old"}))
        if person % 4 == 0:
            shop.add((person, "2026-02-03", "bought", {}))
    metric = {"name": "orders", "type": "mean", "event": {"event": "bought"}}
    (row,) = shop.ask(NOW, **{**BASE, "method": method, "planned": {"subjects": 10, "at": "2026-01-20"}}, metrics=[metric]).arms
    assert (row.mean, row.effect, row.relative) == (0, pytest.approx(-0.5), None)


def test_what_came_before_adjusts_a_mean_whatever_else_is_asked(lab, rows):
    arms, first = arms_of(rows), {}
    for person, at, _, _ in rows:
        first[person] = min(at, first.get(person, at))
    bought = [(person, at - arms[person][1]) for person, at, event, _ in rows if event == "bought" and person in arms]
    values = [[], []], [[], []]  # by arm: bought since, and before with nan for who was first seen at the exposure
    for person, (arm, exposed) in arms.items():
        own = [since for who, since in bought if who == person]
        values[0][arm].append(sum(since >= 0 for since in own))
        values[1][arm].append(sum(-5 * DAY <= since < 0 for since in own) if first[person] < exposed else np.nan)
    since, before = ([np.array(arm, float) for arm in each] for each in values)
    known = [~np.isnan(arm) for arm in before]
    assert not all(arm.all() for arm in known)
    slopes = [np.cov(x[k], y[k]) * (k.sum() - 1) for x, y, k in zip(before, since, known, strict=True)]
    theta = sum(slope[0, 1] for slope in slopes) / sum(slope[0, 0] for slope in slopes)
    centre = np.concatenate([x[k] for x, k in zip(before, known, strict=True)]).mean()
    old, new = (np.where(k, y - theta * (x - centre), y) for x, y, k in zip(before, since, known, strict=True))
    metric = {"name": "orders", "type": "mean", "event": {"event": "bought"}}
    for others in ([], [{"name": "other", "event": {"event": "carted"}}], [{"name": "any", "event": {}}]):
        row = lab.ask(NOW, **BASE, metrics=[metric, *others], look_back_days=5).arms[0]
        assert row.effect == pytest.approx(new.mean() - old.mean())
        assert row.p_value == pytest.approx(ttest_ind(new, old, equal_var=False).pvalue)


@pytest.mark.parametrize("alpha", [0.05, 1e-9])
@pytest.mark.parametrize("effect", [1e-300, 1e-17, 1e-8, 1e300])
def test_an_effect_too_small_to_be_seen_needs_no_number_of_subjects(lab, effect, alpha):
    names = [("bought", "conversion"), ("never", "conversion"), ("bought", "mean")]
    metrics = [
        {"name": str(place), "event": {"event": event}, "type": kind, "smallest_effect": effect}
        for place, (event, kind) in enumerate(names)
    ]
    found = lab.ask(NOW, **BASE, metrics=metrics, alpha=alpha)
    assert effect in {1e-8, 1e300} or {arm.needed for arm in found.arms} == {None}
    for form in forms.MEDIA_TYPES:
        assert forms.encode(found, form)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"planned": None}, "needs `planned`"),
        ({"metrics": [{"name": "a", "event": {}, "type": "funnel"}]}, "needs `steps`"),
        ({"metrics": [{"name": "a", "event": {}, "type": "retention", "from_days": 1}]}, "needs `from_days`"),
        ({"metrics": [{"name": "a", "event": {}, "type": "retention", "from_days": 2, "to_days": 1}]}, "less than"),
        ({"metrics": [{"name": "a", "event": {}, "property": "x"}]}, "means and ratios"),
        ({"winsorise": 0.5}, "0.9"),
        ({"weights": [1e-300, 1e300]}, "times another"),
        ({"alpha": 1e-17}, "alpha"),
    ],
)
def test_what_is_incomplete_is_refused(lab, change, says):
    with pytest.raises(Unprocessable, match=says):
        lab.ask(NOW, **{**BASE, "metrics": [{"name": "a", "event": {"event": "bought"}}], **change})


def test_an_exposure_with_an_empty_variant_is_none(shop):
    for person, arm in ((1, "old"), (2, "new")):
        shop.add((person, "2026-02-02", "exposed", {"variant": ""}), (person, "2026-02-02T12:30:00", "exposed", {"variant": arm}))
    shop.add((3, "2026-02-02", "exposed", {"variant": ""}))
    found = shop.ask(NOW, **BASE, metrics=[{"name": "buys", "event": {"event": "bought"}}])
    assert (found.exposed, found.mixed) == ({"old": 1, "new": 1}, 0)
