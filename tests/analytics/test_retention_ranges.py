"""Which returns retention looks at, where the range, or a subject's own time, ends within a bucket."""

from __future__ import annotations

from itertools import pairwise

import pytest

from consentryd.analytics.calendar import label_of
from consentryd.analytics.period import Range, later, resolve
from consentryd.model.clock import DAY, HOUR
from tests.analytics.site import NOW, instant

BACK = {"kind": "retention", "start": {"event": "began"}, "return": {"event": "again"}}


def exactly(since: str, until: str) -> dict[str, object]:
    return {"from": since, "to": until, "explicit": True}


@pytest.mark.parametrize("cohort", ["recurring", "first_match", "first_ever"])
def test_an_exact_range_limits_who_starts_and_no_period(shop, cohort):
    """The day of the last start is a whole one, and so is each after it."""
    shop.add((1, "2026-03-01T09:00:00", "began"), (2, "2026-03-01T20:00:00", "began"))
    shop.add(*((1, f"2026-03-0{day}T22:00:00", "again") for day in (1, 3)))
    found = shop.ask(**BACK, periods=3, range=exactly("2026-03-01T06:00", "2026-03-01T12:00"), cohort=cohort)
    assert [(each.start[:16], each.size, each.values) for each in found.cohorts] == [("2026-03-01T06:00", 1, [1, 0, 1, 0])]
    later_on = shop.ask(**BACK, periods=1, range=exactly("2026-03-01T06:00", "2026-03-01T12:00"), period_zero="returned")
    assert later_on.cohorts[0].values == [1, 0]


@pytest.mark.parametrize("interval", ["hour", "day", "week", "month"])
def test_what_follows_an_exact_range_are_whole_buckets(interval):
    wanted = Range.model_validate(exactly("2026-10-12T06:10", "2026-10-20T02:20"))
    period = resolve(wanted, interval, "Europe/Berlin", 1, instant(NOW))
    after = later(period, 3).edges[period.buckets :]
    wide = resolve(Range.model_validate({"from": "2026-10-12", "to": "2027-04-01"}), interval, "Europe/Berlin", 1, instant(NOW))
    first = next(number for number, edge in enumerate(wide.edges) if edge >= period.until)
    assert after == wide.edges[first : first + 4]


def test_the_hour_that_clocks_show_twice_is_followed_by_the_next():
    day = {"from": "2026-10-25T00:00", "to": "2026-10-25T02:00"}
    period = resolve(Range.model_validate(day), "hour", "Europe/Berlin", 1, instant(NOW))
    edges = later(period, 4).edges
    assert {high - low for low, high in pairwise(edges)} == {HOUR}
    assert [label_of(edge, period.zone)[11:] for edge in edges[period.buckets :]] == [
        "02:00:00+02:00", "02:00:00+01:00", "03:00:00+01:00", "04:00:00+01:00", "05:00:00+01:00",
    ]  # fmt: skip


@pytest.mark.parametrize(("interval", "days"), [("day", 1), ("week", 7), ("month", 30)])
def test_a_rolling_period_is_looked_at_to_its_end(shop, interval, days):
    """Of who starts in the evening the last day ends in an evening too."""
    began = instant("2026-02-01T18:00:00")
    shop.add((1, began, "began"), (1, began + 2 * days * DAY - HOUR, "again"))
    found = shop.ask(
        "2026-06-01T00:00:00",
        **BACK,
        window="rolling",
        periods=1,
        interval=interval,
        range={"from": "2026-02-01", "to": "2026-02-01"},
    )
    assert [each.values for each in found.cohorts] == [[1, 1]]


def test_first_ever_is_the_first_of_the_name_whatever_the_questions_filter(shop):
    shop.add((1, "2026-03-02", "signed_up", {"country": "FR"}), (1, "2026-03-03", "signed_up", {"country": "DE"}))
    shop.add((2, "2026-03-03", "signed_up", {"country": "DE"}), (2, "2026-03-04", "viewed", {"country": "DE"}))
    german = {"property": "country", "value": "DE"}
    question = {"kind": "retention", "cohort": "first_ever", "periods": 1, "range": {"from": "2026-03-01", "to": "2026-03-04"}}
    found = shop.ask(**question, start={"event": "signed_up"}, where=german)
    assert [cohort.size for cohort in found.cohorts] == [0, 0, 1, 0]
    assert found.cohorts[2].values == [1, 1]
    assert found.cohorts == shop.ask(**question, start={"event": "signed_up", "where": german}).cohorts
    first = {"kind": "trends", "series": [{"event": "signed_up", "math": "first_time_event"}], "range": question["range"]}
    assert shop.ask(**first, where=german).series[0].total == 1


@pytest.mark.parametrize("window", ["calendar", "rolling"])
def test_who_comes_back_later_came_back_in_period_0_or_later(shop, window):
    shop.add(*((person, "2026-03-01T09:00:00", "began") for person in (1, 2, 3)))
    shop.add((1, "2026-03-01T10:00:00", "again"), (2, "2026-03-03T10:00:00", "again"))
    shown = {"window": window, "periods": 3, "period_zero": "returned", "range": {"from": "2026-03-01", "to": "2026-03-01"}}
    assert shop.ask(**BACK, **shown, mode="on").cohorts[0].values == [1, 0, 1, 0]
    assert shop.ask(**BACK, **shown, mode="on_or_after").cohorts[0].values == [2, 1, 1, 0]
