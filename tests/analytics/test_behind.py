"""As many subjects stand behind a number as the number says, and they are those of whom it is true."""

from __future__ import annotations

import random

import pytest

from consentryd.analytics.behind.point import FORMS, Point
from consentryd.analytics.query import ANSWERS, read
from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable
from tests.analytics.site import NOW, Shop, instant, subject

KINDS = {model.model_fields["kind"].annotation.__args__[0] for model in ANSWERS}
RANGE = {"from": "2026-02-02", "to": "2026-03-01"}


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    rng = random.Random(4)
    made = Shop(tmp_path_factory.mktemp("behind"))
    start = instant("2026-01-10T00:00:00")
    for person in range(1, 40):
        for _ in range(rng.randrange(1, 10)):
            event = rng.choice(["viewed", "exported", "bought", "exposed"])
            values = {
                "bought": {"revenue": f"{rng.randrange(9)}.0000"},
                "viewed": {"utm_source": rng.choice(["news", "search"])},
                "exposed": {"variant": rng.choice(["old", "new"])},
            }.get(event, {})
            made.add((person, start + rng.randrange(60 * DAY), event, values))
    yield made
    made.close()


def behind(shop, question, **point):
    return shop.engine.subjects(read(question), Point(**point), "shop", instant(NOW))


@pytest.mark.parametrize("part", ["active_before", "churned", "pool", "returned", "resurrected"])
@pytest.mark.parametrize("interval", ["week", "month"])
def test_churn(shop, part, interval):
    question = {"kind": "churn", "days": 10, "interval": interval, "range": RANGE}
    found = shop.ask(**question).buckets
    for number, bucket in enumerate(found):
        assert len(behind(shop, question, bucket=number, part=part)) == getattr(bucket, part)
    assert any(getattr(bucket, part) for bucket in found)


def test_who_is_away_for_the_days_within_a_bucket_is_among_the_resurrected(tmp_path):
    shop = Shop(tmp_path)
    shop.add(
        (1, "2026-02-02"), (1, "2026-02-12T12:00:00"), (2, "2026-02-02"), (2, "2026-02-12T11:59:59.999999"), (3, "2026-02-12")
    )
    shop.merge(4, into=1)
    question = {"kind": "churn", "days": 10, "interval": "month", "range": {"from": "2026-02-01", "to": "2026-02-28"}}
    assert behind(shop, question, bucket=0, part="resurrected") == [subject(1)]
    assert behind(shop, question, bucket=0, part="returned") == []
    assert shop.ask(**question).buckets[0].resurrected == 1
    shop.close()


def test_adoption(shop):
    question = {"kind": "adoption", "feature": {"event": "exported"}, "range": RANGE}
    found = shop.ask(**question)
    eligible, adopters = (behind(shop, question, part=part) for part in ("eligible", "adopters"))
    assert (len(eligible), len(adopters)) == (found.eligible, found.adopters)
    assert set(adopters) < set(eligible)


def test_from_being_shown_a_feature_to_using_it_again(shop):
    question = {"kind": "adoption", "feature": {"event": "exported"}, "exposed": {"event": "exposed"}, "range": RANGE}
    found = shop.ask(**question).discovery
    people = {part: behind(shop, question, part=part) for part in ("exposed", "used", "used_again")}
    assert {part: len(each) for part, each in people.items()} == found.model_dump()
    assert set(people["used_again"]) < set(people["used"]) < set(people["exposed"])


@pytest.mark.parametrize("count", [{}, {"count_by": "entries"}, {"on_exclude": "drop_from_step"}])
def test_who_was_excluded_from_a_funnel(shop, count):
    question = {
        "kind": "funnel",
        "steps": [{"event": "viewed"}, {"event": "bought"}],
        "exclusions": [{"event": "exported", "from_step": 0, "to_step": 1}],
        "range": RANGE,
        **count,
    }
    people = behind(shop, question, part="excluded")
    if count == {"count_by": "entries"}:  # of one subject several attempts may be
        assert 0 < len(people) < shop.ask(**question).excluded
    else:
        assert len(people) == shop.ask(**question).excluded
        assert not set(people) & set(behind(shop, question, step=0)) or "on_exclude" in count
    by_source = {**question, "breakdown": {"by": {"property": "utm_source"}}}
    for group in shop.ask(**by_source).groups:
        if not count:
            assert len(behind(shop, by_source, part="excluded", group=group.group)) == group.excluded


@pytest.mark.parametrize("times", [1, 2])
def test_stickiness(shop, times):
    question = {"kind": "stickiness", "interval": "week", "times": times, "range": RANGE}
    for row in shop.ask(**question).histogram:
        assert len(behind(shop, question, buckets=row.buckets)) == row.subjects
        assert len(behind(shop, question, at_least=row.buckets)) == row.at_least
    assert behind(shop, question, at_least=1) != behind(shop, question, at_least=2)


def test_scores_of_recency_frequency_and_money(shop):
    question = {"kind": "rfm", "event": {"event": "bought"}, "range": RANGE}
    found = shop.ask(**question)
    for cell in found.cells:
        people = behind(shop, question, recency=cell.recency, frequency=cell.frequency, monetary=cell.monetary)
        assert len(people) == cell.subjects
        assert set(people) <= set(behind(shop, question, segment=cell.segment))
    for row, counts in enumerate(found.grid):
        for column, count in enumerate(counts):
            assert len(behind(shop, question, recency=5 - row, frequency=column + 1)) == count


def test_sessions_of_a_range_that_is_widened_to_whole_weeks(shop):
    """It begins on a Wednesday: the week under way then is counted as well."""
    span = {"from": "2026-02-11", "to": "2026-02-26"}
    question = {"kind": "sessions", "interval": "week", "range": span}
    found = shop.ask(**question)
    assert len(behind(shop, question)) == found.totals.subjects
    assert found.buckets[0].sessions > 0
    for number, since in enumerate(("2026-02-09", "2026-02-16", "2026-02-23")):
        week = {"kind": "sessions", "interval": "week", "range": {"from": since, "to": since}}
        assert len(behind(shop, question, bucket=number)) == shop.ask(**week).totals.subjects


@pytest.mark.parametrize("refunds", ["cash", "accrual"])
def test_revenue(shop, refunds):
    activity = {"event": "viewed", "where": {"property": "utm_source", "value": "news"}}
    question = {"kind": "revenue", "interval": "week", "refunds": refunds, "activity": activity, "range": RANGE}
    found = shop.ask(**question)
    for part in ("paying", "active"):
        assert 0 < len(behind(shop, question, part=part)) == getattr(found.total, part)
        for number, bucket in enumerate(found.buckets):
            assert len(behind(shop, question, part=part, bucket=number)) == getattr(bucket, part)
    assert behind(shop, question, part="active") != behind(shop, question, part="paying")


def test_experiments(shop):
    metrics = [{"name": "buys", "event": {"event": "bought"}}]
    question = {
        "kind": "experiment",
        "exposure": {"event": "exposed"},
        "variants": ["old", "new"],
        "metrics": metrics,
        "range": RANGE,
    }
    found = shop.ask(**question)
    arms = {arm: behind(shop, question, arm=arm) for arm in ("old", "new")}
    assert {arm: len(people) for arm, people in arms.items()} == found.exposed
    assert not set(arms["old"]) & set(arms["new"])
    mixed = behind(shop, question, part="mixed")
    assert 0 < len(mixed) == found.mixed
    assert not set(mixed) & {each for people in arms.values() for each in people}
    assert behind(shop, {**question, "mixed": "first"}, part="mixed") == mixed


def test_attribution(shop):
    question = {"kind": "attribution", "conversion": {"event": "bought"}, "range": RANGE}
    for row in shop.ask(**question).channels:
        assert len(behind(shop, question, channel=row.channel)) == row.subjects
    assert behind(shop, question, channel="nobody's") == []


@pytest.mark.parametrize(
    ("question", "point"),
    [
        ({"kind": "churn"}, {"part": "churned"}),
        ({"kind": "churn", "range": RANGE}, {"part": "churned", "bucket": 99}),
        ({"kind": "churn"}, {"part": "paying", "bucket": 0}),
        ({"kind": "revenue"}, {"part": "churned"}),
        ({"kind": "adoption", "feature": {}}, {"part": "pool"}),
        ({"kind": "adoption", "feature": {}}, {"part": "exposed"}),
        ({"kind": "stickiness"}, {"at_least": 999}),
        ({"kind": "stickiness"}, {"at_least": 1, "buckets": 1}),
        ({"kind": "rfm", "event": {}}, {"recency": 1}),
        ({"kind": "rfm", "event": {}}, {"recency": 1, "frequency": 1, "segment": "new"}),
        ({"kind": "funnel", "steps": [{}, {}]}, {"part": "mixed"}),
        ({"kind": "funnel", "steps": [{}, {}]}, {"part": "excluded", "step": 0}),
        ({"kind": "funnel", "steps": [{}, {}]}, {"part": "excluded", "group": "DE"}),
        (
            {"kind": "experiment", "exposure": {}, "variants": ["a", "b"], "metrics": [{"name": "m", "event": {}}]},
            {"part": "excluded"},
        ),
        ({"kind": "kpi"}, {"bucket": 0}),
        ({"kind": "sessions"}, {"series": "B"}),
        ({"kind": "sessions"}, {"step": 99}),
        ({"kind": "web"}, {"cohort": 9}),
        ({"kind": "web"}, {"goal": "order", "dimension": "country"}),
        ({"kind": "segmentation"}, {"bucket": 0}),
        ({"kind": "segmentation"}, {"value": "DE"}),
        ({"kind": "funnel", "steps": [{}, {}]}, {"node": "/", "step": 1}),
        ({"kind": "trends", "series": [{}]}, {"series": "A", "status": "new"}),
        ({"kind": "trends", "series": [{}]}, {"series": "A", "bucket": 99}),
        ({"kind": "trends", "series": [{}]}, {"series": "A", "rest": True}),
        ({"kind": "lifecycle"}, {"bucket": 99, "status": "new"}),
        ({"kind": "stickiness"}, {"buckets": 999}),
        ({"kind": "cohorts", "cohorts": [{"type": "did", "event": "viewed"}]}, {"cohort": 0, "cohorts": (0, 0)}),
        ({"kind": "paths"}, {"from_": "1_/", "to": "2_/", "part": "paying"}),
        ({"kind": "paths"}, {"node": "/", "step": 99}),
        ({"kind": "prediction", "target": {"event": "bought"}}, {"tenth": 0, "bucket": 1}),
    ],
)
def test_a_point_that_a_question_does_not_have_is_refused(shop, question, point):
    with pytest.raises(Unprocessable):
        behind(shop, question, **point)


def test_every_kind_of_query_says_how_its_numbers_are_named():
    assert FORMS.keys() <= KINDS
    assert KINDS - FORMS.keys() == {"kpi", "dashboard", "person", "cohort_history"}
    assert set().union(*(form.needed | form.allowed for forms in FORMS.values() for form in forms)) == set(Point.model_fields)


def test_subjects_are_named_as_they_are_stored(shop):
    question = {"kind": "adoption", "feature": {"event": "exported"}, "range": RANGE}
    assert set(behind(shop, question, part="eligible")) <= {subject(person) for person in range(1, 40)}
