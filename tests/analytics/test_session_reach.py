"""Sessions begin and end where they do, whichever range is asked: of those as well who came long before it, or never pause."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from consentryd.analytics.behind.point import Point
from consentryd.analytics.query import read
from consentryd.analytics.sessions import reach
from consentryd.model.clock import HOUR, MINUTE
from tests.analytics.site import NOW, Shop, instant, subject

LONG = {"gap_minutes": 1440, "max_hours": 168}


def days(first: str, last: str | None = None) -> dict[str, str]:
    return {"from": first, "to": last or first}


def come(shop: Shop, person: int, first: str, until: str, every: int, **values) -> None:
    shop.add(*((person, time, "viewed", values) for time in range(instant(first), instant(until), every)))


@pytest.fixture
def weekly(shop: Shop) -> Shop:
    """Every twelve hours for a fortnight: one session from the 1st to the 8th at 8:00, one from the 8th at 20:00 to the 14th."""
    come(shop, 1, "2026-03-01T08:00:00", "2026-03-15T00:00:00", 12 * HOUR, utm_source="news", type="page")
    return shop


def test_a_session_of_a_week_is_seen_from_its_beginning_to_its_end(weekly):
    first, second, inner = (
        weekly.ask(kind="sessions", range=days(f"2026-03-{day}"), **LONG).totals for day in ("01", "08", "04")
    )
    assert (first.sessions, first.mean_duration_s) == (1, 168 * 3_600)
    assert (second.sessions, second.mean_duration_s) == (1, 6 * 86_400)
    assert inner.sessions == 0


def test_the_web_overview_and_the_list_of_subjects_look_as_far(weekly):
    for day, visits in (("01", 1), ("04", 0), ("08", 1)):
        question = {"kind": "web", "range": days(f"2026-03-{day}"), **LONG}
        web = weekly.ask(**question)
        assert web.visits.sessions == visits
        assert [(each.value, each.page_views) for each in web.top["utm_source"]] == [("news", 15 if day == "01" else 13)] * visits
        found = weekly.engine.subjects(read(question), Point(dimension="utm_source", value="news"), "shop", instant(NOW))
        assert found == [subject(1)] * visits


def each_day(shop: Shop, **rules) -> list[tuple[int, float]]:
    """Sessions and their duration, by asking each day alone."""
    found = []
    for day in (date(2026, 3, 1) + timedelta(days=number) for number in range(4)):
        totals = shop.ask(kind="sessions", range=days(day.isoformat()), **rules).totals
        found.append((totals.sessions, (totals.mean_duration_s or 0) * totals.sessions))
    return found


def at_once(shop: Shop, **rules) -> list[tuple[int, float]]:
    buckets = shop.ask(kind="sessions", range=days("2026-03-01", "2026-03-04"), **rules).buckets
    return [(bucket.sessions, (bucket.duration_s or 0) * bucket.sessions) for bucket in buckets]


def test_who_never_pauses_has_the_same_sessions_in_every_range(shop):
    come(shop, 1, "2026-02-10T07:20:00", "2026-03-05T00:00:00", 10 * MINUTE)
    come(shop, 2, "2026-03-02T10:00:00", "2026-03-02T10:05:00", MINUTE)
    hours = shop.ask(kind="sessions", interval="hour", range=days("2026-02-10", "2026-03-04")).buckets
    alone = shop.ask(kind="sessions", interval="hour", range=days("2026-03-03")).buckets
    assert [bucket for bucket in hours if bucket.start.startswith("2026-03-03")] == alone
    assert [bucket.start[11:13] for bucket in alone if bucket.sessions] == ["10"], "20 days of 24 h 10 min after 7:20"
    assert each_day(shop) == at_once(shop)


@pytest.mark.parametrize("few", [1_000, 0])
@pytest.mark.parametrize("rules", [{}, {"gap_minutes": 600, "max_hours": 48}, {"gap_closed": True, "by_device": True}])
def test_days_asked_alone_add_up_to_the_range(shop, monkeypatch, few, rules):
    monkeypatch.setattr(reach, "_FEW", few)
    draw = random.Random(f"{rules}")
    for person in range(10):
        time = instant("2026-02-25T00:00:00") + draw.randrange(HOUR)
        pauses = draw.choice([[10], [10, 30], [10, 29, 31], [300, 599], [300, 700, 2_000]])
        while time < instant("2026-03-05T00:00:00"):
            shop.add((person, time, "viewed", {"device": draw.choice(["mobile", "desktop"])}))
            time += draw.choice(pauses) * MINUTE
    shop.seal()
    assert each_day(shop, **rules) == at_once(shop, **rules)
