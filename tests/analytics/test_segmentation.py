"""Segments by what people did and are, how they can be reached, and who moved between segments of recency, frequency and money."""

from __future__ import annotations

import random
from collections import Counter
from itertools import permutations

import pytest

from consentryd.analytics.behind.point import Point
from consentryd.analytics.query import read
from consentryd.analytics.statistics.rfm import SEGMENTS
from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable
from consentryd.storage.choice import Choice, ChoiceState, write_choice
from tests.analytics.site import NOW, Shop, instant, subject

MARCH = {"from": "2026-03-01", "to": "2026-03-14"}
BOUGHT = {"kind": "segmentation", "did": {"event": "bought"}, "range": MARCH}


def identify(person, day, **traits):
    return person, day, "identified", {"type": "identify", **traits}


@pytest.fixture
def town(shop: Shop) -> Shop:
    shop.add(
        (1, "2026-03-02", "bought", {"country": "DE", "device": "mobile"}),
        (1, "2026-03-03", "bought", {"country": "FR", "device": "mobile"}),
        (1, "2026-03-16", "viewed", {"country": "US"}),
        (2, "2026-03-04", "bought", {"country": "DE"}),
        (3, "2026-03-05", "viewed", {"country": "DE", "device": "desktop"}),
        (4, "2026-02-05", "bought", {"country": "ES"}),
        identify(1, "2026-03-02", age=17, gender="f", email="set"),
        identify(1, "2026-03-17", age=18),
        identify(2, "2026-03-02", age=40, email="set"),
        identify(3, "2026-03-02", gender="m", email="set"),
    )
    shop.seal()
    return shop


def groups(found) -> dict:
    return {each.property: {group.value: (group.subjects, group.events) for group in each.groups} for each in found.breakdowns}


def test_who_did_it_by_the_last_place_and_device_up_to_the_ranges_end(town):
    found = town.ask(**BOUGHT)
    assert (found.subjects, found.events) == (2, 3)
    shown = groups(found)
    assert shown["country"] == {"FR": (1, 2), "DE": (1, 1)}
    assert shown["device"] == {"mobile": (1, 2), "∅ (none)": (1, 1)}


def test_who_did_not_is_everybody_seen_up_to_the_ranges_end(town):
    found = town.ask(**{**BOUGHT, "done": False})
    assert (found.subjects, found.events) == (2, 0)
    assert groups(found)["country"] == {"DE": (1, 0), "ES": (1, 0)}
    twice = town.ask(**{**BOUGHT, "times": 2})
    assert (twice.subjects, twice.events) == (1, 2)
    assert town.ask(**{**BOUGHT, "times": 2, "done": False}).subjects == 3


def test_traits_come_as_bands_and_as_values(town):
    age = {"property": "age", "of": "subject", "edges": [0, 18, 35, 65]}
    found = town.ask(**{**BOUGHT, "by": [age, {"property": "gender", "of": "subject"}]})
    assert groups(found) == {"age": {"[18, 35)": (1, 2), "[35, 65]": (1, 1)}, "gender": {"f": (1, 2), "∅ (none)": (1, 1)}}


def test_subject_filters_narrow_it_and_it_is_a_cohort_as_it_stands(town):
    narrow = {"type": "subject", "property": "gender", "op": "is_set"}
    for change in ({}, {"done": False}, {"subjects": narrow}, {"done": False, "subjects": narrow}, {"times": 2}):
        found = town.ask(**{**BOUGHT, **change})
        again = town.ask(kind="cohorts", cohorts=[found.cohort.model_dump(by_alias=True)])
        assert found.subjects == again.cohorts[0].subjects
    assert town.ask(**{**BOUGHT, "subjects": narrow}).subjects == 1


def choose(shop, person, state, purpose="marketing"):
    choice = Choice(purpose, f"d{person}".encode(), state, vouched=False, decided_at=1, entry=0, notice=None)
    write_choice(shop.database, subject(person), choice)


def test_a_channel_reaches_those_who_have_an_address_and_agreed(town):
    choose(town, 1, ChoiceState.GRANTED)
    choose(town, 3, ChoiceState.WITHDRAWN)
    choose(town, 4, ChoiceState.GRANTED, "analytics")
    has_address = {"type": "subject", "property": "email", "op": "is_set"}
    channels = [
        {"name": "address", "reachable": has_address},
        {"name": "agreed", "reachable": has_address, "purpose": "marketing"},
        {"name": "not refused", "reachable": has_address, "purpose": "marketing", "consent": "not_refused"},
        {"name": "anybody", "purpose": "marketing", "consent": "not_refused"},
    ]
    question = {"kind": "segmentation", "range": {"from": "2026-01-01", "to": "2026-03-14"}, "channels": channels}
    found = town.ask(**question)
    assert found.subjects == 4
    assert {each.channel: each.subjects for each in found.channels} == {
        "address": 3,
        "agreed": 1,
        "not refused": 2,
        "anybody": 3,
    }
    assert found.channels[1].share == 0.25
    behind = town.engine.subjects(read(question), Point(channel="agreed"), "shop", instant(NOW))
    assert behind == [subject(1)]
    assert town.engine.subjects(read(question), Point(), "shop", instant(NOW)) == sorted(map(subject, range(1, 5)))
    town.merge(3, into=1)
    assert {each.channel: each.subjects for each in town.ask(**question).channels}["agreed"] == 0
    small = town.ask(least=2, **question)
    assert (small.subjects, small.channels[3].subjects) == (3, None), "two of three: the third would stand alone"


def test_small_groups_join_other_until_it_is_large_enough(shop):
    rows = [("DE", 9), ("FR", 6), ("ES", 5), ("IT", 2), ("PT", 1)]
    people = iter(range(1, 100))
    shop.add(*((next(people), "2026-03-02", "bought", {"country": name}) for name, count in rows for _ in range(count)))
    question = {**BOUGHT, "by": [{"property": "country"}]}
    assert groups(shop.ask(**question))["country"] == {name: (count, count) for name, count in rows}
    assert groups(shop.ask(least=5, **question))["country"] == {"DE": (9, 9), "FR": (6, 6), "Other": (8, 8)}
    assert groups(shop.ask(**{**question, "limit": 1}))["country"] == {"DE": (9, 9), "Other": (14, 14)}
    nothing = shop.ask(least=24, **question)
    assert (nothing.subjects, nothing.events, nothing.breakdowns, nothing.suppressed_groups) == (None, None, [], 1)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"by": [{"property": "age", "bins": 3}]}, "edges"),
        ({"by": [{"property": "duration", "of": "session"}]}, "events or subjects"),
        ({"channels": [{"name": "e"}]}, "needs `reachable`"),
        ({"channels": [{"name": "e", "purpose": "x"}, {"name": "e", "purpose": "y"}]}, "of their own"),
        ({"range": {"from": "2026-03-01", "explicit": True}}, "local days"),
        ({"subjects": {"property": "country", "value": "DE"}}, "what subjects are"),
        ({"lane": "anonymous"}, "anonymous lane"),
    ],
)
def test_what_is_no_segment_is_refused(town, change, says):
    with pytest.raises(Unprocessable, match=says):
        town.ask(**{**BOUGHT, **change})


FEBRUARY = {"from": "2026-02-01", "to": "2026-02-28"}


def orders(seed: int, people: int = 60):
    rng = random.Random(seed)
    start = instant("2026-02-01T00:00:00")
    for _ in range(400):
        yield (
            rng.randrange(1, people) if rng.random() < 0.7 else rng.randrange(1, 8),
            start + rng.randrange(42 * DAY),
            rng.randrange(1, 500),
        )


def plain_segments(rows, since: str, until: str) -> dict[int, str]:
    """Quintiles and segments by their definition: the share of people strictly below, in fifths."""
    last, often, money = {}, Counter(), Counter()
    for person, at, amount in rows:
        if instant(f"{since}T00:00:00") <= at < instant(f"{until}T00:00:00"):
            last[person] = max(at, last.get(person, 0))
            often[person] += 1
            money[person] += amount
    people = list(last)

    def fifth(values, person):
        return 1 + 5 * sum(values[each] < values[person] for each in people) // len(people)

    found = {}
    for person in people:
        r, fm = fifth(last, person), (fifth(often, person) + fifth(money, person) + 1) // 2
        if r <= 2:
            found[person] = "cannot lose" if fm == 5 else "at risk" if fm >= 3 else "hibernating"
        elif r == 3:
            found[person] = "loyal" if fm >= 4 else "need attention" if fm == 3 else "about to sleep"
        elif r == 4:
            found[person] = "promising" if fm == 1 else "potential loyal" if fm <= 3 else "loyal"
        else:
            found[person] = "new" if fm == 1 else "potential loyal" if fm <= 3 else "champions"
    return found


@pytest.mark.parametrize("seed", [1, 2])
def test_flows_are_those_of_a_plain_reading_of_both_ranges(shop, seed):
    rows = list(orders(seed))
    shop.add(*((person, at, "bought", {"revenue": f"{amount}.0000"}) for person, at, amount in rows))
    question = {"kind": "rfm", "event": {"event": "bought"}, "range": MARCH, "before": FEBRUARY}
    found = shop.ask(**question)
    was, became = plain_segments(rows, "2026-02-01", "2026-03-01"), plain_segments(rows, "2026-03-01", "2026-03-15")
    assert found.segments == Counter(became.values())
    assert found.subjects == len(became) == sum(map(sum, found.grid))
    expected = Counter((was.get(person, "(none)"), became.get(person, "(none)")) for person in {*was, *became})
    assert {(each.was, each.became): each.subjects for each in found.flows} == expected
    for (before, after), count in expected.items():
        people = shop.engine.subjects(read(question), Point(was=before, segment=after), "shop", instant(NOW))
        assert len(people) == count
        assert set(people) == {
            subject(person)
            for person in {*was, *became}
            if (was.get(person, "(none)"), became.get(person, "(none)")) == (before, after)
        }
    name = found.flows[0].became
    assert name in {*SEGMENTS, "(none)"}
    assert list(found.sheets()) == ["recency (down) by frequency (across)", "segments", "flows"]
    small = {(each.was, each.became): each.subjects for each in shop.ask(least=3, **question).flows}
    assert small.keys() == expected.keys()
    assert all(count == expected[pair] if count is not None else True for pair, count in small.items())
    assert all(small[pair] is None for pair, count in expected.items() if count < 3)


@pytest.mark.parametrize("point", [{"segment": "whales"}, {"segment": "(none)"}, {"segment": "new", "was": "whales"}])
def test_a_segment_that_there_is_not_is_refused(shop, point):
    question = read({"kind": "rfm", "event": {"event": "bought"}, "range": MARCH})
    with pytest.raises(Unprocessable):
        shop.engine.subjects(question, Point(**point), "shop", instant(NOW))


def test_money_of_other_currencies_is_converted(tmp_path):
    rates = tmp_path / "rates.csv"
    rates.write_text("day,currency,rate\n2026-03-01,USD,0.5\n")
    made = Shop(tmp_path, rates=rates)
    for person, (amount, currency) in enumerate([(10, "EUR"), (30, "USD"), (9, None), (99, "GBP"), (14, "EUR")], 1):
        made.add((person, "2026-03-02", "bought", {"revenue": f"{amount}.0000", "currency": currency}))
    found = made.ask(kind="rfm", event={"event": "bought"}, range=MARCH)
    people = {cell.monetary: cell.subjects for cell in found.cells}
    made.close()
    assert people == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1}
    assert [(each.code, each.count) for each in found.warnings] == [("missing_rate", 1)]


def test_who_paid_as_much_in_other_currencies_has_the_same_score(tmp_path):
    rates = tmp_path / "rates.csv"
    rates.write_text("day,currency,rate\n" + "".join(f"2026-03-01,{currency},1\n" for currency in ("CHF", "GBP", "JPY", "USD")))
    made = Shop(tmp_path, rates=rates)
    for person, order in enumerate(permutations(["0.1000", "0.2000", "0.3000", "0.7000"]), 1):
        paid = zip(order, ["CHF", "GBP", "JPY", "USD"], strict=True)
        made.add(*((person, "2026-03-02", "bought", {"revenue": amount, "currency": currency}) for amount, currency in paid))
    made.add((1, "2026-03-01", "bought", {"currency": "SEK"}))
    found = made.ask(kind="rfm", event={"event": "bought"}, range=MARCH)
    made.close()
    assert {cell.monetary for cell in found.cells} == {1}
    assert found.warnings == []


def test_a_last_value_in_no_band_is_in_no_group(shop):
    shop.add((1, "2026-03-02", "bought", {"age": 20}), (1, "2026-03-03", "bought", {"age": 200}))
    shop.add((2, "2026-03-02", "bought", {"age": 20}), (2, "2026-03-03", "bought", {}))
    found = shop.ask(**BOUGHT, by=[{"property": "age", "edges": [0, 18, 35]}])
    assert groups(found) == {"age": {"[18, 35]": (1, 2), "∅ (none)": (1, 2)}}
    adopted = shop.ask(kind="adoption", feature={"event": "bought"}, range=MARCH, by=[{"property": "age", "edges": [0, 18, 35]}])
    assert {group.value for group in adopted.segments[0].groups} == {"[18, 35]", "∅ (none)"}
