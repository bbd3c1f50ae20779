"""Numbers of too few subjects are hidden, and with them what would tell them: rule by rule, and what was once told kind by kind."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from consentryd.analytics.suppression import Balance, Line, balances, hidden_of, hide_line, largest, running, steps
from consentryd.analytics.trends.formula import Formula
from tests.analytics.site import Shop, values
from tests.analytics.test_kinds import page

RANGE = {"from": "2026-03-02", "to": "2026-03-08"}
SHOWN = Balance(level=True, moves=True)
HIDDEN = Balance(level=False, moves=False)


@pytest.mark.parametrize(
    ("counts", "shown"),
    [
        ([9, 8, 7], [9, 8, 7]),
        ([9, 8, 2], [9, None, None]),
        ([9, 8, 2, 1], [9, None, None, None]),
        ([9, 3, 2], [9, None, None]),
        ([9, 3, 1], [None, None, None]),
        ([9, 0, 0, 2], [None, 0, 0, None]),
        ([2], [None]),
        ([0, 0], [0, 0]),
    ],
)
def test_what_is_hidden_of_a_sum_is_of_enough(counts, shown):
    assert hide_line(counts, 5) == shown
    assert hide_line(counts, 1) == counts


def test_of_what_may_be_the_same_subjects_one_hidden_number_is_large():
    assert hidden_of([Line({"a": 9, "b": 4, "c": 3, "d": 8}, shared=True)], 5) == {"b", "c", "d"}


def test_sums_that_are_shown_are_hidden_with_their_last_part():
    lines = [Line({"a": 2, "b": 9}), Line({"b1": 9}, "b"), Line({"a1": 2}, "a")]
    assert hidden_of(lines, 5) == {"a", "a1", "b", "b1"}
    assert hidden_of([Line({"a": 9, "b": 0, "c": 0}), Line({"a": 9, "d": 1})], 5) == {"a", "b", "d"}


def test_running_sums_wait_until_enough_are_hidden():
    assert running([0, 2, 0, 3, 1], 5) == [True, False, False, True, False]
    assert running([2, 3, 6], 5, shared=True) == [False, False, True]
    assert steps([(20, 3), (20, 4), (17, 4), (12, 4), (12, 12)], 5) == [True, False, False, False, True]


def test_a_level_is_hidden_while_the_one_shown_last_would_tell_few_moves():
    assert balances([20, 30, 40], [(10, 0), (12, 2)], 1) == [SHOWN, SHOWN]
    assert balances([20, 30, 31, 31, 41], [(10, 0), (1, 0), (0, 0), (10, 0)], 5) == [
        SHOWN, HIDDEN, HIDDEN, Balance(level=True, moves=False),
    ]  # fmt: skip
    assert balances([20, 30, 28], [(10, 0), (6, 8)], 5) == [SHOWN, SHOWN]
    assert balances([20, 30, 22], [(10, 0), (1, 9)], 5) == [SHOWN, Balance(level=True, moves=False)]
    assert balances([20, 2, 12], [(0, 18), (10, 0)], 5)[0] == HIDDEN
    assert not balances([20, 2, 12], [(0, 18), (10, 0)], 5)[1].moves


def test_small_values_are_one_with_all_that_are_not_shown():
    sizes = {"a": 9, "b": 8, "c": 7, "d": 2}
    assert largest("abcd", sizes, 2, 0) == (["a", "b"], [])
    assert largest("abcd", sizes, 2, 5) == (["a", "b"], ["c", "d"])
    assert largest("abcd", sizes, 3, 5) == (["a", "b"], ["d", "c"])
    assert largest("abc", sizes, 2, 5) == (["a", "b"], [])
    assert largest("abc", sizes, 3, 5, unnamed=1) == (["a", "b"], ["c"])
    assert largest("d", sizes, 3, 5) == ([], [])


@pytest.mark.parametrize(
    ("expression", "tells"),
    [
        ("A - B", True),
        ("B - A", True),
        ("round(A) - B^1", True),
        ("(A - B) / A", True),
        ("A - C - D", True),
        ("A + B", False),
        ("A - C", False),
        ("A / B", False),
        ("1 - B / A", False),
        ("A / B - C / D", False),
        ("(A * B) / B - B", True),
    ],
)
def test_a_sum_or_difference_of_letters_tells_of_as_many_as_are_behind_it(expression, tells):
    assert Formula(expression, "ABCD").tells_few({"A": 30, "B": 28, "C": 20, "D": 8}, 5) is tells


@pytest.fixture
def plans(shop: Shop) -> Shop:
    """Twenty on plan a, eight on b, two on c, and what they paid."""
    for person in range(1, 31):
        plan = "a" if person <= 20 else "b" if person <= 28 else "c"
        shop.add((person, "2026-03-03", "bought", {"plan": plan, "revenue": "10.0000"}))
    return shop


@pytest.mark.parametrize("math", ["unique", "revenue"])
@pytest.mark.parametrize("display", ["series", "cumulative"])
def test_a_formula_does_not_tell_two_people(plans, math, display):
    without = {"event": "bought", "where": {"property": "plan", "op": "is_not", "value": "c"}, "math": math}
    formulas = [{"expression": each} for each in ("A - B", "B / A", "A + B")]
    question = {"series": [{"event": "bought", "math": math}, without], "formulas": formulas, "display": display}
    open_, closed = (plans.ask(kind="trends", range=RANGE, least=least, **question).series for least in (0, 5))
    assert (float(open_[2].total), float(values(open_[2])[1])) == ((2, 2) if math == "unique" else (20, 20))
    assert closed[2].total is None
    assert not values(closed[2])[1]
    for part in (0, 1, 3, 4):
        assert (closed[part].total, values(closed[part])) == (open_[part].total, values(open_[part]))


def test_a_running_number_of_people_does_not_tell_one_new_one(shop):
    shop.add(*((person, "2026-03-02") for person in range(1, 11)), *((person, "2026-03-03") for person in range(1, 12)))
    shop.add(*((person, "2026-03-04") for person in range(1, 18)))
    question = {"series": [{"math": "unique"}], "display": "cumulative", "range": RANGE}
    assert values(shop.ask(kind="trends", **question).series[0])[:3] == [10, 11, 17]
    shown = values(shop.ask(kind="trends", least=5, **question).series[0])
    assert 11 not in shown
    assert 17 not in shown


def test_a_window_is_hidden_by_who_is_in_it(shop):
    shop.add(*((person, "2026-03-08") for person in (1, 2)), *((person, "2026-03-01") for person in range(1, 9)))
    question = {"series": [{"math": "weekly_active"}], "range": RANGE}
    assert values(shop.ask(kind="trends", **question).series[0])[-2:] == [8, 2]
    closed = shop.ask(kind="trends", least=5, **question).series[0]
    assert (values(closed)[-1], closed.total) == (None, None)


def test_a_model_does_not_tell_the_one_conversion_that_it_credits_a_channel_with(shop):
    for person in range(1, 31):
        shop.add((person, "2026-03-03T10:00:00", "viewed", {"utm_source": "rare" if person <= 11 else "news"}))
        if person <= 10:
            shop.add((person, "2026-03-03T10:30:00", "viewed", {"utm_source": "search"}))
        shop.add((person, "2026-03-03T11:00:00", "bought", {"revenue": "7777.0000" if person == 11 else "1.0000"}))
    question = {"conversion": {"event": "bought"}, "value": "revenue", "range": RANGE, "models": ["first", "last"]}
    open_, closed = (shop.ask(kind="attribution", least=least, **question) for least in (0, 5))
    rare = {each.channel: each for each in open_.channels}["rare"]
    assert (rare.subjects, rare.conversions["last"], rare.value["last"]) == (11, 1, 7777)
    shown = {each.channel: (each.conversions, each.value) for each in closed.channels}
    assert shown["rare"] == ({"first": 11, "last": None}, {"first": 7787, "last": None})
    assert [each[0]["last"] for each in (shown["news"], shown["search"])] == [19, None]
    assert closed.conversions == 30


def test_the_time_of_one_visit_follows_from_no_mean(shop):
    for day in (3, 4):
        shop.add(*((person, f"2026-03-0{day}T10:00:00", "page_viewed", page("/")) for person in range(day * 20, day * 20 + 10)))
    shop.add(*((1, f"2026-03-05T10:0{minute}:00", "page_viewed", page("/")) for minute in (0, 7)))
    open_, closed = (shop.ask(kind="sessions", range=RANGE, least=least) for least in (0, 5))
    assert (open_.totals.mean_duration_s, open_.totals.mean_duration_of_several_events_s) == (20, 420)
    assert (closed.totals.sessions, closed.totals.mean_duration_of_several_events_s, closed.totals.bounce_rate) == (
        21,
        None,
        None,
    )
    assert [(each.sessions, each.duration_s) for each in closed.buckets[:4]] == [(0, None), (None, None), (10, 0), (None, None)]


def test_pages_and_values_of_few_are_one_with_others(shop):
    for person in range(1, 31):
        country = "DE" if person <= 20 else "FR" if person <= 28 else "CA"
        path = {"DE": "/", "FR": "/a", "CA": "/rare"}[country]
        shop.add((person, "2026-03-03", "page_viewed", page(path, country=country)))
    found = shop.ask(kind="web", range=RANGE, least=5)
    assert [(each.value, each.visitors, each.page_views) for each in found.top["country"]] == [
        ("DE", 20, 20),
        ("Other", None, 10),
    ]
    assert [(each.path, each.sessions) for each in found.entries] == [("/", 20), ("Other", 10)]
    assert found.exits == found.entries


def test_recurring_revenue_does_not_tell_what_one_account_pays(shop):
    for person in range(1, 22):
        charge = {"revenue": "123.4500" if person == 21 else "10.0000", "period": "month"}
        shop.add(*((person, f"2026-0{month}-10", "charged", charge) for month in ((2,) if person == 21 else (1, 2))))
    question = {"recurring": {"event": "charged"}, "range": {"from": "2026-01-01", "to": "2026-02-28"}, "retention_buckets": 1}
    open_, closed = (shop.ask(kind="revenue", least=least, **question).recurring for least in (0, 5))
    assert [(float(each.mrr), each.accounts) for each in open_] == [(200, 20), (323.45, 21)]
    assert [(each.mrr, each.accounts, each.net_retention) for each in closed] == [(200, 20, None), (None, None, None)]


def test_lifetimes_do_not_tell_what_one_member_paid(shop):
    for person in range(1, 11):
        shop.add((person, "2026-01-10", "charged", {"revenue": "10.0000"}))
    shop.add((1, "2026-02-10", "charged", {"revenue": "123.4500"}))
    question = {"lifetime": {"ages": 2}, "range": {"from": "2026-01-01", "to": "2026-01-31"}}
    open_, closed = (shop.ask(kind="revenue", least=least, **question).lifetime.cohorts[0].values for least in (0, 5))
    assert [float(value) for value in open_] == [10, 22.345]
    assert [value and float(value) for value in closed] == [10, None]


def test_the_history_of_a_cohort_does_not_tell_who_entered_alone(shop):
    shop.add(*((person, "2026-03-01") for person in range(1, 31)))
    shop.save_cohort("members", {"type": "did", "event": "viewed"})
    for day, size in ((2, 20), (3, 21), (4, 21), (5, 30)):
        shop.reckon("members", range(1, size + 1), f"2026-03-0{day}")
    question = {"cohort": "members", "range": {"from": "2026-03-02", "to": "2026-03-05"}}
    open_, closed = (shop.ask(kind="cohort_history", least=least, **question).buckets for least in (0, 5))
    assert [(each.members, each.entered) for each in open_] == [(20, 20), (21, 1), (21, 0), (30, 9)]
    assert [(each.members, each.entered) for each in closed] == [(20, 20), (None, None), (None, None), (30, None)]


def test_passages_of_few_follow_from_no_other(shop):
    """Ways from / to /a, from /x to /b, and one person's from /rare."""
    for person in range(1, 32):
        first, second = ("/", "/a") if person <= 20 else ("/x", "/b") if person <= 30 else ("/rare", "/b")
        shop.add((person, "2026-03-03T10:00:00", "page_viewed", page(first)))
        shop.add((person, "2026-03-03T10:01:00", "page_viewed", page(second)))
    open_, closed = (shop.ask(kind="paths", range=RANGE, least=least) for least in (0, 5))
    assert {(each.from_, each.to): each.sessions for each in open_.transitions}["(start)", "/x"] == 10
    assert {(each.from_, each.to) for each in closed.transitions} == {
        ("(start)", "/"),
        ("/", "/a"),
        ("/a", "(end)"),
        ("/b", "(end)"),
    }
    assert {(each.from_, each.to): each.sessions for each in closed.edges} == {("1_/", "2_/a"): 20}
    assert [each.items for each in closed.paths] == [["/", "/a"]]


@pytest.mark.parametrize("seed", range(20))
def test_between_two_levels_that_are_shown_all_moves_are_or_enough_subjects_moved(seed):
    rng = random.Random(seed)
    moves = [(rng.choice([0, 0, 1, 3, 7, 12]), rng.choice([0, 0, 0, 2, 6])) for _ in range(30)]
    levels = [40 * len(moves)]
    for came, went in moves:
        levels.append(levels[-1] + came - went)
    found = balances(levels, moves, 5)
    shown = [number for number, each in enumerate(found) if each.level]
    assert len(shown) > 10
    for before, after in pairwise(shown):
        between = range(before + 1, after + 1)
        hidden = [max(moves[number]) for number in between if not found[number].moves]
        assert not any(hidden) or max(hidden) >= 5
    assert not any(0 < count < 5 for row, each in zip(moves, found, strict=True) for count in row if each.moves)


def test_small_buckets_are_hidden_in_the_line_without_a_group_too(shop):
    """Beside groups by cohort this line is that of everyone."""
    shop.save_cohort("viewers", {"type": "did", "event": "viewed"})
    shop.add(*((person, "2026-03-02") for person in range(12)), (1, "2026-03-03"), (2, "2026-03-03"))
    question = {"series": [{}, {}], "formulas": [{"expression": "A + B"}], "range": RANGE, "breakdown": {"cohorts": ["viewers"]}}
    found = shop.ask(kind="trends", least=5, **question).series
    assert {tuple(values(line)[:3]) for line in found} == {(None, None, 0)}
    nobody = shop.ask(kind="trends", least=20, **question)
    assert ({line.group for line in nobody.series}, nobody.suppressed_groups) == ({None}, 2)
    assert [warning.code for warning in nobody.warnings] == ["total_excludes_suppressed"]
