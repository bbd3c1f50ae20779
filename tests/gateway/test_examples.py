"""Whoever sends what the docs page proposes is answered."""

from __future__ import annotations

from consentryd.gateway.endpoints import ENDPOINTS
from consentryd.gateway.openapi import describe
from tests.house import open_house


async def test_every_example_of_a_request_is_taken(tmp_path):
    document = describe(ENDPOINTS)
    schemas = document["components"]["schemas"]
    tried = 0
    async with open_house(tmp_path, rights=True) as house:
        for path, operations in document["paths"].items():
            body = operations.get("post", {}).get("requestBody")
            if body is None or "{" in path:
                continue
            schema = body["content"]["application/json"]["schema"]
            example = schemas[schema["$ref"].rpartition("/")[2]]["example"] if "$ref" in schema else schema.get("example")
            if example is None:
                continue
            kinds = operations["post"]["x-keys"]
            key = next(name for name in ("write", "read", "privacy") if name in kinds)
            status, answer = await house.post(path, example, key=key)
            assert status == 200, (path, answer)
            tried += 1
    assert tried > 20
