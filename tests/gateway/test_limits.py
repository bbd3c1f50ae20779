from __future__ import annotations

import asyncio
import io
import time

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from consentryd.gateway.connection import connections
from consentryd.gateway.logs import open_logger
from consentryd.gateway.rate import RateLimit
from consentryd.model.clock import SECOND
from tests.kit import Gateway, running, settings_of

TRACK = {"event": "x"}


async def spend(gateway: Gateway, key: str | None, **headers: str) -> list[int]:
    return [(await gateway.post("/v1/track", TRACK, key=key, headers=headers))[0] for _ in range(6)]


async def test_a_key_has_a_rate_and_says_when_to_come_back() -> None:
    async with running(settings_of(limits={"requests_per_second_per_key": 2})) as gateway:
        assert await spend(gateway, "server") == [200] * 4 + [429] * 2
        async with gateway.request("POST", "/v1/track", data=b"{}", headers={"X-Write-Key": "server"}) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "1")
            assert (await response.json())["error"]["code"] == "rate_limited"
        assert await spend(gateway, "write") == [200] * 4 + [429] * 2
        gateway.clock.advance(SECOND)
        assert await spend(gateway, "server") == [200] * 2 + [429] * 4


@pytest.mark.parametrize(
    ("key", "statuses"),
    [("write", [200] * 5 + [429]), ("server", [200] * 6), (None, [401] * 5 + [429]), ("nobody", [401] * 5 + [429])],
)
async def test_a_network_has_a_rate_for_write_keys_and_for_guesses(key: str | None, statuses: list[int]) -> None:
    async with running(settings_of(limits={"requests_per_second_per_network": 1})) as gateway:
        assert await spend(gateway, key) == statuses


async def test_a_key_in_the_body_is_counted_once() -> None:
    async with running(settings_of(limits={"requests_per_second_per_network": 1})) as gateway:
        statuses = [(await gateway.post("/v1/track", {**TRACK, "writeKey": "write"}, key=None))[0] for _ in range(6)]
        assert statuses == [200] * 5 + [429]


async def test_forwarded_addresses_count_only_from_trusted_proxies() -> None:
    limits = {"requests_per_second_per_network": 1}
    async with running(settings_of(limits=limits)) as gateway:
        statuses = [(await gateway.post("/v1/track", TRACK, headers={"X-Forwarded-For": f"198.51.{n}.1"}))[0] for n in range(6)]
        assert statuses == [200] * 5 + [429]
    async with running(settings_of(limits=limits, server={"trusted_proxies": ["127.0.0.0/8", "10.0.0.0/8"]})) as gateway:
        for n in range(6):
            hops = f"6.6.6.6, 198.51.{n}.1:4711, 10.0.0.9"
            assert (await gateway.post("/v1/track", TRACK, headers={"X-Forwarded-For": hops}))[0] == 200
        assert (await spend(gateway, "write", **{"X-Forwarded-For": "198.51.100.1"}))[-1] == 429


async def test_country_and_device_come_from_the_visitors_network() -> None:
    agent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    async with running(settings_of(server={"trusted_proxies": ["127.0.0.1/32"]})) as gateway:
        gateway.countries.places = {"198.51.100.0/24": ("DE", None), "127.0.0.0/24": ("US", None)}
        headers = {"X-Forwarded-For": "198.51.100.7", "User-Agent": agent}
        await gateway.post("/v1/track", TRACK, headers=headers)
        client = gateway.collector.intake.client
        assert (client.country, client.device, client.browser_major) == ("DE", "desktop", 140)
        await gateway.post("/v1/track", TRACK, headers={**headers, "X-Forwarded-For": "garbage, [::1%eth0]:x"})
        assert gateway.collector.intake.client.country is None
        await gateway.post("/v1/track", TRACK, headers={**headers, "User-Agent": "analytics-python/2.4.0"})
        assert gateway.collector.intake.client.country is None
        await gateway.post("/v1/track", TRACK, headers=headers, key="server")
        assert gateway.collector.intake.client.device is None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2 * SECOND)), max_size=60))
def test_no_name_ever_gets_more_than_its_rate_and_burst(steps: list[tuple[str, int]]) -> None:
    limit = RateLimit(rate=3, burst=4)
    now, granted, begun = 0, dict.fromkeys("abc", 0), {}
    for name, pause in steps:
        now += pause
        begun.setdefault(name, now)
        granted[name] += limit.take(name, now) == 0.0
        assert granted[name] <= 4 + 3 * (now - begun[name]) / SECOND + 1e-6


def test_the_wait_is_when_the_next_token_comes() -> None:
    limit = RateLimit(rate=0.5, burst=1)
    assert limit.take("a", 0) == 0.0
    assert limit.take("a", 0) == pytest.approx(2.0)
    assert limit.take("a", 2 * SECOND) == 0.0
    assert limit.take("a", 0) == pytest.approx(2.0)  # the clock went back: no token is taken away for it


def test_buckets_are_bounded_and_the_longest_unseen_is_forgotten() -> None:
    limit = RateLimit(rate=1, burst=1, capacity=3)
    for name in ("a", "b", "c", "a", "d", "e"):
        limit.take(name, 0)
    assert len(limit) == 3
    assert limit.take("a", 0) > 0.0
    assert limit.take("b", 0) == 0.0


async def dribble(gateway: Gateway, first: bytes, drop: bytes, until_s: float) -> tuple[bytes, float]:
    """Sends `first`, then `drop` ten times a second, until the gateway closes; what it said, and after how many seconds."""
    host, port = gateway.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    started = time.monotonic()
    writer.write(first)
    said = asyncio.ensure_future(reader.read())
    while not said.done() and time.monotonic() - started < until_s:
        try:
            writer.write(drop)
            await writer.drain()
        except ConnectionError:
            break
        await asyncio.sleep(0.1)
    try:
        return await asyncio.wait_for(said, 1.0), time.monotonic() - started
    finally:
        writer.close()


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"POST /v1/batch HTTP/1.1\r\n",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nPOST /v1/batch HTTP/1.1\r\n",
    ],
)
async def test_a_head_that_trickles_in_is_cut_off(first: bytes) -> None:
    async with running(settings_of(server={"header_timeout_s": 0.4})) as gateway:
        said, took = await dribble(gateway, first, b"X-A: b\r\n" if first else b"", 5.0)
        assert took < 4.0
        assert said.count(b"HTTP/1.1") == first.count(b"GET")


async def test_a_body_that_trickles_in_is_cut_off_and_may_be_sent_again() -> None:
    head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nX-Write-Key: write\r\nContent-Length: 100000\r\n\r\n{"
    async with running(settings_of(server={"body_timeout_s": 0.4})) as gateway:
        said, took = await dribble(gateway, head, b" ", 6.0)
        assert said.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: 2" in said
        assert b"body_too_slow" in said
        assert took < 5.0


async def test_a_body_without_an_end_is_refused_at_the_limit() -> None:
    head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nX-Write-Key: write\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with running(settings_of(limits={"batch_bytes": 1024})) as gateway:
        said, _ = await dribble(gateway, head, b"400\r\n" + b" " * 1024 + b"\r\n", 4.0)
        assert said.startswith(b"HTTP/1.1 413")


async def test_faults_of_a_connection_tell_the_place_and_not_the_peer() -> None:
    settings, stream = settings_of().server, io.StringIO()
    connection = connections(web.Server(_never), settings, open_logger(settings, stream))()
    connection.log_exception("Error handling request from %s", "203.0.113.7", exc_info=RuntimeError("canary"))
    assert "RuntimeError" in stream.getvalue()
    assert "203.0.113" not in stream.getvalue()
    assert "canary" not in stream.getvalue()


async def _never(_request: web.BaseRequest) -> web.StreamResponse:
    raise AssertionError


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"CANARY /canary HTTP/1.1\r\n\r\n",
        b"GET /canary HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: canary\r\nContent-Length: canary\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"canary" * 10_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzz\r\ncanary",
    ],
)
async def test_what_is_not_http_gets_the_error_shape_and_leaves_no_trace(gateway: Gateway, nonsense: bytes) -> None:
    said, _ = await dribble(gateway, nonsense, b"", 1.5)
    assert said.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
    assert b'{"error":{"code":' in said
    assert b"canary" not in said.lower()
    assert "canary" not in gateway.log.lower()
    assert "127.0.0.1" not in gateway.log
