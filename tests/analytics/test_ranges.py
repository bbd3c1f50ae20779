"""What a range of time says, and which earlier one it is compared with."""

from __future__ import annotations

from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from consentryd.analytics.calendar import label_of
from consentryd.analytics.period import Range, resolve
from consentryd.model.clock import HOUR
from consentryd.model.error import Unprocessable
from tests.analytics.site import NOW, Shop, instant, values

TRENDS = {"kind": "trends", "series": [{}]}


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ({"from": "2026-03-10"}, "2026-03-10", "2026-03-20"),
        ({"from": "2026-03-10T00:00"}, "2026-03-10", "2026-03-20"),
        ({"from": "2026-03-10", "to": "2026-03-10"}, "2026-03-10", "2026-03-10"),
        ({"from": "2026-03-10", "to": "2026-03-12"}, "2026-03-10", "2026-03-12"),
        ({"from": "20260310", "to": "20260312"}, "2026-03-10", "2026-03-12"),
        ({"from": "-2d"}, "2026-03-18", "2026-03-20"),
        ({"from": "yesterday"}, "2026-03-19", "2026-03-19"),
        ({"from": "last_week"}, "2026-03-09", "2026-03-15"),
        ({"from": "this_week"}, "2026-03-16", "2026-03-22"),
        ({"from": "-7d", "to": "-1d"}, "2026-03-13", "2026-03-19"),
        ({"from": "-1d", "to": "-1d"}, "2026-03-19", "2026-03-19"),
        ({"from": "-2m", "to": "-1m"}, "2026-01-20", "2026-02-20"),
        ({"from": "-2w", "to": "-1w", "explicit": True}, "2026-03-06", "2026-03-13"),
        ({"from": "-2d", "to": "yesterday"}, "2026-03-18", "2026-03-19"),
        ({"from": "-1m", "to": "mStart"}, "2026-02-20", "2026-02-28"),
    ],
)
def test_a_range_begins_and_ends_with_the_days_it_names(wanted, first, last):
    period = resolve(Range.model_validate(wanted), "day", "Europe/Berlin", 1, instant(NOW))
    days = [label[:10] for label in period.labels()]
    assert (days[0], days[-1]) == (first, last)
    assert label_of(period.since, period.zone)[10:16] == label_of(period.until, period.zone)[10:16] == "T00:00"


def test_a_day_that_clocks_skip_is_no_bucket(shop):
    """Apia had no 30th of December 2011: the 31st follows the 29th, and who is here on both returns."""
    days = ["2011-12-25", "2011-12-28", "2011-12-29", "2011-12-31"]
    shop.add(*((1, f"{day}T{'12:00:00-10:00' if day < '2011-12-30' else '12:00:00+14:00'}") for day in days))
    apia = {"timezone": "Pacific/Apia", "now": "2012-01-20T12:00:00"}
    wanted = {"from": "2011-12-28", "to": "2011-12-31"}
    line = shop.ask(**apia, **TRENDS, range=wanted, compare="previous").series[0]
    assert [(point.start[:10], point.value) for point in line.values] == [("2011-12-28", 1), ("2011-12-29", 1), ("2011-12-31", 1)]
    assert [(point.start[:10], point.value) for point in line.compared_to] == [
        (f"2011-12-{day}", day == 25) for day in (25, 26, 27)
    ]
    last = shop.ask(**apia, kind="lifecycle", range={"from": "2011-12-31", "to": "2011-12-31"}).buckets
    assert [(each.returning, each.resurrecting, each.dormant) for each in last] == [(1, 0, 0)]
    week = {"kind": "trends", "series": [{"math": "weekly_active"}], "range": {"from": "2012-01-01", "to": "2012-01-08"}}
    assert values(shop.ask(**apia, **week).series[0]) == [1] * 6 + [0] * 2
    with pytest.raises(Unprocessable):
        shop.ask(**apia, **TRENDS, range={"from": "2011-12-30", "to": "2011-12-30"})


def test_hours_are_instants():
    period = resolve(Range.model_validate({"from": "-5h", "to": "-2h"}), "hour", "UTC", 1, instant(NOW))
    assert [label[11:13] for label in period.labels()] == ["07", "08", "09"]


@pytest.mark.parametrize(
    ("now", "first", "hours"),
    [
        ("2026-10-25T01:30:00", "-1h", ["02:00:00+02:00", "02:00:00+01:00"]),  # the second 02:30 of the day
        ("2026-10-25T02:30:00", "-2h", ["02:00:00+02:00", "02:00:00+01:00", "03:00:00+01:00"]),
        ("2026-03-29T01:30:00", "-1h", ["01:00:00+01:00", "03:00:00+02:00"]),
        ("2026-03-29T10:30:00", "-24h", None),
    ],
)
def test_hours_that_clocks_show_twice_or_not_at_all_are_counted_as_they_pass(now, first, hours):
    period = resolve(Range.model_validate({"from": first}), "hour", "Europe/Berlin", 1, instant(now))
    assert period.since <= instant(now) < period.until
    assert period.buckets == int(first[1:-1]) + 1
    assert hours is None or [label[11:] for label in period.labels()] == hours


def test_a_range_up_to_now_reaches_now_in_an_hour_that_clocks_show_twice(shop):
    shop.add(*((1, f"2026-10-25T0{hour}:10:00") for hour in range(2)))
    for since in ("-1d", "2026-10-25T00:00"):
        found = shop.ask("2026-10-25T01:30:00", **TRENDS, timezone="Europe/Berlin", range={"from": since, "explicit": True})
        assert found.series[0].total == 2


@pytest.mark.parametrize("interval", ["day", "hour"])
def test_a_range_since_a_day_is_that_of_its_midnight(shop, interval):
    shop.add((1, "2026-03-10"), (1, "2026-03-18"))
    for since in ("2026-03-10", "2026-03-10T00:00"):
        assert shop.ask(**TRENDS, range={"from": since}, interval=interval).series[0].total == 2


def compared(shop: Shop, kind: str, **question) -> tuple[list[int], list[int], list[str]]:
    line = shop.ask(f"{question.pop('now', '2026-05-20')}T12:00:00", **TRENDS, compare=kind, **question).series[0]
    return values(line), [point.value for point in line.compared_to], [point.start for point in line.compared_to]


def test_a_day_without_a_midnight_is_compared_with_whole_days(shop):
    """In Cairo the 24th of April 2026 begins at one o'clock."""
    cairo = {"timezone": "Africa/Cairo", "range": {"from": "2026-04-24", "to": "2026-04-24"}}
    for day in ("2026-04-23", "2026-04-17", "2025-04-24"):
        shop.add((1, f"{day}T00:30:00+02:00"), (1, f"{day}T23:30:00+02:00"))
    shop.add((1, "2026-04-24T01:00:00+03:00"))
    assert compared(shop, "previous", **cairo) == ([1], [2], ["2026-04-23T00:00:00+02:00"])
    assert compared(shop, "match_weekday", **cairo) == ([1], [2], ["2026-04-17T00:00:00+02:00"])
    assert compared(shop, "year", **cairo) == ([1], [2], ["2025-04-24T00:00:00+02:00"])


@pytest.mark.parametrize("kind", ["previous", "year", "match_weekday"])
@pytest.mark.parametrize("first", ["2026-04-20", "2026-04-24", "2026-04-25"])
def test_every_day_compared_is_a_whole_one(shop, kind, first):
    zone = ZoneInfo("Africa/Cairo")
    line = shop.ask(
        "2026-05-20T12:00:00", **TRENDS, compare=kind, timezone=zone.key, range={"from": first, "to": "2026-04-26"}
    ).series[0]
    for point in line.compared_to:
        day = resolve(Range.model_validate({"from": point.start[:10], "to": point.start[:10]}), "day", zone.key, 1, instant(NOW))
        assert point.start == label_of(day.since, zone)


@pytest.mark.parametrize(("since", "until"), [("09T06:00", "09T18:00"), ("09T18:00", "10T06:00"), ("09T00:00", "09T12:00")])
@pytest.mark.parametrize("interval", ["day", "hour", "week"])
def test_exact_instants_are_compared_with_as_much_time(shop, since, until, interval):
    shop.add(*((1, time) for time in range(instant("2026-02-01T00:00:00"), instant("2026-03-15T00:00:00"), HOUR)))
    exact = {"from": f"2026-03-{since}", "to": f"2026-03-{until}", "explicit": True}
    now, before, starts = compared(shop, "previous", range=exact, interval=interval)
    assert (sum(now), sum(before), len(now)) == (12, 12, len(before))
    assert instant(starts[0]) == instant(f"2026-03-{since}:00") - 12 * HOUR
    assert all(one < two for one, two in pairwise(starts))


def test_a_running_week_is_compared_with_as_much_of_the_week_before(shop):
    """The 20th of March is a Friday: of the week before nothing counts that came after its noon."""
    shop.add(*((1, f"2026-03-{day:02}T{hour:02}:00:00") for day in range(9, 23) for hour in (9, 15)))
    shop.add((2, "2026-03-14T09:00:00"))
    question = {"kind": "trends", "series": [{}, {"math": "unique"}], "range": {"from": "this_week"}, "compare": "previous"}
    total, unique = shop.ask("2026-03-20T12:00:00", **question).series
    assert [point.value for point in total.compared_to] == [2, 2, 2, 2, 1, 0, 0]
    assert (total.compared_total, unique.compared_total) == (9, 1)
    whole = shop.ask("2026-03-20T12:00:00", compare_partial="whole", **question).series
    assert [line.compared_total for line in whole] == [15, 2]


@pytest.mark.parametrize(("since", "before"), [("this_week", 4), ("wStart", 6)])
def test_a_window_is_compared_at_the_day_of_the_last_complete_one(shop, since, before):
    """Of the week up to Thursday with that up to the Thursday before; of five days with the fourth of the five before, a Saturday."""
    for day, people in (("2026-03-08", 2), ("2026-03-12", 4), ("2026-03-13", 6), ("2026-03-15", 8), ("2026-03-19", 10)):
        shop.add(*((person, f"{day}T09:00:00") for person in range(people)))
    question = {"kind": "trends", "series": [{"math": "weekly_active"}], "range": {"from": since}, "compare": "previous"}
    line = shop.ask("2026-03-20T12:00:00", **question).series[0]
    assert (line.total, line.compared_total) == (10, before)
