"""Where the oldest events may have been deleted, questions for what came first of all say so."""

from __future__ import annotations

import pytest

from consentryd.analytics.engine import Engine
from consentryd.config.settings import Analytics, Settings
from consentryd.storage.retention import analysed_days
from tests.analytics.site import Shop

RANGE = {"from": "2026-03-01", "to": "2026-03-05"}
STEPS = [{"event": "a"}, {"event": "a"}]


def codes(shop, kept_days, question):
    shop.engine = Engine({"eu": shop.reader}, Analytics(), None, lambda _: kept_days)
    return [warning.code for warning in shop.ask(range=RANGE, **question).warnings]


@pytest.fixture
def shop(shop: Shop) -> Shop:
    shop.add((1, "2026-01-10", "a", {}), (1, "2026-03-02", "a", {}))
    shop.seal()
    return shop


@pytest.mark.parametrize(
    "question",
    [
        {"kind": "retention", "cohort": "first_match"},
        {"kind": "funnel", "steps": STEPS, "entry": "first_ever"},
        {"kind": "trends", "series": [{"math": "first_match"}]},
        {"kind": "lifecycle"},
        {"kind": "churn"},
        {"kind": "adoption", "feature": {"event": "a"}},
    ],
)
def test_it_is_said_where_events_are_about_as_old_as_they_may_become(shop, question):
    assert "history_truncated" in codes(shop, 80, question)
    assert codes(shop, 400, question) == []
    assert codes(shop, None, question) == []


@pytest.mark.parametrize(
    "question",
    [{"kind": "retention"}, {"kind": "funnel", "steps": STEPS}, {"kind": "trends", "series": [{}]}, {"kind": "sessions"}],
)
def test_nothing_is_said_where_only_the_range_is_looked_at(shop, question):
    assert codes(shop, 80, question) == []


def test_the_shortest_time_of_the_purposes_that_questions_see_counts():
    kept = {"consented_days": 365, "purposes": {"analytics": 90, "marketing": 30}}
    settings = Settings.model_validate({"site": {"retention": kept}, "sites": {"shop": {"retention": {"regions": {"eu": 60}}}}})
    assert (analysed_days(settings, "blog"), analysed_days(settings, "shop")) == (90, 60)
