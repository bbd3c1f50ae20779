"""The browser SDK as the gateway serves it, and what SDKs say they lost."""

from __future__ import annotations

import base64
import gzip
import hashlib

import brotli
import pytest

from consentryd.gateway import sdk
from consentryd.gateway.script import coding_of
from tests.kit import Gateway

VERSIONED = [f"/sdk/{sdk.VERSION}.js", *(f"/sdk/{sdk.VERSION}/{name}" for name in sdk.NAMES)]
PATHS = ["/sdk.js", "/core.js", "/stub.js", *VERSIONED]
PLAIN = {"": bytes, "gzip": gzip.decompress, "br": brotli.decompress}


def name_of(path: str) -> str:
    return "sdk.js" if path.endswith(f"/{sdk.VERSION}.js") else path.rpartition("/")[2]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("accepted", "coding"), [("", ""), ("gzip, deflate", "gzip"), ("gzip, deflate, br, zstd", "br")])
async def test_a_script_comes_in_the_best_coding_that_the_browser_takes(
    gateway: Gateway, path: str, accepted: str, coding: str
) -> None:
    async with gateway.request("GET", path, headers={"Accept-Encoding": accepted}) as response:
        body = await response.read()
        headers = response.headers
    assert response.status == 200
    assert headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert headers.get("Content-Encoding", "") == coding
    assert headers["Vary"] == "Accept-Encoding"
    assert headers["Access-Control-Allow-Origin"] == "*"
    assert headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert PLAIN[coding](body) == sdk.bundle(name_of(path))


@pytest.mark.parametrize("path", PATHS)
async def test_only_an_address_with_a_version_is_kept_for_ever(gateway: Gateway, path: str) -> None:
    async with gateway.request("GET", path) as response:
        assert ("immutable" in response.headers["Cache-Control"]) is (path in VERSIONED)


async def test_what_the_browser_has_is_not_sent_again(gateway: Gateway) -> None:
    for accepted in ("", "gzip", "br"):
        async with gateway.request("GET", "/sdk.js", headers={"Accept-Encoding": accepted}) as response:
            tag = response.headers["ETag"]
        for known in (tag, f'"other", W/{tag}', "*"):
            headers = {"Accept-Encoding": accepted, "If-None-Match": known}
            async with gateway.request("GET", "/sdk.js", headers=headers) as response:
                assert (response.status, await response.read(), response.headers["ETag"]) == (304, b"", tag)
                assert response.headers["Access-Control-Allow-Origin"] == "*"
        async with gateway.request("GET", "/core.js", headers={"Accept-Encoding": accepted, "If-None-Match": tag}) as response:
            assert response.status == 200


async def test_a_head_request_is_told_the_length_only(gateway: Gateway) -> None:
    async with gateway.request("HEAD", "/sdk.js", headers={"Accept-Encoding": ""}) as response:
        assert (response.status, response.headers["Content-Length"]) == (200, str(len(sdk.bundle("sdk.js"))))


@pytest.mark.parametrize(
    "path",
    [
        "/sdk/9.9.9.js",
        "/sdk/sdk.js",
        "/sdk/9.9.9/signals.js",
        f"/sdk/{sdk.VERSION}/manifest.json",
        f"/sdk/{sdk.VERSION}/__init__.py",
    ],
)
async def test_there_is_no_other_version_and_no_other_file(gateway: Gateway, path: str) -> None:
    status, answer = await gateway.ask("GET", path, key=None)
    assert (status, answer["error"]["code"]) == (404, "not_found")


async def test_the_hash_of_the_snippet_is_that_of_what_is_served(gateway: Gateway) -> None:
    async with gateway.request("GET", f"/sdk/{sdk.VERSION}.js", headers={"Accept-Encoding": ""}) as response:
        digest = hashlib.sha384(await response.read()).digest()
    assert sdk.integrity("sdk.js") == f"sha384-{base64.b64encode(digest).decode()}"


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("br;q=0, gzip", "gzip"),
        ("br;q=0.000, gzip;q=0", ""),
        ("BR;q=0.1", "br"),
        ("identity", ""),
        ("gzip;q=1.0, br; q=0", "gzip"),
        ("*", ""),
    ],
)
def test_a_coding_with_quality_zero_is_not_used(accepted: str, coding: str) -> None:
    assert coding_of(accepted) == coding


async def test_events_that_sdks_lost_are_counted_from_what_their_batches_say(gateway: Gateway) -> None:
    for dropped in (3, 4, -5, 0, True, "9", 1.5, None, 10**30, [1]):
        assert (await gateway.post("/v1/batch", {"batch": [{"event": "x"}], "dropped": dropped}))[0] == 200
    assert (await gateway.post("/v1/batch", {"batch": [], "dropped": 100}, key="nobody"))[0] == 401
    async with gateway.request("GET", "/metrics") as response:
        page = await response.text()
    assert 'consentry_client_dropped_events_total{worker="0"} 7.0' in page
