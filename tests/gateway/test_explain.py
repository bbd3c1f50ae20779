"""A decision is explained over HTTP by the rules that decide."""

import json

import pytest

from tests.house import open_house


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path) as house:
        yield house


@pytest.mark.parametrize(
    ("asked", "won"),
    [
        ({"country": "DE"}, "default"),
        ({"country": "DE", "signals": ["own:analytics=true"]}, "grant"),
        ({"country": "DE", "signals": ["own:analytics=false"]}, "denial"),
        ({"country": "DE", "signals": ["tcf:nonsense"]}, "invalid"),
        ({"country": "DE", "signals": ["own:analytics=true"], "withdrawn": ["analytics"]}, "withdrawal"),
    ],
)
async def test_the_rule_that_won_is_named(house, asked, won):
    status, answer = await house.post("/v1/consent/explain", {"event": "bought", **asked}, key="read")
    assert (status, answer["won"]) == (200, won)
    assert "Rules" in answer["text"]


@pytest.mark.parametrize(
    "asked",
    [
        [],
        {"country": "Germany"},
        {"country": "UK"},
        {"subdivision": "CA"},
        {"country": "US", "withdrawn": ["analytcs"]},
        {"signals": ["abc"]},
        {"signals": ["own:analytics=maybe"]},
        {"colour": "blue"},
        {"signals": json.loads("[" * 300 + "]" * 300)},
    ],
)
async def test_what_cannot_be_supposed_is_a_bad_request(house, asked):
    status, answer = await house.post("/v1/consent/explain", asked, key="read")
    assert (status, answer["error"]["code"]) == (400, "bad_body")


async def test_a_write_key_may_not_ask(house):
    status, _ = await house.post("/v1/consent/explain", {}, key="write")
    assert status == 403
