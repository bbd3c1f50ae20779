"""What unmodified SDKs of Segment and RudderStack sent to a recording server, replayed."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from consentryd.gateway.document import look_into
from consentryd.model.event import RawEvent
from tests.kit import DATA, Gateway

CAPTURES = sorted((DATA / "captures").glob("*.json"))
KEY = "wk_test_123"
SKIPPED = {"host", "content-length", "connection", "accept-encoding"}
SHORT = {"p": "page", "t": "track", "i": "identify", "s": "screen", "g": "group", "a": "alias"}


def recorded() -> list[Any]:
    requests = []
    for file in CAPTURES:
        for n, request in enumerate(json.loads(file.read_text(encoding="utf-8"))):
            requests.append(pytest.param(request, id=f"{file.stem}-{n}-{request['method']}"))
    return requests


def expected(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The canonical fields, read off the decoded body the slow and plain way."""
    body = request["body_decoded"]
    last = request["path"].rsplit("/", 1)[-1]
    return [canonical(item, SHORT.get(last, last)) for item in body.get("batch", [body])]


def canonical(item: dict[str, Any], call: str) -> dict[str, Any]:
    context = item.get("context", {})
    type_ = item.get("type", call)
    traits = item.get("traits")
    if traits is None and type_ == "identify":
        traits = context.get("traits")
    properties = item.get("properties")
    if type_ in ("page", "screen"):
        beside = {name: item[name] for name in ("name", "category") if item.get(name)}
        properties = {**beside, **(properties or {})} or None
    return {
        "type": type_,
        "event": item.get("event"),
        "event_id": item["messageId"],
        "user_id": item.get("userId") or None,
        "anonymous_id": item.get("anonymousId") or None,
        "session_id": context.get("sessionId"),
        "group_id": item.get("groupId"),
        "previous_id": item.get("previousId"),
        "timestamp": item.get("timestamp") or item.get("originalTimestamp"),
        "properties": properties,
        "traits": traits,
        "context": item.get("context"),
    }


def fields(event: RawEvent) -> dict[str, Any]:
    return {name: look_into(getattr(event, name)) for name in RawEvent.__struct_fields__ if name != "sent_at"}


def replay(request: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    path = request["path"] + (f"?{request['query']}" if request.get("query") else "")
    headers = [(name, value) for name, value in request["headers"] if name.lower() not in SKIPPED]
    data = base64.b64decode(request["body_b64"]) if "body_b64" in request else request.get("body", "").encode()
    return (
        request["method"],
        path,
        {"headers": headers, "data": data or None, "skip_auto_headers": ["Content-Type", "User-Agent"]},
    )


@pytest.mark.parametrize("request_", recorded())
async def test_every_recorded_request_is_answered_and_read(gateway: Gateway, request_: dict[str, Any]) -> None:
    gateway.keys.keys = {KEY: gateway.keys.keys["write"]}
    method, path, options = replay(request_)
    async with gateway.request(method, path, **options) as response:
        answer = await response.read()
        assert response.status == (204 if method == "OPTIONS" else 200), answer
        origin = dict(request_["headers"]).get("Origin")
        assert response.headers.get("Access-Control-Allow-Origin") == origin
    if method != "POST":
        assert gateway.collector.events == []
        return
    wanted = expected(request_)
    assert [fields(event) for event in gateway.collector.events] == wanted
    assert json.loads(answer) == {"accepted": len(wanted), "results": [], "success": True}
    assert gateway.collector.intake.sent_at or gateway.collector.events[0].sent_at


def test_all_calls_of_both_families_are_among_the_recordings() -> None:
    seen: dict[str, set[str]] = {"segment": set(), "rudder": set()}
    for file in CAPTURES:
        for request in json.loads(file.read_text(encoding="utf-8")):
            if request["method"] == "POST":
                seen["rudder" if "rudder" in file.stem else "segment"] |= {item["type"] for item in expected(request)}
    assert set(SHORT.values()) <= seen["segment"]
    assert set(SHORT.values()) <= seen["rudder"]
