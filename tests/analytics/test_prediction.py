"""Predictions: features of the past only, tried later than they learned, refused when they do not hold, and nobody who objects in them."""

from __future__ import annotations

import random
from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from consentryd.analytics.query import read
from consentryd.analytics.statistics import propensity
from consentryd.analytics.statistics.feature import Table
from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable
from consentryd.storage.choice import Choice, ChoiceState, write_choice
from tests.analytics.site import Shop, instant, row, subject

PEOPLE = 2_600
FIRST = instant("2026-02-01T00:00:00")
DAYS = 45
NOW = "2026-03-18T09:00:00"  # day 45 is the first that is not over
EVENTS = ("viewed", "searched", "bought")


def history(people=PEOPLE, seed=1, lift=1.0):
    """Events as (person, instant, event, country, revenue): some people like the place, and who likes it views much and buys."""
    rng = random.Random(seed)
    found = []
    for person in range(1, people + 1):
        liking = rng.random()
        country = rng.choice(["DE", "FR", None])
        for day in range(rng.choice([-5, 0, 3]), DAYS):
            if rng.random() < (0.05 + 0.45 * liking if lift else 0.25):
                at = FIRST + day * DAY + rng.randrange(DAY)
                found += [
                    (person, at + step, rng.choice(EVENTS[:2]), country, None) for step in range(1 + int(lift * 4 * liking))
                ]
                if rng.random() < 0.35 * (lift * liking + (1 - lift) * 0.5):
                    found.append((person, at + 9, "bought", country, f"{rng.randrange(1, 90)}.0000"))
    return found


def fill(shop: Shop, events, start: int = 0) -> None:
    shop.add_rows(
        [
            row(number, person, at, event, country=country, session=at // 3_600_000_000, revenue=revenue)
            for number, (person, at, event, country, revenue) in enumerate(events, start)
        ]
    )


@pytest.fixture(scope="module")
def events():
    return history()


@pytest.fixture(scope="module")
def busy(tmp_path_factory, events):
    made = Shop(tmp_path_factory.mktemp("prediction"))
    half = len(events) // 2
    fill(made, events[:half])
    made.seal()
    fill(made, events[half:], start=half)
    yield made
    made.close()


CONVERSION = {"kind": "prediction", "outcome": "conversion", "target": {"event": "bought"}, "events": list(EVENTS)}


def by_hand(events, cut, horizon, *, outcome, countries):
    """The features, plainly: (people, names, values, came)."""
    cutoff = FIRST + cut * DAY
    own = defaultdict(list)
    for each in events:
        own[each[0]].append(each)
    people, values, came = [], [], []
    for person in sorted(own, key=subject):
        past = [
            (cut - (at - FIRST) // DAY, at, event, country, revenue)
            for _, at, event, country, revenue in own[person]
            if at < cutoff
        ]
        month = [each for each in past if each[0] <= 28]
        if not month:
            continue
        later = [event for _, at, event, _, _ in own[person] if cutoff <= at < cutoff + horizon * DAY]
        came.append("bought" in later if outcome == "conversion" else not later)
        ages = [each[0] for each in past]
        week = [each for each in month if each[0] <= 7]
        line = [np.log1p(min(ages)), np.log1p(max(ages)), np.log1p(len({each[0] for each in month})), len(week) / len(month)]
        for window in (1, 7, 28):
            line += [np.log1p(sum(each[0] <= window and each[2] == event for each in past)) for event in EVENTS]
            line.append(0.0)
        line.append(np.log1p(len({each[1] // 3_600_000_000 for each in month})))
        line.append(np.log1p(sum(float(each[4] or 0) for each in month)))
        last = max((each[1], each[3]) for each in month if each[3]) if any(each[3] for each in month) else (0, None)
        values.append([*line, *(float(last[1] == country) for country in countries)])
        people.append(subject(person))
    return np.array(people), np.array(values), np.array(came)


@pytest.mark.parametrize("outcome", ["conversion", "churn"])
def test_a_prediction_is_the_model_of_features_counted_by_hand(busy, events, outcome):
    question = CONVERSION if outcome == "conversion" else {"kind": "prediction", "outcome": "churn", "events": list(EVENTS)}
    horizon = 7 if outcome == "conversion" else 3
    found = busy.ask(NOW, **question, horizon_days=horizon)
    when = propensity.Cutoffs(DAYS - 2 * horizon, DAYS - horizon)
    names = [feature.feature for feature in found.model.features] if found.model else []
    countries = sorted(name.removeprefix("country is ") for name in names if name.startswith("country is "))
    tables = []
    for cut in when:
        people, values, came = by_hand(events, cut, horizon, outcome=outcome, countries=countries)
        tables += [Table(people, tuple(map(str, range(values.shape[1]))), values), came]
    expected = propensity.train(*tables, when, horizon)
    assert list(expected.refusals) == found.refusals == []
    assert (found.training.subjects, found.training.positives) == (len(tables[1]), tables[1].sum())
    assert (found.trial.subjects, found.trial.positives) == (len(tables[3]), tables[3].sum())
    assert found.quality.auc == pytest.approx(expected.quality.auc, abs=1e-7)
    assert found.quality.brier == pytest.approx(expected.quality.brier, abs=1e-7)
    assert sum(bin_.subjects for bin_ in found.calibration) == len(tables[3])
    chance = expected.model.chance(tables[2])
    reference = mannwhitneyu(chance[tables[3]], chance[~tables[3]]).statistic / tables[3].sum() / (~tables[3]).sum()
    assert found.quality.auc == pytest.approx(reference, abs=1e-7)


def test_scores_are_shown_by_tenths_with_a_version_that_expires(busy):
    found = busy.ask(NOW, **CONVERSION)
    assert found.model.expires == "2026-03-25T00:00:00+00:00"
    assert [tenth.tenth for tenth in found.tenths] == list(range(10))
    assert sum(tenth.subjects for tenth in found.tenths) == found.scored
    assert found.expected == pytest.approx(sum(tenth.subjects * tenth.mean for tenth in found.tenths))
    assert all(one.lowest >= other.highest for one, other in zip(found.tenths, found.tenths[1:], strict=False))
    assert {row["part"] for row in found.rows()} == {"today", "trial"}
    people = busy.engine.scores(read(CONVERSION), 0, "shop", instant(NOW))
    assert len(people) == found.tenths[0].subjects
    assert np.mean([each.chance for each in people]) == pytest.approx(found.tenths[0].mean)
    assert all(len(each.because) == 3 for each in people)
    everybody = {
        each.subject for tenth in range(10) for each in busy.engine.scores(read(CONVERSION), tenth, "shop", instant(NOW))
    }
    assert len(everybody) == found.scored


def test_what_happens_from_a_cut_off_on_is_no_feature(busy, tmp_path, events):
    """Without the events from the trial's cut-off on, the training is the same."""
    made = Shop(tmp_path)
    fill(made, [each for each in events if each[1] < FIRST + (DAYS - 7) * DAY])
    found, whole = (shop.ask(NOW, **CONVERSION, horizon_days=7) for shop in (made, busy))
    made.close()
    assert found.training == whole.training
    assert (found.trial.subjects, found.trial.positives) == (whole.trial.subjects, 0)
    assert found.refusals == ["too few positives"]
    assert (found.model, found.scored, found.tenths, found.quality) == (None, None, [], None)


def test_the_end_of_the_range_is_the_cut_off(busy):
    found = busy.ask(NOW, **CONVERSION, horizon_days=5, range={"from": "2026-02-01", "to": "2026-03-10"})
    assert found.trial.cutoff == "2026-03-06T00:00:00+00:00"
    assert found.training.cutoff == "2026-03-01T00:00:00+00:00"


def test_a_model_that_tells_nobody_apart_is_refused(tmp_path):
    made = Shop(tmp_path)
    fill(made, history(2_600, seed=3, lift=0.0))
    found = made.ask(NOW, **CONVERSION)
    made.close()
    assert found.refusals == ["too weak"]
    assert found.quality.auc < 0.6
    assert (found.model, found.scored, found.expected, found.tenths) == (None, None, None, [])


def test_who_refuses_profiling_is_neither_learned_from_nor_scored(tmp_path, events):
    made = Shop(tmp_path)
    fill(made, events)
    before = made.ask(NOW, **CONVERSION)
    for person in range(1, 101):
        choice = Choice("profiling", b"d", ChoiceState.DENIED, vouched=False, decided_at=1, entry=0, notice=None)
        write_choice(made.database, subject(person), choice)
    write_choice(made.database, subject(200), choice._replace(state=ChoiceState.GRANTED))
    write_choice(made.database, subject(201), choice._replace(purpose="marketing"))
    made.database.execute("INSERT INTO alias VALUES (?, ?, 1)", (subject(100), subject(300)))
    found = made.ask(NOW, **CONVERSION)
    scored = {each.subject for tenth in range(10) for each in made.engine.scores(read(CONVERSION), tenth, "shop", instant(NOW))}
    made.close()
    assert (before.opted_out, found.opted_out) == (0, 100)
    assert found.model.version != before.model.version
    assert not scored & {subject(person) for person in [*range(1, 101), 300]}
    assert {subject(200), subject(201)} <= scored
    assert found.training.subjects < before.training.subjects


def test_only_those_who_have_not_converted_yet(busy):
    every, new = (busy.ask(NOW, **CONVERSION, first=first) for first in (False, True))
    assert new.trial.subjects < every.trial.subjects
    assert new.training.subjects < every.training.subjects


def test_small_groups_are_not_shown(busy):
    found = busy.ask(NOW, least=400, **CONVERSION)
    assert {bin_.subjects for bin_ in found.calibration} == {None}
    assert {(tenth.subjects, tenth.mean, tenth.highest) for tenth in found.tenths} == {(None, None, None)}
    assert busy.ask(NOW, least=1_000, **CONVERSION).trial.positives is None


def test_usual_events_and_categories_are_chosen_before_the_cut_off_of_learning(busy):
    found = busy.ask(NOW, **{**CONVERSION, "events": []})
    names = {feature.feature for feature in found.model.features}
    assert {"viewed in 7 d", "other events in 28 d", "recency", "trend", "sessions in 28 d", "country is DE"} <= names
    assert not any(name.startswith("device") for name in names)
    assert "country is DE" not in {each.feature for each in busy.ask(NOW, **CONVERSION, categories=[]).model.features}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"gap_days": 6}, "less than"),
        ({"target": None}, "needs a `target`"),
        ({"outcome": "churn"}, "has none"),
        ({"outcome": "churn", "target": None, "first": True}, "for conversions"),
        ({"categories": ["religion"]}, "country"),
        ({"lane": "all"}, "anonymous lane"),
        ({"active_days": 29}, "28"),
    ],
)
def test_what_would_leak_or_look_at_too_much_is_refused(busy, change, says):
    with pytest.raises(Unprocessable, match=says):
        busy.ask(NOW, **{**CONVERSION, **change})


def test_with_nothing_stored_there_is_too_little_to_learn_from(shop):
    found = shop.ask(NOW, **CONVERSION)
    assert found.refusals == ["too few positives", "too few negatives"]
    assert found.rows() == []


def test_of_many_events_a_sample_of_subjects_is_looked_at_and_it_is_said(busy, events):
    lately = sum(at >= FIRST + (DAYS - 28 - 14) * DAY for _, at, *_ in events)
    found = busy.ask(NOW, **CONVERSION, most_events=int(lately * 0.8))
    by_hand = busy.ask(NOW, **CONVERSION, sampling=0.5)
    for name in ("sampling", "training", "trial", "refusals", "quality", "model", "scored", "expected", "tenths"):
        assert getattr(found, name) == getattr(by_hand, name), name
    assert (found.sampling.rate, found.sampling.scaled, by_hand.warnings) == (0.5, True, [])
    assert [warning.code for warning in found.warnings] == ["sampled"]
    assert found.definition_hash == read({**CONVERSION, "most_events": int(lately * 0.8)}).definition_hash()
    assert found.training.subjects == pytest.approx(busy.ask(NOW, **CONVERSION).training.subjects, rel=0.15)


def test_few_events_and_a_smaller_sample_that_was_asked_for_are_left_as_they_are(busy):
    assert busy.ask(NOW, **CONVERSION).sampling.rate == 1
    asked = busy.ask(NOW, **CONVERSION, sampling=0.1, most_events=30_000)
    assert (asked.sampling.rate, asked.warnings) == (0.1, [])
    assert busy.ask(NOW, **CONVERSION, most_events=None).sampling.rate == 1


def test_a_tenth_of_a_sample_is_of_the_sample(tmp_path):
    shop = Shop(tmp_path)
    events = history(people=5_000, seed=2)
    fill(shop, events)
    question = read({**CONVERSION, "most_events": len(events) * 6 // 10})
    found = shop.engine.ask(question, "shop", instant(NOW))
    scores = shop.engine.scores(question, 0, "shop", instant(NOW))
    assert (found.refusals, found.sampling.rate) == ([], 0.5)
    assert len(scores) == pytest.approx(found.tenths[0].subjects / 2, abs=1)
    assert all(score.subject & 0xFFFF < 0x8000 for score in scores)
    shop.close()
