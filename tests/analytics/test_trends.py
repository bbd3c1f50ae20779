"""Trends: what each math counts, and where its edges are."""

from __future__ import annotations

import pytest

from consentryd.analytics.control import Cancelled, Control
from consentryd.analytics.query import read
from consentryd.model.error import ConsentryError
from tests.analytics.site import NOW, Shop, instant, values

RANGE = {"from": "2026-03-01", "to": "2026-03-05"}


def line(shop: Shop, math: str, **options):
    query = {
        "kind": "trends",
        "series": [{"event": "viewed", "math": math, **options.pop("series", {})}],
        "range": RANGE,
        **options,
    }
    return shop.ask(**query).series[0]


@pytest.fixture
def busy(shop: Shop) -> Shop:
    shop.add(
        (1, "2026-03-01", "viewed", {"price": 10, "plan": "pro", "country": "DE", "session": 1}),
        (1, "2026-03-01T13:00:00", "viewed", {"price": 20, "plan": "pro", "country": "DE", "session": 1}),
        (2, "2026-03-01", "viewed", {"price": "x", "plan": "free", "country": "FR", "session": 2}),
        (1, "2026-03-03", "viewed", {"price": 40, "country": "DE", "session": 3}),
        (3, "2026-03-03", "bought", {"revenue": "12.5000", "currency": "EUR"}),
        (3, "2026-03-05T23:59:59", "viewed", {"price": 5, "plan": "", "session": 4}),
        (4, "2026-02-25", "viewed", {}),
    )
    return shop


@pytest.mark.parametrize(
    ("math", "series", "expected", "total"),
    [
        ("total", {}, [3, 0, 1, 0, 1], 5),
        ("unique", {}, [2, 0, 1, 0, 1], 3),
        ("unique_sessions", {}, [2, 0, 1, 0, 1], 4),
        ("per_user_avg", {}, [1.5, None, 1.0, None, 1.0], 5 / 3),
        ("per_user_max", {}, [2, None, 1, None, 1], 3),
        ("per_user_median", {}, [1.5, None, 1, None, 1], 1),
        ("sum", {"property": "price"}, [30, 0, 40, 0, 5], 75),
        ("avg", {"property": "price"}, [15, None, 40, None, 5], 18.75),
        ("min", {"property": "price"}, [10, None, 40, None, 5], 5),
        ("max", {"property": "price"}, [20, None, 40, None, 5], 40),
        ("median", {"property": "price"}, [15, None, 40, None, 5], 15),
        ("sum_per_user", {"property": "price"}, [15, None, 40, None, 5], 25),
        ("unique_values", {"property": "plan"}, [2, 0, 0, 0, 0], 2),
        ("first_match", {}, [2, 0, 0, 0, 1], 3),
        ("weekly_active", {}, [3, 3, 3, 2, 3], 3),
    ],
)
def test_each_math_counts_by_day_and_over_the_range(busy, math, series, expected, total):
    found = line(busy, math, series=series)
    assert values(found) == pytest.approx(expected)
    assert found.total == pytest.approx(total)


def test_a_value_that_is_no_number_is_left_out_and_counted(busy):
    assert line(busy, "sum", series={"property": "price"}).non_numeric == 1


def test_nothing_changes_when_the_log_is_sealed_and_compacted(busy):
    before = line(busy, "unique", breakdown={"by": [{"property": "country"}]})
    busy.seal()
    assert line(busy, "unique", breakdown={"by": [{"property": "country"}]}) == before
    busy.add((9, "2026-03-02", "viewed", {"country": "DE"}))
    busy.seal()
    busy.compact()
    assert line(busy, "unique").total == before.total + 1


def test_a_day_on_which_clocks_change_is_one_bucket_of_23_or_25_hours(shop):
    times = ["2026-03-28T22:59:59", "2026-03-28T23:00:00", "2026-03-29T21:59:59", "2026-03-29T22:00:00"]
    shop.add(*((1, time) for time in times))
    options = {"timezone": "Europe/Berlin", "range": {"from": "2026-03-28", "to": "2026-03-30"}}
    found = shop.ask("2026-04-10T00:00:00", kind="trends", series=[{}], **options).series[0]
    assert values(found) == [1, 2, 1]
    assert [point.start for point in found.values] == [
        "2026-03-28T00:00:00+01:00",
        "2026-03-29T00:00:00+01:00",
        "2026-03-30T00:00:00+02:00",
    ]
    hours = shop.ask("2026-04-10T00:00:00", kind="trends", series=[{}], interval="hour", **options).series[0]
    assert len(hours.values) == 71


def test_the_hour_that_clocks_show_twice_is_two_buckets(shop):
    shop.add((1, "2026-10-25T00:30:00"), (1, "2026-10-25T01:30:00"))
    options = {"timezone": "Europe/Berlin", "range": {"from": "2026-10-25", "to": "2026-10-25"}, "interval": "hour"}
    found = shop.ask("2026-11-10T00:00:00", kind="trends", series=[{}], **options).series[0]
    assert [point.start for point in found.values if point.value] == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]
    assert len(found.values) == 25


def test_a_comparison_stops_where_the_running_bucket_has_got_to(shop):
    shop.add((1, "2026-03-19T09:00:00"), (1, "2026-03-19T15:00:00"), (1, "2026-03-20T09:00:00"))
    question = {"kind": "trends", "series": [{}], "range": {"from": "2026-03-20"}, "compare": "previous"}
    found = shop.ask("2026-03-20T12:00:00", **question).series[0]
    assert (values(found), found.compared_to[0].value, found.values[0].complete) == ([1], 1, False)
    assert shop.ask("2026-03-20T12:00:00", compare_partial="whole", **question).series[0].compared_to[0].value == 2


def test_formulas_are_of_totals_and_know_no_division_by_zero(busy):
    series = [{"event": "viewed", "math": "total"}, {"event": "viewed", "math": "unique"}]
    found = busy.ask(kind="trends", series=series, formulas=[{"expression": "A / B"}], range=RANGE).series[2]
    assert values(found) == [1.5, None, 1.0, None, 1.0]
    assert found.total == pytest.approx(5 / 3)


def test_a_formula_that_runs_is_of_the_running_series(shop):
    for day in (1, 2, 3):
        shop.add(
            *((person, f"2026-03-0{day}", event) for event, people in (("buy", 5), ("view", 10)) for person in range(people))
        )
    series = [{"event": "buy"}, {"event": "view"}, {"event": "view", "math": "unique"}]
    formulas = [{"expression": "A / B"}, {"expression": "B / C"}]
    found = shop.ask(
        kind="trends", series=series, formulas=formulas, range={"from": "2026-03-01", "to": "2026-03-03"}, display="cumulative"
    ).series
    assert [values(line) for line in found] == [[5, 10, 15], [10, 20, 30], [10, 10, 10], [0.5, 0.5, 0.5], [1.0, 2.0, 3.0]]
    assert [line.total for line in found] == [15, 30, 10, 0.5, 3.0]


def test_what_runs_ends_with_the_first_bucket_that_is_not_shown(shop):
    for day, people in ((1, 12), (2, 1), (3, 11)):
        shop.add(*((person, f"2026-03-0{day}") for person in range(people)))
    question = {"kind": "trends", "series": [{}], "formulas": [{"expression": "A * 2"}], "range": RANGE, "display": "cumulative"}
    line, formula = shop.ask(least=3, **question).series
    assert (values(line), line.total) == ([12, None, None, None, None], 24)
    assert values(formula) == [24, None, None, None, None]


def test_revenue_is_exact_in_the_projects_currency_and_a_missing_rate_is_said(shop, tmp_path):
    shop.add(
        (1, "2026-03-01", "bought", {"revenue": "0.1000", "currency": "EUR"}),
        (1, "2026-03-01", "bought", {"revenue": "0.2000", "currency": None}),
        (1, "2026-03-01", "bought", {"revenue": "9.0000", "currency": "USD"}),
    )
    found = shop.ask(kind="trends", series=[{"event": "bought", "math": "revenue"}], range=RANGE)
    assert str(found.series[0].total) == "0.3000"
    assert [(warning.code, warning.count) for warning in found.warnings] == [("missing_rate", 1)]


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, [5]),
        ({"breakdown": {"by": [{"property": "country"}]}}, [5]),
        ({"breakdown": {"by": [{"property": "country"}], "limit": 1}, "display": "total"}, [5]),
        ({"breakdown": {"cohorts": ["everyone who bought"]}}, [5]),
        ({"breakdown": {"by": [{"property": "country"}]}, "compare": "previous"}, [6]),
    ],
)
def test_each_amount_without_a_rate_is_counted_once(shop, options, counts):
    shop.save_cohort("everyone who bought", {"type": "did", "event": "bought"})
    for person, country in enumerate(("DE", "DE", "FR", "US", None)):
        shop.add((person, "2026-03-02", "bought", {"revenue": "9.0000", "currency": "USD", "country": country}))
    shop.add((1, "2026-02-25", "bought", {"revenue": "9.0000", "currency": "USD", "country": "DE"}))
    found = shop.ask(kind="trends", series=[{"event": "bought", "math": "revenue"}], range=RANGE, **options)
    assert [(warning.code, warning.count) for warning in found.warnings] == [("missing_rate", count) for count in counts]


def test_only_what_is_asked_about_is_counted_as_dated_ahead(shop):
    for person, country in enumerate(("DE", "DE", "FR")):
        shop.add((person, "2026-03-24T10:00:00", "viewed", {"country": country, "plan": "pro" if person else "free"}))
    shop.add((1, "2026-03-01", "identified", {"type": "identify", "team": "blue"}), (1, "2026-03-24T10:00:00", "bought", {}))
    german, pro = {"property": "country", "value": "DE"}, {"property": "plan", "value": "pro"}
    blue = {"type": "subject", "property": "team", "value": "blue"}
    for series, where, ahead in (
        ([{}], None, 4),
        ([{"event": "viewed"}], None, 3),
        ([{"event": "viewed"}], german, 2),
        ([{"event": "viewed", "where": pro}], german, 1),
        ([{"event": "viewed", "where": pro}, {"event": "bought"}], None, 3),
        ([{}], blue, 2),
        ([{"event": "bought"}], german, 0),
    ):
        found = shop.ask(kind="trends", series=series, where=where, range={"from": "2026-03-01", "to": "2026-03-31"})
        assert sum(warning.count for warning in found.warnings if warning.code == "future_events") == ahead


def test_groups_that_are_too_small_become_other_and_a_small_other_is_left_out(shop):
    for person in range(1, 9):
        shop.add((person, "2026-03-01", "viewed", {"country": "DE" if person < 6 else "FR" if person < 8 else "US"}))
    question = {"kind": "trends", "series": [{"math": "unique"}], "range": RANGE, "breakdown": {"by": [{"property": "country"}]}}
    shown = {tuple(line.group or []): line.total for line in shop.ask(least=3, **question).series}
    assert shown == {(): 8, ("DE",): 5, ("Other",): 3}
    found = shop.ask(least=4, **question)
    assert {tuple(line.group or []): line.total for line in found.series} == {(): 5, ("DE",): 5}
    assert found.suppressed_groups == 2
    assert found.warnings[0].code == "total_excludes_suppressed"


def test_a_small_bucket_is_hidden_with_another_so_that_the_total_does_not_tell(shop):
    for day, people in ((1, 5), (2, 1), (3, 4)):
        shop.add(*((person, f"2026-03-0{day}") for person in range(1, people + 1)))
    found = shop.ask(least=3, kind="trends", series=[{}], range=RANGE).series[0]
    assert (values(found), found.total) == ([5, None, None, 0, 0], 10)


@pytest.mark.parametrize("by", [{}, {"breakdown": {"by": [{"property": "plan"}]}}])
@pytest.mark.parametrize("math", ["sum", "avg", "min", "max", "median", "p99", "sum_per_user", "unique_values", "revenue"])
def test_a_value_that_few_have_is_not_shown_beside_many_who_have_none(shop, math, by):
    shop.add(*((person, f"2026-03-0{day}", "viewed", {"plan": "free"}) for person in range(1, 21) for day in (2, 3)))
    shop.add((1, "2026-03-02", "viewed", {"plan": "free", "salary": 4321, "revenue": "43.2100"}))
    series = {"event": "viewed", "math": math} | ({} if math == "revenue" else {"property": "salary"})
    question = {"kind": "trends", "series": [series], "range": {"from": "2026-03-02", "to": "2026-03-03"}, **by}
    assert all(line.total for line in shop.ask(**question, least=1).series)
    for line in shop.ask(**question, least=5).series:
        assert (line.total, values(line)[0]) == (None, None)


def test_rows_that_are_no_numbers_are_not_counted_where_they_are_of_few(shop):
    shop.add(*((person, "2026-03-02", "viewed", {"price": 1 if person > 2 else "free"}) for person in range(1, 21)))
    question = {
        "kind": "trends",
        "series": [{"math": "sum", "property": "price"}],
        "range": {"from": "2026-03-02", "to": "2026-03-02"},
    }
    assert [shop.ask(**question, least=least).series[0].non_numeric for least in (0, 2, 3)] == [2, 2, None]


def test_only_buckets_of_new_events_are_looked_at_again(busy, monkeypatch):
    monkeypatch.setattr("consentryd.analytics.execution.TOGETHER_ROWS", 0)
    busy.seal()
    busy.compact()
    line(busy, "unique")
    cache = busy.engine.cache
    before = cache.hits, cache.misses
    assert line(busy, "unique").total == 3
    assert (cache.hits - before[0], cache.misses - before[1]) == (3, 0)
    busy.add((1, "2026-03-02", "viewed", {}))
    assert values(line(busy, "unique"))[1] == 1
    assert cache.misses - before[1] == 1


def test_events_that_come_late_or_change_hands_are_where_they_belong(busy):
    busy.seal()
    busy.add((7, "2026-03-02", "viewed", {}))
    busy.merge(7, into=1)
    assert values(line(busy, "unique")) == [2, 1, 1, 0, 1]
    assert line(busy, "unique").total == 3


def test_other_purposes_sites_and_test_traffic_are_in_no_answer(tmp_path):
    shop = Shop(tmp_path, test_traffic={"environment": ["test"]})
    shop.add(
        (1, "2026-03-01", "viewed", {}),
        (2, "2026-03-01", "viewed", {"purpose": "marketing"}),
        (3, "2026-03-01", "viewed", {"site": "other"}),
        (4, "2026-03-01", "viewed", {"environment": "test"}),
        (None, "2026-03-01", "viewed", {}),
    )
    assert line(shop, "total").total == 1
    assert line(shop, "total", test_traffic=True).total == 2
    assert line(shop, "total", lane="all").total == 2
    shop.close()


def test_visitors_of_a_day_are_not_counted_over_days(busy):
    for options in ({"interval": "week"}, {"display": "total"}):
        with pytest.raises(ConsentryError) as error:
            line(busy, "unique", lane="all", **options)
        assert error.value.detail["field"] == "lane"


def test_a_subjects_trait_is_that_of_the_time_of_the_event_or_the_latest(shop):
    shop.add(
        (1, "2026-03-01T10:00:00", "identified", {"type": "identify", "plan": "free"}),
        (1, "2026-03-01T11:00:00", "viewed", {}),
        (1, "2026-03-02T10:00:00", "identified", {"type": "identify", "plan": "pro"}),
        (1, "2026-03-02T11:00:00", "viewed", {}),
    )
    for as_of, expected in (("event", [0, 1, 0, 0, 0]), ("latest", [1, 1, 0, 0, 0])):
        where = {"type": "subject", "property": "plan", "value": "pro", "as_of": as_of}
        assert values(line(shop, "total", where=where)) == expected
    by = [{"property": "plan", "of": "subject"}]
    found = shop.ask(kind="trends", series=[{"event": "viewed"}], range=RANGE, breakdown={"by": by})
    assert {tuple(each.group or []): each.total for each in found.series} == {(): 2, ("free",): 1, ("pro",): 1}


@pytest.mark.parametrize("sealed", [False, True])
def test_a_trait_that_was_set_to_null_is_not_set_from_then_on(tmp_path, sealed):
    shop = Shop(tmp_path, promoted=["plan"])
    for day, plan in ((1, "pro"), (3, None)):
        shop.add((1, f"2026-03-0{day}T10:00:00", "identified", {"type": "identify", "plan": plan, "team": "blue"}))
        shop.add((1, f"2026-03-0{day}T10:30:00", "identified", {"type": "identify", "team": "blue"}))
        shop.add((1, f"2026-03-0{day}T11:00:00", "viewed", {}))
    if sealed:
        shop.seal()

    def counted(**condition):
        return values(line(shop, "total", where={"type": "subject", "property": "plan", **condition}))

    assert counted(value="pro") == counted(op="is_set") == [1, 0, 0, 0, 0]
    assert counted(op="is_not_set") == [0, 0, 1, 0, 0]
    assert counted(op="is_set", as_of="latest") == counted(value="pro", as_of="latest") == [0] * 5
    assert counted(op="is_not_set", as_of="latest") == [1, 0, 1, 0, 0]
    shop.close()


def test_a_query_that_is_cancelled_or_out_of_time_stops(busy):
    control = Control(20.0)
    control.cancel()
    question = read({"kind": "trends", "series": [{}], "range": RANGE})
    with pytest.raises(Cancelled):
        busy.engine.ask(question, "shop", instant(NOW), control)
    with pytest.raises(ConsentryError) as error:
        busy.engine.ask(question, "shop", instant(NOW), Control(0.0))
    assert error.value.code == "too_expensive"


def test_a_query_that_would_need_too_much_memory_is_refused_with_its_estimate(busy, monkeypatch):
    monkeypatch.setattr("consentryd.analytics.execution.ROW_BYTES", 1 << 30)
    with pytest.raises(ConsentryError) as error:
        line(busy, "per_user_avg")
    assert error.value.code == "too_expensive"
    assert error.value.detail["estimate_mb"] > error.value.detail["limit_mb"]


def test_halves_of_the_last_digit_are_rounded_alike_by_every_kind(tmp_path):
    rates = tmp_path / "rates.csv"
    rates.write_text("day,currency,rate\n2026-03-02,USD,0.8125\n")
    shop = Shop(tmp_path, rates=rates)
    shop.add((1, "2026-03-02", "bought", {"revenue": "2.5000", "currency": "USD"}))
    series = [{"math": "revenue"}, {"math": "sum", "property": "revenue"}]
    found = shop.ask(kind="trends", series=series, range={"from": "2026-03-02", "to": "2026-03-02"})
    assert [float(line.total) for line in found.series] == [2.0313, 2.0313]
    shop.close()
