"""Trends of accounts: every number that subjects have, counted account by account."""

from __future__ import annotations

import random
from statistics import fmean

import pytest

from consentryd.analytics.behind.point import Point
from consentryd.analytics.engine import Engine
from consentryd.analytics.query import read
from consentryd.config.settings import Analytics
from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable
from tests.analytics.site import NOW, Shop, instant, values

FIRST, DAYS = 3, 8
RANGE = {"from": "2026-03-04", "to": "2026-03-11"}


@pytest.fixture(scope="module", params=["log", "lake", "both"])
def told(request, tmp_path_factory):
    """A shop, and its events as (account, day since 1 March, price); people act for several accounts."""
    rng = random.Random(5)
    shop = Shop(tmp_path_factory.mktemp("accounts"))
    start, events = instant("2026-03-01T00:00:00"), []
    for number in range(300):
        account, moment, price = f"a{rng.randrange(30)}", rng.randrange(14 * DAY), rng.randrange(1, 9)
        shop.add((rng.randrange(1, 50), start + moment, "used", {"group_id": account, "price": price}))
        events.append((account, moment, price))
        if (request.param, number) in {("both", 200), ("lake", 299)}:
            shop.seal()
    shop.add((60, start + FIRST * DAY, "used", {}))  # of no account
    yield shop, sorted(events, key=lambda event: event[1])
    shop.close()


@pytest.fixture(autouse=True)
def large(monkeypatch):
    """Statements look at one bucket of subjects after the other, as they do in large regions."""
    monkeypatch.setattr("consentryd.analytics.execution.TOGETHER_ROWS", 0)


def ask(shop, math, **options):
    series = {"event": "used", "math": math, **options.pop("series", {})}
    (line,) = shop.ask(kind="trends", series=[series], range=RANGE, count_by="group", **options).series
    return line


def between(events, since, until):
    return [event for event in events if since * DAY <= event[1] < until * DAY]


def who(events):
    return {account for account, *_ in events}


def by_day(counted):
    return [counted(FIRST + number) for number in range(DAYS)]


def test_distinct_accounts(told):
    shop, events = told
    line = ask(shop, "unique")
    assert values(line) == by_day(lambda day: len(who(between(events, day, day + 1))))
    assert line.total == len(who(between(events, FIRST, FIRST + DAYS)))


@pytest.mark.parametrize(("math", "length"), [("weekly_active", 7), ("monthly_active", 30)])
def test_accounts_of_the_last_days(told, math, length):
    shop, events = told
    line = ask(shop, math)
    assert values(line) == by_day(lambda day: len(who(between(events, day + 1 - length, day + 1))))
    assert line.total == values(line)[-1]


def test_new_accounts(told):
    shop, events = told
    first = {}
    for account, moment, _ in events:
        first.setdefault(account, moment // DAY)
    line = ask(shop, "first_match")
    assert values(line) == by_day(lambda day: sum(own == day for own in first.values()))
    dear = {"where": {"property": "price", "op": "gte", "value": 5}}
    fits = {account: price >= 5 for account, _, price in reversed(events)}
    assert ask(shop, "first_time_event", series=dear).total == sum(
        FIRST <= own < FIRST + DAYS and fits[account] for account, own in first.items()
    )


def test_accounts_so_far(told):
    shop, events = told
    line = ask(shop, "unique", display="cumulative")
    assert values(line) == by_day(lambda day: len(who(between(events, FIRST, day + 1))))


def test_events_an_account(told):
    shop, events = told

    def mean(day):
        own = between(events, day, day + 1)
        return fmean([[account for account, *_ in own].count(each) for each in who(own)])

    assert values(ask(shop, "per_user_avg")) == pytest.approx(by_day(mean))
    sums = ask(shop, "sum_per_user", series={"property": "price"})
    own = between(events, FIRST, FIRST + DAYS)
    assert sums.total == pytest.approx(sum(price for *_, price in own) / len(who(own)))


def test_accounts_by_group_and_small_ones(told):
    shop, events = told
    breakdown = {"by": [{"property": "price"}]}
    found = shop.ask(
        kind="trends", series=[{"event": "used", "math": "unique"}], range=RANGE, count_by="group", breakdown=breakdown
    )
    own = between(events, FIRST, FIRST + DAYS)
    assert {line.group[0]: line.total for line in found.series if line.group} == {
        str(price): len({account for account, _, other in own if other == price}) for price in range(1, 9)
    }
    line = shop.ask(kind="trends", series=[{"event": "used", "math": "unique"}], range=RANGE, count_by="group", least=12).series[
        0
    ]
    plain = values(ask(shop, "unique"))
    assert all(value is None or value >= 12 for value in values(line))
    assert sum(value is None for value in values(line)) >= sum(value < 12 for value in plain) > 0


def test_what_accounts_are_not(told):
    shop, _ = told
    question = {"kind": "trends", "series": [{"math": "unique"}], "count_by": "group", "range": RANGE}
    for more in ({"sampling": 0.5}, {"lane": "all"}, {"breakdown": {"cohorts": ["a"]}}):
        with pytest.raises(Unprocessable):
            shop.ask(**question, **more)
    with pytest.raises(Unprocessable, match="accounts"):
        shop.engine.subjects(read(question), Point(series="A"), "shop", instant(NOW))


def test_accounts_beyond_the_memory_are_refused_with_the_estimate(tmp_path, monkeypatch):
    shop = Shop(tmp_path)
    shop.add(*((person, "2026-03-05", "used", {"group_id": "a"}) for person in range(1, 20)))
    monkeypatch.setattr("consentryd.analytics.execution.ROW_BYTES", 64 << 20)
    with pytest.raises(Unprocessable, match="too much memory"):
        ask(shop, "unique")
    shop.close()


def test_events_of_no_account_are_in_no_number_of_accounts(tmp_path):
    shop = Shop(tmp_path)
    shop.add(
        (1, "2026-03-05", "used", {"group_id": "a", "price": 3, "session": 1}),
        (2, "2026-03-05", "used", {"price": 40, "session": 1}),
    )
    assert ask(shop, "unique_sessions").total == 1
    assert ask(shop, "sum_per_user", series={"property": "price"}).total == 3
    shop.close()


@pytest.mark.parametrize("count_by", ["subject", "group"])
def test_an_account_with_people_in_two_regions_is_one_in_each(tmp_path, count_by):
    shops = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        shops.append(Shop(tmp_path / name))
        shops[-1].add(
            (len(shops), "2026-03-05", "used", {"group_id": "a"}), (len(shops), "2026-03-05", "used", {"group_id": name})
        )
    engine = Engine({"one": shops[0].reader, "two": shops[1].reader}, Analytics())
    question = {"kind": "trends", "range": RANGE, "series": [{"event": "used", "math": "unique_groups"}], "count_by": count_by}
    (line,) = engine.ask(read(question), "shop", instant(NOW)).series
    assert line.total == 4
    for shop in shops:
        shop.close()
