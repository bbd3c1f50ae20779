"""A cohort's windows that are relative to an event of the subject's own, and the universe that it is of; compared with counting by hand."""

from __future__ import annotations

import random
from itertools import permutations

import pytest

from consentryd.analytics.behind.point import Point
from consentryd.analytics.query import read
from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable
from tests.analytics.site import NOW, Shop, instant, subject

SIGNED = {"event": "signed_up"}


def who(shop, definition, now=NOW, **more):
    question = {"kind": "cohorts", "cohorts": [definition], **more}
    found = shop.engine.subjects(read(question), Point(cohort=0), "shop", instant(now))
    assert len(found) == shop.ask(now, **question).cohorts[0].subjects
    return {person for person in range(1, 60) if subject(person) in found}


@pytest.fixture(scope="module")
def histories(tmp_path_factory):
    """Of each person the times by event, and a shop of them."""
    rng = random.Random(11)
    shop = Shop(tmp_path_factory.mktemp("windows"))
    start, told = instant("2026-02-01T00:00:00"), {}
    for person in range(1, 41):
        own = told.setdefault(person, {"signed_up": [], "exported": []})
        for _ in range(rng.randrange(1, 8)):
            event = rng.choice(list(own))
            own[event].append(start + rng.randrange(40) * DAY)
            shop.add((person, own[event][-1], event, {"amount": 10}))
        if person == 20:
            shop.seal()
    yield shop, told
    shop.close()


def in_window(own, window):
    """Exports of a person within days relative to the first sign-up; None without one."""
    if not own["signed_up"]:
        return None
    first = min(own["signed_up"])
    length = window.get("within", 10_000) * DAY
    if "after" in window:
        return [time for time in own["exported"] if first <= time <= first + length]
    return [time for time in own["exported"] if first - length <= time < first]


WINDOWS = [{"after": SIGNED, "within": 7}, {"after": SIGNED}, {"before": SIGNED, "within": 3}, {"before": SIGNED}]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize(("op", "times"), [("gte", 1), ("gte", 2), ("eq", 0), ("eq", 1), ("lte", 1), ("lt", 2)])
def test_how_often_in_a_window_relative_to_an_event(histories, window, op, times):
    shop, told = histories
    holds = {"gte": int.__ge__, "eq": int.__eq__, "lte": int.__le__, "lt": int.__lt__}[op]
    counts = {person: in_window(own, window) for person, own in told.items()}
    expected = {person for person, found in counts.items() if found is not None and holds(len(found), times)}
    assert who(shop, {"type": "did", "event": "exported", "op": op, "times": times, "window": window}) == expected
    assert expected != set(told)


@pytest.mark.parametrize("window", WINDOWS)
def test_sums_and_firsts_in_a_window_relative_to_an_event(histories, window):
    shop, told = histories
    found = {person: in_window(own, window) for person, own in told.items()}
    much = {"type": "did_much", "event": "exported", "property": "amount", "value": 20, "window": window}
    assert who(shop, much) == {person for person, times in found.items() if times and len(times) > 1}
    first = {"type": "first_did", "event": "exported", "window": window}
    assert who(shop, first) == {person for person, times in found.items() if times and min(told[person]["exported"]) in times}


def test_a_sequence_in_the_days_after_an_event(shop):
    shop.add((1, "2026-03-01", "signed_up"), (1, "2026-03-02", "viewed"), (1, "2026-03-03", "bought"))
    shop.add((2, "2026-03-01", "signed_up"), (2, "2026-03-02", "viewed"), (2, "2026-03-09", "bought"))
    sequence = {"type": "did_then", "first": {"event": "viewed"}, "then": {"event": "bought"}, "within_days": 30}
    assert who(shop, sequence) == {1, 2}
    assert who(shop, {**sequence, "window": {"after": SIGNED, "within": 7}}) == {1}


def test_the_universe_may_be_those_seen_lately(shop):
    shop.add((1, "2026-01-01", "viewed"), (2, "2026-03-19", "viewed"), (3, "2026-03-19", "bought"))
    never = {"type": "did", "event": "bought", "op": "eq", "times": 0}
    assert who(shop, never) == {1, 2}
    assert who(shop, never, seen_days=30) == {2}
    segment = {"kind": "segmentation", "did": {"event": "bought"}, "done": False, "range": {"from": "-10d"}}
    assert (shop.ask(**segment).subjects, shop.ask(**segment, seen_days=30).subjects) == (2, 1)
    shop.save_cohort("idle", never, seen_days=30)
    assert who(shop, "idle") == {2}


def test_few_in_one_cohort_only_are_not_told_by_the_overlap(shop):
    for person in range(1, 8):
        shop.add((person, "2026-03-01", "viewed"), *([(person, "2026-03-02", "bought")] if person > 1 else []))
    cohorts = [{"type": "did", "event": "viewed"}, {"type": "did", "event": "bought"}]
    assert shop.ask(kind="cohorts", cohorts=cohorts).overlaps[0].subjects == 6
    assert shop.ask(kind="cohorts", cohorts=cohorts, least=3).overlaps[0].subjects is None


@pytest.mark.parametrize(
    "window", [{"last": 3, "after": SIGNED}, {"after": SIGNED, "before": SIGNED}, {"within": 3}, {"within": 3, "last": 2}]
)
def test_a_window_is_of_one_kind(shop, window):
    with pytest.raises(Unprocessable):
        shop.ask(kind="cohorts", cohorts=[{"type": "did", "event": "viewed", "window": window}])


def test_much_revenue_is_in_one_currency(tmp_path):
    rates = tmp_path / "rates.csv"
    rates.write_text("day,currency,rate\n2026-02-27,JPY,0.006\n2026-02-27,GBP,1.2\n")
    shop = Shop(tmp_path, rates=rates)
    for person, (amount, currency) in enumerate([("90", "EUR"), ("90", "JPY"), ("45", "GBP"), ("90", "USD"), ("60", None)], 1):
        shop.add((person, "2026-03-02", "bought", {"revenue": f"{amount}.0000", "currency": currency}))
    much = {"type": "did_much", "event": "bought", "property": "revenue", "value": 50}
    shop.save_cohort("spenders", much)
    shop.save_cohort("others", {"type": "not", "condition": {"type": "cohort", "cohort": "spenders"}})
    span = {"from": "2026-03-01", "to": "2026-03-03"}
    found = shop.ask(kind="cohorts", cohorts=[much, much | {"op": "lt"}, "spenders"], range=span)
    assert [size.subjects for size in found.cohorts] == [3, 1, 3]  # what a dollar was worth nobody knows
    assert [(warned.code, warned.message[-5:], warned.count) for warned in found.warnings] == [("missing_rate", "(USD)", 1)]
    among = shop.ask(kind="trends", series=[{"where": {"type": "cohort", "cohort": "others"}}], range=span)
    assert [warned.code for warned in among.warnings] == ["missing_rate"]
    within = much | {"window": {"from": "2026-03-03", "to": "2026-03-03"}}
    assert shop.ask(kind="cohorts", cohorts=[within], range=span).warnings == []
    shop.close()


@pytest.mark.parametrize(("aggregate", "value"), [("sum", 0.6), ("avg", 0.6 / 3)])
def test_a_sum_is_the_same_whichever_number_comes_first(shop, aggregate, value):
    prices = [0.1, 0.2, 0.3]
    for person, order in enumerate(permutations(prices), 1):
        shop.add(*((person, f"2026-03-0{day}", "bought", {"price": price}) for day, price in enumerate(order, 1)))
    much = {"type": "did_much", "event": "bought", "property": "price", "aggregate": aggregate, "op": "eq", "value": value}
    assert [size.subjects for size in shop.ask(kind="cohorts", cohorts=[much]).cohorts] == [6]
