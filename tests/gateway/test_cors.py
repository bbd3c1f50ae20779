from __future__ import annotations

import pytest

from consentryd.gateway.endpoints import ENDPOINTS
from tests.kit import Gateway

PAGE = "https://shop.example"
COLLECTING = [endpoint.path for endpoint in ENDPOINTS if endpoint.cors and "{" not in endpoint.path]


@pytest.mark.parametrize("path", COLLECTING)
async def test_preflights_need_no_key_and_get_what_they_ask(gateway: Gateway, path: str) -> None:
    asked = "anonymousid,authorization,content-type,sentat"
    headers = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": asked}
    async with gateway.request("OPTIONS", path, headers=headers) as response:
        assert response.status == 204
        assert response.headers["Server"] == "consentry"
        assert response.headers["Access-Control-Allow-Origin"] == PAGE
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert response.headers["Access-Control-Allow-Headers"] == asked
        assert "Origin" in response.headers["Vary"]
        assert int(response.headers["Access-Control-Max-Age"]) > 0
        method = next(endpoint.method for endpoint in ENDPOINTS if endpoint.path == path)
        assert method in response.headers["Access-Control-Allow-Methods"].split(", ")


@pytest.mark.parametrize("key", ["write", "nobody"])
async def test_answers_and_errors_can_be_read_by_the_page(gateway: Gateway, key: str) -> None:
    async with gateway.request(
        "POST", "/v1/track", data=b'{"event":"x"}', headers={"Origin": PAGE, "X-Write-Key": key}
    ) as response:
        assert response.headers["Access-Control-Allow-Origin"] == PAGE
        assert response.headers["Access-Control-Allow-Credentials"] == "true"
        assert response.headers["Vary"] == "Origin"


async def test_reading_endpoints_are_not_for_pages(gateway: Gateway) -> None:
    for path in ("/v1/rejected", "/metrics", "/readyz", "/nowhere"):
        async with gateway.request("GET", path, headers={"Origin": PAGE, "Authorization": "Bearer read"}) as response:
            assert "Access-Control-Allow-Origin" not in response.headers
        async with gateway.request("OPTIONS", path, headers={"Origin": PAGE}) as response:
            assert response.status in (404, 405)


@pytest.mark.parametrize(
    ("key", "origin", "status", "code"),
    [
        ("listed", PAGE, 200, None),
        ("listed", "https://SHOP.example", 200, None),
        ("listed", None, 200, None),
        ("listed", "https://evil.example", 403, "forbidden_origin"),
        ("listed", "https://shop.example.evil.example", 403, "forbidden_origin"),
        ("listed", "http://shop.example", 403, "forbidden_origin"),
        ("listed", "null", 403, "forbidden_origin"),
        ("write", "https://evil.example", 200, None),
        ("server", None, 200, None),
        ("server", PAGE, 403, "wrong_key_kind"),
    ],
)
async def test_keys_know_their_origins(gateway: Gateway, key: str, origin: str | None, status: int, code: str | None) -> None:
    headers = {"Origin": origin} if origin else {}
    answered = await gateway.post("/v1/track", {"event": "x"}, key=key, headers=headers)
    assert answered[0] == status
    assert answered[1].get("error", {}).get("code") == code
    in_body = await gateway.post("/v1/track", {"event": "x", "writeKey": key}, key=None, headers=headers)
    assert in_body[0] == status
