"""The example shop: the same log for the same seed, exactly as many events as asked for, and people in it that behave like people."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from itertools import islice, pairwise
from typing import Any

import orjson
import pytest

from examples.shop_events import Scenario, lines

START = date(2026, 8, 3)
SHOP = Scenario(events=30_000, seed=5, start=START, days=28)


@pytest.fixture(scope="module")
def shop() -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in lines(SHOP)]


def named(events: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [event for event in events if event.get("event") == name]


@pytest.mark.parametrize(("count", "days"), [(1, 1), (7, 400), (1_000, 1), (10_001, 3), (20_000, 1)])
def test_the_log_has_exactly_as_many_events_as_asked_for_in_the_order_of_time_and_inside_the_days_named(
    count: int, days: int
) -> None:
    times = [orjson.loads(line)["timestamp"] for line in lines(Scenario(count, 1, START, days))]
    assert len(times) == count
    assert all(earlier <= later for earlier, later in pairwise(times))
    first, last = datetime.fromisoformat(times[0]), datetime.fromisoformat(times[-1])
    begin = datetime(START.year, START.month, START.day, tzinfo=UTC)
    assert begin <= first
    assert (last - begin).days < days


def test_nothing_asked_for_gives_nothing() -> None:
    assert list(lines(Scenario(0, 1, START, 1))) == []


def test_the_same_scenario_gives_the_same_bytes_and_another_seed_another_log() -> None:
    def head(seed: int) -> list[str]:
        return list(islice(lines(SHOP._replace(seed=seed)), 2_000))

    assert head(5) == head(5)
    assert not set(head(5)) & set(head(6))


def test_every_event_is_native_with_an_id_of_its_own_and_somebody_who_did_it(shop: list[dict[str, Any]]) -> None:
    assert len({event["messageId"] for event in shop}) == len(shop)
    assert {event["type"] for event in shop} == {"page", "track", "identify", "alias", "group"}
    assert all(event.get("anonymousId") or event.get("userId") for event in shop)
    assert all(event["event"] for event in shop if event["type"] == "track")


def test_an_event_is_about_800_bytes() -> None:
    sizes = [len(line) for line in islice(lines(SHOP), 5_000)]
    assert 700 < sum(sizes) / len(sizes) < 950


def test_the_funnel_narrows_at_each_step_to_a_few_orders_in_a_hundred_sessions(shop: list[dict[str, Any]]) -> None:
    steps = ("product_viewed", "product_added", "checkout_started", "order_completed")
    sessions = [{event["sessionId"] for event in named(shop, step)} for step in steps]
    counts = [len(step) for step in sessions]
    assert all(earlier > later for earlier, later in pairwise(counts))
    everyone = {event["sessionId"] for event in shop if "sessionId" in event}
    assert 0.015 < counts[-1] / len(everyone) < 0.06
    assert sessions[3] <= sessions[2]


def test_the_experiment_splits_evenly_and_its_shorter_checkout_sells_more() -> None:
    events = [orjson.loads(line) for line in lines(Scenario(100_000, 3, START, 28))]
    variant = {e["sessionId"]: e["properties"]["variant"] for e in named(events, "experiment_viewed")}
    started = Counter(variant[session] for session in {e["sessionId"] for e in named(events, "checkout_started")})
    ordered = Counter(variant[session] for session in {e["sessionId"] for e in named(events, "order_completed")})
    assert 0.8 < started["A"] / started["B"] < 1.25
    assert ordered["B"] / started["B"] > ordered["A"] / started["A"]


def test_a_user_id_first_appears_at_sign_up_and_keeps_the_browsers_anonymous_id(shop: list[dict[str, Any]]) -> None:
    seen: set[str] = set()
    for event in shop:
        user = event.get("userId")
        if user and user not in seen:
            assert event["type"] in {"identify", "alias", "group"}
            assert event["anonymousId"]
            seen.add(user)
    assert len(seen) > 50
    browsers = defaultdict(set)
    for event in named(shop, "signed_in"):
        browsers[event["userId"]].add(event["anonymousId"])
    assert browsers, "nobody came back on a second device"


def test_people_come_back_and_most_of_them_only_once(shop: list[dict[str, Any]]) -> None:
    visits = defaultdict(set)
    for event in shop:
        if "sessionId" in event:
            visits[event["anonymousId"]].add(event["sessionId"])
    returned = [len(sessions) for sessions in visits.values() if len(sessions) > 1]
    assert 0.15 < len(returned) / len(visits) < 0.5
    assert max(returned) >= 5


def test_sundays_are_busier_than_fridays_and_evenings_than_nights(shop: list[dict[str, Any]]) -> None:
    times = [datetime.fromisoformat(event["timestamp"]) for event in shop]
    weekdays = Counter(time.weekday() for time in times)
    hours = Counter(time.hour for time in times)
    assert weekdays[6] > 1.15 * weekdays[4]
    assert hours[19] > 3 * hours[3]


def test_choices_differ_as_people_do_and_an_answer_to_the_banner_comes_after_the_first_page(shop: list[dict[str, Any]]) -> None:
    choices = Counter(orjson.dumps(event["context"].get("consent")).decode() for event in shop)
    assert choices["null"] / len(shop) > 0.1
    granted = sum(count for choice, count in choices.items() if '"analytics":true' in choice) / len(shop)
    denied = sum(count for choice, count in choices.items() if '"analytics":false' in choice) / len(shop)
    assert 0.3 < granted < 0.6
    assert 0.1 < denied < 0.3
    assert choices['{"gpc":true}'] > 0
    first = {}
    for event in shop:
        first.setdefault(event.get("anonymousId"), event)
    strangers = [event for event in first.values() if "userId" not in event]
    assert all("consent" not in event["context"] for event in strangers)


def test_money_adds_up_and_comes_back_with_the_refund() -> None:
    events = [orjson.loads(line) for line in lines(Scenario(60_000, 9, START, 90))]
    orders = {event["properties"]["order_id"]: event["properties"] for event in named(events, "order_completed")}
    for order in orders.values():
        basket = sum(product["price"] * product["quantity"] for product in order["products"])
        assert order["revenue"] == pytest.approx(basket + order["shipping"] - order.get("discount", 0), abs=0.011)
    refunds = named(events, "order_refunded")
    assert refunds
    for refund in refunds:
        assert refund["properties"]["revenue"] == -orders[refund["properties"]["order_id"]]["revenue"]
    started = {event["properties"]["subscription_id"] for event in named(events, "subscription_started")}
    renewed = {event["properties"]["subscription_id"] for event in named(events, "subscription_renewed")}
    assert renewed
    assert renewed <= started


def test_an_address_names_a_network_and_no_household(shop: list[dict[str, Any]]) -> None:
    assert all(event["context"]["ip"].endswith(".0") for event in shop if "ip" in event["context"])
