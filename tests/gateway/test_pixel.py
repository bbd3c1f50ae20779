from __future__ import annotations

import uuid

import pytest

from consentryd.model.client import UNKNOWN_CLIENT
from consentryd.model.outcome import OUTCOME_OF, Reason, Result
from tests.kit import Gateway


async def pixel(gateway: Gateway, query: str, **headers: str) -> tuple[int, bytes, dict]:
    async with gateway.request("GET", f"/v1/pixel?{query}", headers=headers) as response:
        return response.status, await response.read(), dict(response.headers)


async def test_a_pixel_is_a_page_view_with_an_image_that_nothing_caches(gateway: Gateway) -> None:
    query = "writeKey=write&url=https%3A%2F%2Fshop.example%2Fp&title=P&consent=analytics,%20marketing&notice=2026-11&name=Home&p.size=L"
    status, image, headers = await pixel(gateway, query, **{"Sec-GPC": "1"})
    assert (status, headers["Content-Type"], image[:6]) == (200, "image/gif", b"GIF89a")
    assert "no-store" in headers["Cache-Control"]
    (event,) = gateway.collector.events
    assert (event.type, event.event) == ("page", None)
    assert event.properties == {"name": "Home", "size": "L"}
    assert event.context == {
        "page": {"url": "https://shop.example/p", "title": "P"},
        "consent": {"purposes": {"analytics": True, "marketing": True}, "notice": "2026-11"},
    }
    assert uuid.UUID(event.anonymous_id)
    assert gateway.collector.intake.signals == {"sec-gpc": "1"}


async def test_a_pixel_can_be_a_named_event_of_a_known_visitor(gateway: Gateway) -> None:
    await pixel(gateway, "writeKey=write&event=Opened&anonymousId=a1&messageId=m1", Referer="https://shop.example/x")
    (event,) = gateway.collector.events
    assert (event.type, event.event, event.anonymous_id, event.event_id) == ("track", "Opened", "a1", "m1")
    assert event.context == {"page": {"url": "https://shop.example/x"}}


async def test_a_server_that_sends_a_pixel_is_not_the_visitor(gateway: Gateway) -> None:
    await pixel(gateway, "writeKey=server&anonymousId=a1", **{"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"})
    assert gateway.collector.intake.client == UNKNOWN_CLIENT


async def test_an_image_is_answered_whatever_became_of_the_event(gateway: Gateway) -> None:
    gateway.collector.fate = lambda event: Result(None, OUTCOME_OF[Reason.NO_CONSENT], Reason.NO_CONSENT)
    assert (await pixel(gateway, "writeKey=write"))[0] == 200


async def test_who_only_asks_for_the_head_is_no_visitor(gateway: Gateway) -> None:
    async with gateway.request("HEAD", "/v1/pixel?writeKey=write&event=Opened") as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "image/gif")
    async with gateway.request("HEAD", "/v1/pixel?writeKey=nobody") as response:
        assert response.status == 401
    assert gateway.collector.events == []


@pytest.mark.parametrize(
    ("query", "referer", "status"),
    [
        ("", None, 401),
        ("writeKey=nobody", None, 401),
        ("writeKey=listed", "https://shop.example/page?x=1", 200),
        ("writeKey=listed", "https://evil.example/shop.example", 403),
        ("writeKey=listed", "http://[", 403),
        ("writeKey=write&" + "&".join(f"p.{n}=1" for n in range(65)), None, 400),
    ],
)
async def test_a_pixel_needs_a_key_and_its_page(gateway: Gateway, query: str, referer: str | None, status: int) -> None:
    assert (await pixel(gateway, query, **({"Referer": referer} if referer else {})))[0] == status
