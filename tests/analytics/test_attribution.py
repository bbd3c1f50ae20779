"""Attribution over the engine: plain readings of the journeys, money, small channels."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from consentryd.model.clock import DAY
from tests.analytics.site import NOW, Shop, instant

RANGE = {"from": "2026-02-01", "to": "2026-02-28"}
QUESTION = {"kind": "attribution", "conversion": {"event": "bought"}, "value": "revenue", "range": RANGE}
CHANNELS = ["news", "search", "social", "direct"]


def visits(seed: int, people: int = 30):
    """(person, instant, channel or None for a conversion)."""
    rng = random.Random(seed)
    start = instant("2025-12-20T00:00:00")
    rows = [
        (rng.randrange(1, people), start + rng.randrange(70 * DAY), rng.choice([*CHANNELS, *CHANNELS, None, ""]))
        for _ in range(300)
    ]
    return sorted({(person, at): channel for person, at, channel in rows}.items())


def plain(rows, model: str) -> dict[str, float]:
    credit: dict[str, float] = defaultdict(float)
    for (person, at), channel in rows:
        if channel is not None or not instant("2026-02-01T00:00:00") <= at < instant("2026-03-01T00:00:00"):
            continue
        touches = [(then, source) for (who, then), source in rows if who == person and source and at - 30 * DAY <= then <= at]
        touches = [touch for touch in touches if touch[1] != "direct"] or touches
        n = len(touches)
        for number, (then, source) in enumerate(touches):
            credit[source] += {
                "first": float(number == 0),
                "last": float(number == n - 1),
                "linear": 1 / n,
                "position": 1 / n if n < 3 else 0.4 if number in {0, n - 1} else 0.2 / (n - 2),
                "time_decay": 0.5 ** ((at - then) / (7 * DAY)) / sum(0.5 ** ((at - each) / (7 * DAY)) for each, _ in touches),
            }[model]
        credit["(unattributed)"] += not touches
    return {name: value for name, value in credit.items() if value}


@pytest.mark.parametrize("seed", range(3))
def test_every_model_is_that_of_a_plain_reading(shop, seed):
    rows = visits(seed)
    shop.add(
        *(
            (person, at, "bought", {"revenue": "2.0000"}) if channel is None else (person, at, "viewed", {"utm_source": channel})
            for (person, at), channel in rows
        )
    )
    found = shop.ask(**QUESTION)
    for model in ("first", "last", "linear", "position", "time_decay"):
        shown = {each.channel: each.conversions[model] for each in found.channels if each.conversions[model]}
        assert shown == pytest.approx(plain(rows, model))
        assert sum(shown.values()) == pytest.approx(found.conversions)
        assert sum(each.value[model] for each in found.channels) == pytest.approx(2 * found.conversions)
    for model in ("markov", "shapley"):
        assert sum(each.conversions[model] for each in found.channels) == pytest.approx(found.conversions)


def journeys(shop: Shop, channel: str | None, people: range, **values) -> None:
    for person in people:
        if channel:
            shop.add((person, "2026-02-02T10:00:00", "viewed", {"utm_source": channel}))
        shop.add((person, "2026-02-02T11:00:00", "bought", values or {"revenue": "1.0000"}))


def test_small_channels_are_one_and_the_whole_stays_whole(shop):
    journeys(shop, "news", range(1, 11))
    journeys(shop, "search", range(11, 14))
    journeys(shop, "social", range(14, 16))
    journeys(shop, "rare", range(16, 17))
    shop.add((16, "2026-02-02T10:30:00", "viewed", {"utm_source": "social"}))
    assert {each.channel: each.subjects for each in shop.ask(**QUESTION).channels} == {
        "news": 10, "search": 3, "social": 3, "rare": 1, "(unattributed)": 0,
    }  # fmt: skip
    found = shop.ask(least=3, **QUESTION)
    assert {each.channel: each.subjects for each in found.channels} == {"news": 10, "search": 3, "Other": 3, "(unattributed)": 0}
    for model in ("first", "linear", "shapley"):
        assert sum(each.conversions[model] for each in found.channels) == pytest.approx(found.conversions) == 16
    hidden = shop.ask(least=17, **QUESTION)
    assert (hidden.conversions, hidden.channels, hidden.suppressed_groups) == (None, [], 1)
    journeys(shop, None, range(40, 41))
    assert {each.channel: each.subjects for each in shop.ask(least=4, **QUESTION).channels} == {"news": 10, "Other": 7}


def test_revenue_in_another_currency_is_converted_and_what_has_no_rate_is_said(tmp_path):
    rates = tmp_path / "rates.csv"
    rates.write_text("day,currency,rate\n2026-02-01,USD,0.5\n")
    made = Shop(tmp_path, rates=rates)
    for person, currency in enumerate(["EUR", "USD", "GBP", None], 1):
        journeys(made, "news", range(person, person + 1), revenue="10.0000", currency=currency)
    found = made.ask(**QUESTION)
    made.close()
    assert found.channels[0].value["linear"] == 25
    assert [(each.code, each.count) for each in found.warnings] == [("missing_rate", 1)]


def test_of_a_sample_conversions_are_scaled(shop):
    journeys(shop, "news", range(1, 400))
    found = shop.ask(NOW, **QUESTION, sampling=0.5)
    assert 300 < found.conversions < 500
    assert found.channels[0].conversions["last"] == pytest.approx(found.conversions, abs=1)
