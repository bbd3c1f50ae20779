"""Questions that cannot be read say which member of the JSON is at fault, and none ends in an error of ours."""

from __future__ import annotations

from typing import Any

import pytest

from consentryd.analytics.query import read
from consentryd.model.error import Unprocessable

PLAN = {"property": "plan"}


@pytest.mark.parametrize(
    ("question", "field"),
    [
        ({"kind": "trends", "series": [{}], "range": {"from": "soon"}}, "range.from"),
        ({"kind": "trends", "series": [{"math": "most"}]}, "series.0.math"),
        ({"kind": "trends"}, "series"),
        ({"kind": "trends", "series": [{}], "periods": 3}, "periods"),
        ({"kind": "trends", "series": [{}], "breakdown": {"by": [1]}}, "breakdown.by.0"),
        ({"kind": "trends", "series": [{}], "where": {**PLAN, "op": "like"}}, "where.op"),
        (
            {"kind": "trends", "series": [{}], "where": {"type": "not", "condition": {"type": "did", "event": 1}}},
            "where.condition.event",
        ),
        ({"kind": "trends", "series": [{}], "where": {**PLAN, "value": {}}}, "where.value"),
        ({"kind": "cohorts", "cohorts": 1}, "cohorts"),
        ({"kind": "cohorts", "cohorts": ["a"], "range": {"from": 1}}, "range.from"),
        ({"kind": "churn", "days": "many"}, "days"),
        ({"kind": ["trends"]}, "kind"),
        ({"kind": "trend"}, "kind"),
        ({}, "kind"),
        ({"kind": "trends", "series": [{}], "where": {"type": "nope"}}, "where.type"),
        ({"kind": "trends", "series": [{}], "where": {"op": "is"}}, "where.property"),
        ({"kind": "trends", "series": [{}], "where": []}, "where"),
        ({"kind": "trends", "series": [{}], "breakdown": {"by": [{**PLAN, "of": "session"}]}}, "breakdown.by.0"),
        ({"kind": "retention", "breakdown": [{"property": "browser_major", "of": "session", "bins": 2}]}, "breakdown"),
        ({"kind": "kpi", "conversion": [{"event": "viewed", "optional": True}, {"event": "bought"}]}, "query"),
        ({"kind": "prediction", "outcome": "churn", "categories": ["device", "device"]}, "query"),
        ({"kind": "cohorts", "cohorts": ["a"], "where": {**PLAN, "value": "pro"}}, "query"),
        ([], "query"),
        (1, "query"),
    ],
)
def test_the_field_is_named_as_it_stands_in_the_question(question: Any, field: str):
    with pytest.raises(Unprocessable) as error:
        read(question)
    assert (error.value.detail["field"], f"`{field}`" in error.value.message) == (field, True)


@pytest.mark.parametrize("moment", ["-9999y", "-9999q", "-9999w", "1970-12-31", "9998-12-31", "9999-12-31"])
def test_a_range_far_from_all_events_is_refused(moment):
    with pytest.raises(Unprocessable, match=r"year"):
        read({"kind": "trends", "series": [{}], "range": {"from": moment}})


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_range_at_an_end_of_the_calendar_is_refused(day):
    with pytest.raises(Unprocessable, match="must lie in the years"):
        read({"kind": "trends", "series": [{}], "range": {"from": day}})


def test_what_looks_ahead_does_so_from_any_range(shop):
    far = {"from": "9899-12-31", "to": "9899-12-31"}
    shop.ask(kind="retention", interval="month", periods=366, range=far)
    shop.ask(kind="revenue", payment={"event": "bought"}, interval="year", lifetime={"ages": 60}, range=far)


EVERY = {name: {"event": "viewed"} for name in ("activity", "signup_page", "signup", "subscription", "payment")}


@pytest.mark.parametrize("day", ["1971-01-01", "9899-12-31"])
@pytest.mark.parametrize(
    "query",
    [
        {"kind": "kpi", "conversion": [{"event": "viewed"}, {"event": "bought"}]},
        {"kind": "dashboard", **EVERY},
        {"kind": "adoption", "feature": {"event": "viewed"}, "interval": "week"},
        {"kind": "segmentation", "did": {"event": "viewed"}},
    ],
    ids=lambda query: query["kind"],
)
def test_a_range_at_an_end_of_the_years_has_its_answer(shop, query, day):
    shop.add((1, "2026-03-02", "viewed"))
    for zone in ("Asia/Tokyo", "America/New_York"):
        shop.ask(**query, range={"from": day, "to": day}, timezone=zone)


@pytest.mark.parametrize("compare", ["previous", "match_weekday"])
def test_a_comparison_with_what_no_calendar_has_is_refused(shop, compare):
    long = {"interval": "year", "range": {"from": "1971-01-01", "to": "4400-01-01"}}
    with pytest.raises(Unprocessable, match="before the year 1"):
        shop.ask(kind="trends", series=[{}], compare=compare, **long)


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31", "0001-01-01T00:00", "9999-12-31T23:59"])
@pytest.mark.parametrize("op", ["before", "after"])
def test_a_date_at_an_end_of_the_calendar_is_refused(shop, op, day):
    with pytest.raises(Unprocessable, match="A date lies in the years"):
        shop.ask(kind="trends", series=[{}], where={**PLAN, "op": op, "value": day}, timezone="Asia/Tokyo")
