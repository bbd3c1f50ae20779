"""What was answered before does not answer again once somebody may not be seen any more: asked over HTTP, of a cache that is warm."""

from __future__ import annotations

import sqlite3

import pytest

from consentryd.gateway.forgetting import Forgetter
from consentryd.model.clock import HOUR, ManualClock
from consentryd.storage.delta import DeltaLake
from consentryd.storage.seal import Sealer
from tests.house import open_house
from tests.kit import NOW

YES = {"analytics": True}
TODAY = {"from": "today"}
QUESTIONS = {
    "trends": ({"series": [{"math": "unique"}]}, lambda answer: answer["series"][0]["total"]),
    "funnel": ({"steps": [{"event": "bought"}, {"event": "bought"}]}, lambda answer: answer["steps"][0]["count"]),
    "retention": ({"periods": 1}, lambda answer: answer["cohorts"][0]["size"]),
    "lifecycle": ({}, lambda answer: answer["buckets"][0]["new"]),
    "stickiness": ({}, lambda answer: answer["histogram"][0]["subjects"]),
    "sessions": ({}, lambda answer: answer["totals"]["subjects"]),
    "paths": ({"item": "event"}, lambda answer: answer["nodes"][0]["arrivals"]),
    "cohorts": ({"cohorts": [{"type": "did"}]}, lambda answer: answer["cohorts"][0]["subjects"]),
}


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path / "data", ManualClock(NOW), rights=True) as opened:
        for user in ("u-1", "u-2", "u-3"):
            await opened.track(key="server", userId=user, consent=YES)
        Sealer(tmp_path / "data" / "eu", DeltaLake(tmp_path / "data" / "eu")).run()
        opened.clock.advance(HOUR)
        yield opened


async def ask(house, kind):
    question, number = QUESTIONS[kind]
    status, answer = await house.post("/v1/query", {"kind": kind, "range": TODAY, **question}, key="read")
    assert status == 200, answer
    return number(answer)


async def erase(house):
    await request(house, "erasure")


async def restrict(house):
    await request(house, "restriction")


async def object_to_all(house):
    await request(house, "objection")


async def withdraw(house):
    await house.choose(key="server", userId="u-1", purposes={"analytics": False})


async def request(house, kind):
    body = {"type": kind, "identities": [{"type": "user_id", "value": "u-1"}]}
    status, told = await house.post("/v1/privacy/requests?wait=20", body, key="privacy")
    assert (status, told["status"]) == (200, "completed"), told


@pytest.mark.parametrize("change", [erase, restrict, object_to_all, withdraw])
async def test_an_answer_after_somebody_went_is_never_one_from_before(house, change):
    cache = house.house.querying.engine.cache
    before = {kind: await ask(house, kind) for kind in QUESTIONS}
    hits = cache.hits
    assert {kind: await ask(house, kind) for kind in QUESTIONS} == before
    assert cache.hits > hits
    assert set(before.values()) == {3}
    await change(house)
    assert {kind: await ask(house, kind) for kind in QUESTIONS} == dict.fromkeys(QUESTIONS, 2)


@pytest.mark.parametrize("change", [erase, restrict, withdraw])
async def test_results_in_memory_go_though_nobody_asks_again(house, change):
    forgetter = Forgetter(house.house.querying, house.house.stores)
    cache = house.house.querying.engine.cache
    await ask(house, "trends")
    forgetter.run()
    assert len(cache) > 0
    await change(house)
    forgetter.run()
    assert len(cache) == 0


async def test_looks_go_on_after_one_that_could_not_be_taken(house, monkeypatch):
    forgetter = Forgetter(house.house.querying, house.house.stores)
    await ask(house, "trends")
    with monkeypatch.context() as damaged:
        damaged.setattr(forgetter, "_look", broken)
        forgetter.run()
    await restrict(house)
    forgetter.run()
    assert len(house.house.querying.engine.cache) == 0


def broken():
    raise sqlite3.DatabaseError("database disk image is malformed")


async def test_a_query_that_began_before_leaves_nothing_behind_when_it_ends_after(house):
    engine = house.house.querying.engine
    await ask(house, "trends")
    early = engine.cache.as_of(engine.cache._marks)
    await restrict(house)
    await ask(house, "trends")
    size = len(engine.cache)
    early.put(("eu", "old", "old"), "what was made of everybody")
    assert len(engine.cache) == size
    engine.cache.clear()
    early.put(("eu", "old", "old"), "what was made of everybody")
    assert len(engine.cache) == 0
