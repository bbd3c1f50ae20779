"""Trends against a few lines of Python that count the slow, obvious way, over random histories, zones, filters and groups."""

from __future__ import annotations

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from zoneinfo import ZoneInfo

import pytest

from tests.analytics.site import Shop, instant, values

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
FIRST = datetime(2026, 3, 20, tzinfo=UTC)  # Berlin changes its clocks on the 29th


def history(rng: random.Random, count: int) -> list[dict]:
    """Random events of a dozen people, with ties, missing values and values of all kinds."""
    found = []
    for _ in range(count):
        seconds = rng.choice([rng.randrange(20 * 86_400), rng.randrange(20) * 86_400, 9 * 86_400 - 3600 + rng.randrange(7200)])
        found.append({
            "person": rng.randrange(1, 13),
            "time": FIRST + timedelta(seconds=seconds),
            "event": rng.choice(["a", "a", "b"]),
            "country": rng.choice(["DE", "FR", "US", None]),
            "plan": rng.choice(["pro", "free", "", None, 0, "0", True, ["pro", "x"]]),
            "price": rng.choice([rng.randrange(100), 2.5, "7", "cheap", None]),
            "session": rng.randrange(1, 4),
        })  # fmt: skip
    return found


def store(shop: Shop, events: list[dict], rng: random.Random) -> None:
    """In the order given, sealed and compacted at random."""
    for start in range(0, len(events), 40):
        shop.add(*(
            (
                each["person"],
                round(each["time"].timestamp() * 1_000_000),
                each["event"],
                {name: each[name] for name in ("country", "plan", "price", "session") if each[name] is not None},
            )
            for each in events[start : start + 40]
        ))  # fmt: skip
        if rng.random() < 0.4:
            shop.seal()
    if rng.random() < 0.5:
        shop.compact()


def bucket_of(event: dict, interval: str, zone: ZoneInfo, week_start: int) -> str:
    local = event["time"].astimezone(zone)
    day = local.date()
    if interval == "hour":
        return f"{(local - timedelta(minutes=local.minute, seconds=local.second)).isoformat()}"
    if interval == "week":
        day -= timedelta(days=(day.isoweekday() - week_start) % 7)
    if interval == "month":
        day = day.replace(day=1)
    return day.isoformat()


def number(value) -> float | None:
    try:
        return None if isinstance(value, bool | list) else float(value)
    except (TypeError, ValueError):
        return None


def by_person(events):
    found = defaultdict(int)
    for each in events:
        found[each["person"]] += 1
    return sorted(found.values())


def median(sample):
    return None if not sample else sample[0] if len(sample) == 1 else quantiles(sorted(sample), n=2, method="inclusive")[0]


def numbers(events):
    return [value for each in events if (value := number(each["price"])) is not None]


MATHS = {
    "total": (len, None),
    "unique": (lambda events: len({each["person"] for each in events}), None),
    "unique_sessions": (lambda events: len({(each["person"], each["session"]) for each in events}), None),
    "per_user_median": (lambda events: median(by_person(events)), None),
    "per_user_avg": (lambda events: sum(by_person(events)) / len(by_person(events)) if events else None, None),
    "sum": (lambda events: sum(numbers(events)), "price"),
    "avg": (lambda events: sum(numbers(events)) / len(numbers(events)) if numbers(events) else None, "price"),
    "min": (lambda events: min(numbers(events), default=None), "price"),
    "max": (lambda events: max(numbers(events), default=None), "price"),
    "median": (lambda events: median(numbers(events)), "price"),
    "sum_per_user": (lambda events: sum(numbers(events)) / len({each["person"] for each in events}) if events else None, "price"),
}

FILTERS = {
    "none": (None, lambda _: True),
    "is": ({"property": "country", "op": "is", "value": ["DE", "US"]}, lambda e: e["country"] in {"DE", "US"}),
    "is_not": ({"property": "country", "op": "is_not", "value": "DE"}, lambda e: e["country"] != "DE"),
    "list": ({"property": "plan", "op": "is", "value": "pro"}, lambda e: e["plan"] in ("pro", ["pro", "x"])),
    "zero": ({"property": "plan", "op": "is", "value": 0}, lambda e: e["plan"] in (0, "0") and e["plan"] is not False),
    "true": ({"property": "plan", "op": "is", "value": "true"}, lambda e: e["plan"] is True),
    "set": ({"property": "plan", "op": "is_set"}, lambda e: e["plan"] not in (None, "")),
    "gt": ({"property": "price", "op": "gt", "value": 6.5}, lambda e: (number(e["price"]) or 0) > 6.5),
    "tree": (
        {
            "type": "and",
            "conditions": [
                {"type": "not", "condition": {"property": "price", "op": "between", "value": [10, 50]}},
                {
                    "type": "or",
                    "conditions": [{"property": "country", "op": "is_not_set"}, {"property": "country", "value": "FR"}],
                },
            ],
        },
        lambda e: (
            not (10 <= (number(e["price"]) if number(e["price"]) is not None else -1) <= 50) and e["country"] in (None, "FR")
        ),
    ),
}


@pytest.mark.parametrize("seed", range(12))
def test_trends_equal_the_obvious_count(tmp_path, seed):
    rng = random.Random(seed)
    shop = Shop(tmp_path)
    events = history(rng, 160)
    store(shop, events, rng)
    for _ in range(8):
        check(shop, events, rng)
    shop.close()


def check(shop: Shop, events: list[dict], rng: random.Random) -> None:
    math, filtered = rng.choice(sorted(MATHS)), rng.choice(sorted(FILTERS))
    interval, week_start, zone = rng.choice(["hour", "day", "week", "month"]), rng.randrange(1, 8), rng.choice(ZONES)
    reckon, measured = MATHS[math]
    where, holds = FILTERS[filtered]
    grouped = rng.random() < 0.5
    series = {"event": "a", "math": math, **({"property": measured} if measured else {}), **({"where": where} if where else {})}
    found = shop.ask(
        "2026-04-20T00:00:00",
        kind="trends",
        series=[series],
        interval=interval,
        week_start=week_start,
        timezone=zone,
        range={"from": "2026-03-24", "to": "2026-04-02"},
        **({"breakdown": {"by": [{"property": "country"}]}} if grouped else {}),
    )
    starts = [point.start for point in found.series[0].values]
    low, high = instant(starts[0]), instant(found.resolved_range.to)
    inside = [e for e in events if e["event"] == "a" and holds(e) and low <= round(e["time"].timestamp() * 1e6) < high]
    for line in found.series:
        group = None if line.group is None else line.group[0]
        rows = [e for e in inside if group is None or (e["country"] or "∅ (none)") == group]
        cells = defaultdict(list)
        for each in rows:
            cells[bucket_of(each, interval, ZoneInfo(zone), week_start)].append(each)
        keys = [start if interval == "hour" else start[:10] for start in starts]
        context = (math, filtered, interval, week_start, zone, group)
        assert values(line) == pytest.approx([reckon(cells.get(key, [])) for key in keys]), context
        assert line.total == pytest.approx(reckon(rows)), context
    if grouped:
        assert {line.group[0] for line in found.series[1:]} == {e["country"] or "∅ (none)" for e in inside}
