"""A question asked while the store changes sees one state of it: every event once."""

from __future__ import annotations

import threading

import pytest

from consentryd.analytics.engine import Engine
from consentryd.analytics.query import read
from consentryd.config.settings import Analytics
from tests.analytics.site import Shop, instant

RANGE = {"from": "2026-03-01", "to": "2026-03-31"}


def total(shop: Shop, math: str = "total") -> int:
    return shop.ask("2026-04-10T00:00:00", kind="trends", series=[{"math": math}], range=RANGE).series[0].total


def test_sealing_and_compacting_meanwhile_change_no_answer(shop):
    people = 40
    shop.add(*((person, f"2026-03-{1 + person % 20:02}") for person in range(1, people + 1)))
    stop = threading.Event()

    def churn():
        while not stop.is_set():
            shop.seal()
            shop.compact()

    worker = threading.Thread(target=churn)
    worker.start()
    try:
        for extra in range(12):
            assert total(shop) == people + extra
            assert total(shop, "unique") == people
            shop.add((1 + extra, "2026-03-05"))
    finally:
        stop.set()
        worker.join()


@pytest.mark.parametrize("sealed", [False, True])
def test_an_erased_subject_is_out_of_every_answer_at_once_also_of_those_remembered(shop, sealed):
    shop.add((1, "2026-03-01"), (2, "2026-03-01"))
    if sealed:
        shop.seal()
    assert total(shop, "unique") == 2
    shop.hide(1)
    assert (total(shop, "unique"), total(shop)) == (1, 1)


def test_a_withdrawn_purpose_is_out_of_every_answer_at_once(shop):
    shop.add((1, "2026-03-01"), (2, "2026-03-01"))
    assert total(shop) == 2
    shop.withdraw(1, "analytics", "2026-03-02T00:00:00")
    assert total(shop) == 1


def test_what_is_remembered_of_texts_is_right_when_asked_later_and_after_more_events(shop):
    shop.add((1, "2026-03-01", "viewed", {"path": "/a"}), (1, "2026-03-01T12:01:00", "viewed", {"path": "/b"}))
    shop.seal()
    questions = [
        {"kind": "paths", "range": RANGE},
        {
            "kind": "funnel",
            "steps": [{"event": "viewed"}, {"event": "bought"}],
            "breakdown": {"by": {"property": "path"}, "limit": 1},
            "range": RANGE,
        },
    ]
    for more in ([], [(2, "2026-03-02", "viewed", {"path": "/c"}), (2, "2026-03-02T12:01:00", "bought", {"path": "/a"})]):
        shop.add(*more)
        for question in questions:
            first, hits = shop.ask("2026-04-10T00:00:00", **question), shop.engine.cache.hits
            again = shop.ask("2026-04-10T00:00:07", **question)
            assert shop.engine.cache.hits > hits
            fresh = Engine({"eu": shop.reader}, Analytics(cache_mb=0)).ask(read(question), "shop", instant("2026-04-10T00:00:00"))
            moments = {"generated_at", "watermark", "query_id"}
            assert first.model_dump(exclude=moments) == again.model_dump(exclude=moments) == fresh.model_dump(exclude=moments)
