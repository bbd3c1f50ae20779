"""Engaged time from heartbeats, and what neither begins nor extends a session."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from consentryd.model.clock import DAY, MINUTE, SECOND
from tests.analytics.site import Shop, instant

RANGE = {"from": "2026-03-02", "to": "2026-03-04"}
BEAT = {"heartbeat": {"event": "beat"}, "heartbeat_s": 15}
START = instant("2026-03-02T10:00:00")


def sessions(shop, **options):
    return shop.ask(kind="sessions", range=RANGE, **options)


def told(shop, *times: int, event: str, person: int = 1, **values) -> None:
    shop.add(*((person, START + seconds * SECOND, event, values) for seconds in times))


def test_engaged_is_the_time_between_heartbeats_that_are_near(shop):
    told(shop, 0, 100, event="viewed", type="page")
    told(shop, 15, 30, 60, 91, 106, event="beat")
    # 15 to 30 to 60: pauses of 15 and 30 s; 60 to 91 is more than twice 15; 91 to 106
    found = sessions(shop, **BEAT)
    assert (found.totals.sessions, found.totals.mean_duration_s, found.totals.mean_engaged_s) == (1, 100, 60)
    assert [bucket.engaged_s for bucket in found.buckets] == [60, None, None]
    assert found.totals.events_per_session == 2
    plain = sessions(shop)
    assert (plain.totals.events_per_session, plain.totals.mean_engaged_s, plain.buckets[0].engaged_s) == (7, None, None)


def test_heartbeats_neither_begin_nor_extend_a_session(shop):
    told(shop, 0, 3_000, event="viewed", type="page")
    told(shop, *range(900, 3_000, 15), event="beat")
    told(shop, 0, 15, event="beat", person=2)
    found = sessions(shop, **BEAT)
    assert (found.totals.sessions, found.totals.subjects, found.totals.mean_duration_s) == (2, 1, 0)
    assert found.totals.mean_engaged_s == (2_985 - 900) / 2


def test_background_events_are_left_out_but_for_heartbeats(shop):
    told(shop, 0, event="viewed", type="page")
    told(shop, 10, 20, event="beat", non_interactive=True)
    told(shop, 1_700, event="synced", non_interactive=True)
    told(shop, 3_000, event="viewed", type="page")
    background = {"background": {"where": {"property": "non_interactive", "value": True}}}
    assert sessions(shop).totals.sessions == 1
    found = sessions(shop, **background, **BEAT)
    assert (found.totals.sessions, found.totals.mean_engaged_s) == (2, 5)
    assert sessions(shop, ignore=["synced", "beat"], **BEAT).totals.mean_engaged_s == 5


def test_what_was_captured_automatically_keeps_a_visit_from_bouncing(shop):
    told(shop, 0, event="viewed", type="page")
    told(shop, 2, event="clicked")
    question = {"bounce": "posthog", "key_event": {"event": "bought"}}
    assert sessions(shop, **question).totals.bounce_rate == 1
    assert sessions(shop, **question, autocapture={"event": "clicked"}, **BEAT).totals.bounce_rate == 0


def test_the_web_overview_and_the_summary_know_heartbeats(shop):
    told(shop, 0, event="viewed", type="page", utm_source="news")
    told(shop, 3_000, event="viewed", type="page", utm_source="mail")
    told(shop, *range(0, 3_000, 15), event="beat", utm_source="beats")
    web = shop.ask(kind="web", range=RANGE, **BEAT)
    assert (web.visits.sessions, web.visits.mean_engaged_s) == (2, 2_985 / 2)
    assert {each.value for each in web.top["utm_source"]} == {"news", "mail"}
    kpi = shop.ask(kind="kpi", range=RANGE, **BEAT)
    assert next(number.value for number in kpi.numbers if number.name == "sessions") == 2


def engaged(events, gap):
    """Seconds by session start of one person's events of one device."""
    begun, last, beats, found = None, None, {}, {}
    for time, kind in sorted(events, key=lambda event: (event[0], event[1] == "beat")):
        if kind == "beat":
            if begun is not None:
                beats[begun].append(time)
            continue
        if last is None or time - last > gap:
            begun = time
            beats[begun] = []
        last = time
    for start, own in beats.items():
        found[start] = sum(b - a for a, b in pairwise(own) if b - a <= 30 * SECOND) / SECOND
    return found


@pytest.mark.parametrize("by_device", [False, True])
def test_random_visits_have_the_engaged_time_that_counting_gives(shop: Shop, by_device):
    rng = random.Random(3)
    histories: dict = {}
    begin = instant("2026-03-01T23:00:00")
    for person in range(1, 30):
        for _ in range(rng.randrange(1, 40)):
            # bursts near the range's ends, too
            time = (
                begin + rng.choice([0, DAY, 2 * DAY, 3 * DAY]) + rng.randrange(150) * MINUTE // 2 + rng.choice([0, 0, 5]) * SECOND
            )
            kind, device = rng.choice(["viewed", "beat", "beat"]), rng.choice(["mobile", "desktop"])
            histories.setdefault((person, device if by_device else ""), []).append((time, kind))
            shop.add((person, time, kind, {"device": device}))
    found = sessions(shop, by_device=by_device, gap_minutes=10, **BEAT)
    expected = [seconds for events in histories.values() for start, seconds in engaged(events, 10 * MINUTE).items()
                if instant("2026-03-02T00:00:00") <= start < instant("2026-03-05T00:00:00")]  # fmt: skip
    assert found.totals.sessions == len(expected)
    assert found.totals.mean_engaged_s == pytest.approx(sum(expected) / len(expected))
    assert sum(expected) > 0
    assert sum((bucket.engaged_s or 0) * bucket.sessions for bucket in found.buckets) == pytest.approx(sum(expected))


@pytest.mark.parametrize(
    "rule", [{"ignore": ["beat"]}, {"background": {"event": "beat"}}, {"ignore": ["beat"], "heartbeat": {"event": "beat"}}]
)
def test_an_event_without_a_name_is_not_one_of_those_ignored(shop, rule):
    shop.add((1, "2026-03-02T10:00:00", None, {"type": "identify"}), (1, "2026-03-02T10:05:00", "beat"))
    found = shop.ask(kind="sessions", range={"from": "2026-03-02", "to": "2026-03-02"}, **rule)
    assert (found.totals.sessions, found.totals.events_per_session) == (1, 1.0)
    steps = [{"where": {"property": "type", "value": kind}} for kind in ("identify", "track")]
    shop.add((1, "2026-03-02T10:07:00", None, {"type": "group"}), (1, "2026-03-02T10:09:00", "bought"))
    strict = shop.ask(
        kind="funnel", steps=steps, order="strict", ignore=["beat"], range={"from": "2026-03-02", "to": "2026-03-02"}
    )
    assert [step.count for step in strict.steps] == [1, 0]
