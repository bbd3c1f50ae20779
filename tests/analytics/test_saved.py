"""What analysts save: named, versioned, and used by the name."""

from __future__ import annotations

import json

import pytest

from tests.analytics.test_http import TRENDS, YES
from tests.house import open_house

BUYERS = {"name": "buyers", "definition": {"type": "did", "event": "bought", "times": 2}}


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path) as opened:
        for who in ("a-1", "a-1", "a-2"):
            await opened.track(anonymousId=who, consent=YES)
        yield opened


async def members(house, cohort):
    where = {"type": "cohort", "cohort": cohort}
    status, answer = await house.post("/v1/query", {**TRENDS, "where": where}, key="read")
    assert status == 200, answer
    return answer["series"][1]["total"]


async def test_a_saved_query_has_versions_and_is_gone_when_deleted(house):
    status, first = await house.post("/v1/queries", {"name": "daily", "definition": TRENDS}, key="read")
    assert status == 200, first
    assert first["version"] == 1
    assert (await house.post("/v1/queries", {"name": "daily", "definition": TRENDS}, key="read"))[0] == 409
    body = b'{"name": "weekly", "definition": {"kind": "trends", "series": [{}], "interval": "week"}}'
    status, second = await house.ask("PUT", f"/v1/queries/{first['id']}", key="read", data=body)
    assert (status, second["version"], second["name"]) == (200, 2, "weekly")
    versions = (await house.ask("GET", "/v1/queries/weekly/versions", key="read"))[1]["saved"]
    assert [each["definition"]["interval"] for each in versions] == ["week", "day"]
    for each in versions:
        assert (await house.ask("GET", f"/v1/queries/weekly?version={each['version']}", key="read"))[1] == each
    for wrong, status in (("3", 404), ("0", 404), ("9" * 5000, 404), ("x", 400), ("", 400), ("-1", 400)):
        assert (await house.ask("GET", f"/v1/queries/weekly?version={wrong}", key="read"))[0] == status
    assert (await house.ask("DELETE", "/v1/queries/weekly", key="read"))[0] == 200
    assert (await house.ask("GET", "/v1/queries", key="read"))[1] == {"saved": []}
    assert (await house.ask("GET", "/v1/queries/weekly", key="read"))[0] == 404


async def test_a_cohort_that_others_name_is_neither_deleted_nor_renamed(house):
    saved = (await house.post("/v1/cohorts", BUYERS, key="read"))[1]
    both = {"type": "and", "conditions": [{"type": "cohort", "cohort": saved["id"]}]}
    users = {
        "/v1/cohorts": {"name": "both", "definition": both},
        "/v1/queries": {"name": "sizes", "definition": {"kind": "cohorts", "cohorts": ["buyers"]}},
        "/v1/funnels": {
            "name": "way",
            "definition": {"kind": "funnel", "steps": [{}, {}], "breakdown": {"cohorts": ["buyers"]}},
        },
    }
    assert (await house.post("/v1/cohorts", {"name": "kept", "definition": both, "static": True}, key="read"))[0] == 200
    for path, body in users.items():
        assert (await house.post(path, body, key="read"))[0] == 200
    status, answer = await house.ask("DELETE", "/v1/cohorts/buyers", key="read")
    assert (status, answer["error"]["message"]) == (409, "The cohort is named by cohort `both`, query `sizes`, funnel `way`.")
    renamed = json.dumps({**BUYERS, "name": "customers"}).encode()
    assert (await house.ask("PUT", "/v1/cohorts/buyers", key="read", data=renamed))[0] == 409
    assert (await house.ask("PUT", "/v1/cohorts/buyers", key="read", data=json.dumps(BUYERS).encode()))[0] == 200
    for path, body in users.items():
        assert (await house.ask("DELETE", f"{path}/{body['name']}", key="read"))[0] == 200
    assert (await house.ask("DELETE", "/v1/cohorts/buyers", key="read"))[0] == 200
    where = {"type": "cohort", "cohort": "buyers"}
    status, answer = await house.post("/v1/query", {**TRENDS, "where": where}, key="read")
    assert (status, answer["error"]["message"]) == (422, "There is no saved cohort `buyers`.")


async def test_a_dynamic_cohort_follows_its_rule_and_a_static_one_does_not(house):
    assert (await house.post("/v1/cohorts", BUYERS, key="read"))[0] == 200
    assert (await house.post("/v1/cohorts", {**BUYERS, "name": "frozen", "static": True}, key="read"))[0] == 200
    assert [await members(house, "buyers"), await members(house, "frozen")] == [1, 1]
    await house.track(anonymousId="a-2", consent=YES)
    assert [await members(house, "buyers"), await members(house, "frozen")] == [2, 1]


@pytest.mark.parametrize(
    "definition",
    [
        {"type": "event", "property": "country", "value": "DE"},
        {"type": "cohort", "cohort": "nobody"},
        {"type": "and", "conditions": []},
    ],
)
async def test_a_cohort_that_cannot_be_followed_is_not_saved(house, definition):
    assert (await house.post("/v1/cohorts", {"name": "x", "definition": definition}, key="read"))[0] == 422
    assert (await house.ask("GET", "/v1/cohorts", key="read"))[1] == {"saved": []}


async def test_a_funnel_is_saved_as_a_funnel_only(house):
    assert (await house.post("/v1/funnels", {"name": "f", "definition": TRENDS}, key="read"))[0] == 422
    funnel = {"kind": "funnel", "steps": [{"event": "a"}, {"event": "b"}]}
    assert (await house.post("/v1/funnels", {"name": "f", "definition": funnel}, key="read"))[0] == 200
