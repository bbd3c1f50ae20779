"""Rollups answer exactly as events do: each question is asked with them, then without, whatever became of the events."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from consentryd.storage.erasure import rewrite_without
from consentryd.storage.rollup_keep import roll_up, standing
from tests.analytics.site import Shop, instant, row, subject, values

NOW = "2026-04-02T09:30:00"
PEOPLE = 45
DAYS = 63
NAMES = ["viewed", "bought", "liked", None]
RANGES = [
    {"from": "2026-02-20", "to": "2026-03-31"},
    {"from": "2026-03-25", "to": "2026-03-31"},
    {"from": "2026-01-10", "to": "2026-04-01"},
    {"from": "-30d"},
    {"from": "2026-03-02T05:00", "to": "2026-03-20T17:00", "explicit": True},
]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path, timezone="Europe/Berlin", cache_mb=0, query_seconds=600)
    made.zone = ZoneInfo("Europe/Berlin")
    yield made
    made.close()


class History:
    """Events of a seeded site, ever more of them: late ones, ones of the future, of another site, another purpose, of nobody."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._count = 0

    def rows(self, events: int) -> list[list[Any]]:
        return [self._row() for _ in range(events)]

    def _row(self) -> list[Any]:
        rng = self.rng
        self._count += 1
        person = None if rng.random() < 0.1 else rng.randrange(1, PEOPLE + 1)
        time = instant("2026-02-01T00:00:00") + int(rng.random() * DAYS * 86_400_000_000)
        if rng.random() < 0.2:  # at a local midnight, or a microsecond before
            time = instant("2026-02-01T23:00:00") + rng.randrange(DAYS) * 86_400_000_000 - rng.randrange(2)
        columns = {
            "received_at": time + int(rng.random() ** 4 * 9 * 86_400_000_000),
            "site": rng.choice(["shop"] * 5 + ["blog"]),
            "purpose": rng.choice(["analytics"] * 5 + ["ads"]),
        }
        return row(self._count, person, time, rng.choice(NAMES), **columns)  # type: ignore[arg-type]


def questions(rng: random.Random) -> list[dict[str, Any]]:
    """One of each kind that rollups answer, in a random shape."""
    events: list[Any] = [rng.choice([None, "viewed", ["bought", "liked"], "never"]) for _ in range(4)]
    units = ["day", "week", "month"]
    maths = ["total", "unique", "weekly_active", "monthly_active", "first_time_event", "first_match"]
    series = [{"math": math, "event": event} for math in rng.sample(maths, 2) for event in events[:1]]
    gathered = [{"math": math, "event": events[1]} for math in ("unique", "first_match")]
    brackets = rng.choice([None, [1, 2, 4], [3, 1]])
    shapes: list[dict[str, Any]] = [
        {"kind": "trends", "series": series, "interval": rng.choice(units), "compare": rng.choice([None, None, "previous"])},
        {"kind": "trends", "series": gathered, "interval": rng.choice(units), "display": rng.choice(["cumulative", "total"])},
        {"kind": "trends", "series": [{"math": "unique"}], "min_group_size": 3, "interval": "day"},
        {
            "kind": "retention", "start": {"event": events[0]}, "return": {"event": events[2]}, "interval": rng.choice(units),
            "periods": rng.choice([3, 9]), "brackets": brackets, "mode": rng.choice(["on", "on_or_after"]),
            "cohort": rng.choice(["recurring", "first_match", "first_ever"]), "mean": rng.choice(["weighted", "simple"]),
        },
        {"kind": "lifecycle", "activity": {"event": events[3]}, "interval": rng.choice(units)},
        {"kind": "stickiness", "activity": {"event": events[0]}, "interval": rng.choice(units)},
    ]  # fmt: skip
    zones = ["Europe/Berlin", "Europe/Berlin", "Europe/Paris", "Asia/Kolkata"]
    common = {"sampling": rng.choice([1.0, 1.0, 0.5]), "week_start": rng.randrange(1, 8), "timezone": rng.choice(zones)}
    return [{"range": rng.choice(RANGES), **common, **shape} for shape in shapes]


def asked(shop: Shop, each: list[dict[str, Any]]) -> list[Any]:
    return [shop.ask(NOW, **question).model_dump() for question in each]


def without_rollups(shop: Shop) -> None:
    for path in shop.lake.folder.glob("**/*.rollup"):
        path.unlink()


def check(shop: Shop, rng: random.Random, count: int) -> None:
    each = rng.sample(questions(rng), count)
    before = asked(shop, each)
    assert standing(shop.lake).rolled > 0
    without_rollups(shop)
    for question, known, plain in zip(each, before, asked(shop, each), strict=True):
        assert known == plain, question
    with shop.lake.writing():
        roll_up(shop.lake, ZoneInfo(rng.choice(["Europe/Berlin", "Europe/Berlin", "UTC"])))
        roll_up(shop.lake, ZoneInfo("Europe/Berlin"), events=0)  # of a file or two, if they are of another zone


STEPS = ["seal", "compact", "late", "merge", "hide", "withdraw", "erase", "lift"]


def change(shop: Shop, history: History, step: str) -> None:
    rng = history.rng
    person, other = rng.sample(range(1, PEOPLE + 1), 2)
    match step:
        case "seal":
            shop.seal()
        case "compact":
            shop.compact()
        case "late":
            shop.add_rows(history.rows(40))
        case "merge" if not merged_already(shop, person, other):
            shop.merge(person, other)
        case "hide":
            shop.hide(person)
        case "withdraw":
            shop.withdraw(person, rng.choice(["analytics", "ads"]), rng.choice(["2026-02-15", "2026-03-12", "2026-05-01"]))
        case "erase":
            with shop.lake.writing():
                rewrite_without(shop.lake, [subject(person)])
                shop.lake.vacuum()
        case "lift":
            shop.database.execute("DELETE FROM tombstone")


def merged_already(shop: Shop, person: int, into: int) -> bool:
    """A merged subject does not merge again, and none merges in a circle."""
    rows = shop.database.execute("SELECT subject, becomes FROM alias").fetchall()
    return any(subject(person) in pair for pair in rows) or any(subject(into) == merged for merged, _ in rows)


@pytest.mark.parametrize("seed", range(3))
def test_every_question_has_the_same_answer_with_rollups_and_without(shop, seed):
    history = History(seed)
    shop.add_rows(history.rows(500))
    shop.seal()
    shop.add_rows(history.rows(500 * (seed % 2)))
    for first, second in zip(STEPS[seed:] + STEPS[:seed], history.rng.sample(STEPS, 4), strict=False):
        change(shop, history, first)
        change(shop, history, second)
        check(shop, history.rng, 2)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", range(100, 104))
def test_every_question_has_the_same_answer_in_long_histories(shop, seed):
    history = History(seed)
    shop.add_rows(history.rows(700))
    shop.seal()
    for step in history.rng.choices(STEPS, k=25):
        change(shop, history, step)
        check(shop, history.rng, 6)


PLAIN = {
    "unique": {"kind": "trends", "series": [{"math": "unique"}]},
    "total": {"kind": "trends", "series": [{"math": "total"}]},
    "weekly_active": {"kind": "trends", "series": [{"math": "weekly_active"}]},
    "first_match": {"kind": "trends", "series": [{"math": "first_match", "event": "viewed"}]},
    "retention by week": {"kind": "retention", "interval": "week", "periods": 3},
    "retention by day": {"kind": "retention", "interval": "day", "periods": 40, "brackets": [1, 2, 30, 7]},
    "retention on or after": {
        "kind": "retention",
        "interval": "day",
        "periods": 50,
        "mode": "on_or_after",
        "cohort": "first_match",
    },
    "lifecycle": {"kind": "lifecycle", "interval": "week"},
    "stickiness": {"kind": "stickiness"},
    "kpi": {"kind": "kpi", "range": RANGES[1]},
}


def forge(shop: Shop) -> None:
    """Rollups that say of every file that nobody was there, and nothing happened."""
    for file in shop.lake.state().files:
        honest = shop.lake.rollup(file)
        if honest is not None:
            sections = tuple(section._replace(totals=(0,) * len(section.totals)) for section in honest.sections)
            shop.lake.lay(file, honest._replace(days=np.zeros_like(honest.days), sections=sections))


def test_rollups_are_what_is_asked(shop):
    """Forged ones change each answer, though half of the events are in the log; so the tests above compare what they say they do.

    81 days are more than the bits of a word.
    """
    history = History(7)
    shop.add_rows(history.rows(300))
    shop.seal()
    shop.add_rows(history.rows(300))
    each = [{"range": RANGES[2], **question} for question in PLAIN.values()]
    honest = asked(shop, each)
    forge(shop)
    for name, forged, known in zip(PLAIN, asked(shop, each), honest, strict=True):
        assert forged != known, name
    without_rollups(shop)
    assert asked(shop, each) == honest


UNTOLD = [
    {"where": {"property": "country", "op": "is_not_set"}},
    {"lane": "all"},
    {"timezone": "Asia/Kolkata"},
    {"interval": "hour", "range": {"from": "2026-03-01", "to": "2026-03-07"}},
    {"breakdown": {"by": [{"property": "event"}]}},
    {"series": [{"math": "unique", "where": {"property": "country", "op": "is_not_set"}}]},
    {"series": [{"math": "unique_sessions"}]},
]


def test_what_days_and_names_do_not_tell_is_asked_of_the_events(shop):
    shop.add_rows(History(8).rows(300))
    shop.seal()
    each = [{"kind": "trends", "series": [{"math": "total"}], **question} for question in UNTOLD]
    honest = asked(shop, each)
    forge(shop)
    assert asked(shop, each) == honest


def test_marked_test_traffic_is_asked_of_the_events(tmp_path):
    shop = Shop(tmp_path, test_traffic={"staff": ["yes"]})
    shop.zone = ZoneInfo("UTC")
    shop.add((1, "2026-03-01", "viewed", {"staff": "yes"}), (2, "2026-03-01"), (3, "2026-03-01"))
    shop.seal()
    line = shop.ask(NOW, kind="trends", series=[{"math": "unique"}], range=RANGES[0]).series[0]
    assert line.total == 2
    assert shop.ask(NOW, kind="trends", series=[{"math": "unique"}], range=RANGES[0], test_traffic=True).series[0].total == 3
    shop.close()


def known(shop: Shop, **query: Any) -> tuple[int, int, int]:
    """Distinct subjects of the range, the sum of those of its days, and events; no file is without a rollup, and the log is empty."""
    assert standing(shop.lake).rolled == standing(shop.lake).files > 0
    lines = [{"math": "unique"}, {"math": "total"}]
    unique, total = shop.ask(NOW, kind="trends", series=lines, **{"range": RANGES[0], **query}).series
    return unique.total, sum(values(unique)), total.total


SITUATIONS = {
    "hidden": (lambda shop: shop.hide(2), (2, 2, 2)),
    "merged": (lambda shop: shop.merge(2, 3), (2, 4, 4)),
    "merged into one who is hidden": (lambda shop: (shop.merge(2, 3), shop.hide(3)), (1, 1, 1)),
    "withdrawn before": (lambda shop: shop.withdraw(2, "analytics", "2026-02-01"), (3, 4, 4)),
    "withdrawn in between": (lambda shop: shop.withdraw(2, "analytics", "2026-03-08"), (3, 3, 3)),
    "withdrawn after": (lambda shop: shop.withdraw(2, "analytics", "2026-03-31"), (2, 2, 2)),
    "withdrawn another purpose": (lambda shop: shop.withdraw(2, "ads", "2026-03-31"), (3, 4, 4)),
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_who_counts_is_settled_when_rollups_are_read(shop, name):
    shop.add((1, "2026-03-01"), (2, "2026-03-01"), (2, "2026-03-10"), (3, "2026-03-02"))
    shop.seal()
    assert known(shop) == (3, 4, 4)
    change_it, expected = SITUATIONS[name]
    change_it(shop)
    assert known(shop) == expected


def test_events_of_the_future_and_of_other_sites_and_purposes_are_not_in_what_rollups_say(shop):
    other = [(1, "2026-03-02", "viewed", {"site": "blog"}), (4, "2026-03-02", "viewed", {"purpose": "ads"}), (5, "2026-05-01")]
    shop.add((1, "2026-03-01"), *other)
    shop.seal()
    assert known(shop, range={"from": "2026-03-01", "to": "2026-05-03"}) == (1, 1, 1)


def test_days_of_another_zone_are_told_apart(shop):
    """Midnight in Berlin and half past midnight in Kolkata are not the same day."""
    shop.add(
        (1, "2026-03-02T18:45:00"), (2, "2026-03-02T18:00:00"), (3, "2026-03-02T23:10:00"), (3, "2026-02-27"), (3, "2026-03-30")
    )
    shop.seal()
    day = {"from": "2026-03-03", "to": "2026-03-03"}
    assert known(shop, range=day) == (1, 1, 1)
    assert known(shop, range=day, timezone="Asia/Kolkata") == (2, 2, 2)
    assert known(shop, range=day, timezone="UTC") == (0, 0, 0)


def test_a_store_that_kept_its_log_alone_has_nothing_to_roll_up_and_answers(shop):
    shop.add((1, "2026-03-01"), (2, "2026-03-01"))
    assert shop.ask(NOW, kind="trends", series=[{"math": "unique"}], range=RANGES[0]).series[0].total == 2
