"""A 1x1 image for pages without JavaScript: a page view, or a named event, told by the query."""

from __future__ import annotations

import base64
import uuid
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from multidict import MultiMapping

from consentryd.gateway.answer import answer
from consentryd.gateway.collect import take
from consentryd.gateway.door import DOOR
from consentryd.gateway.intake import Intake
from consentryd.gateway.protocols.envelope import Envelope
from consentryd.gateway.services import SERVICES
from consentryd.gateway.signals import read_signals
from consentryd.model.error import BadRequest
from consentryd.model.event import RawEvent

GIF: Final = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_NEVER: Final = "no-store, no-cache, must-revalidate, private, max-age=0"
_MAX_PROPERTIES: Final = 64
_PROPERTY: Final = "p."


async def get_pixel(request: web.Request) -> web.StreamResponse:
    """The image, whatever became of the event: there is no one behind an `img` to read results. HEAD tells of no visit."""
    services, door = request.app[SERVICES], request.app[DOOR]
    headers, query = request.headers, request.query
    network = services.clients.caller(request)
    key = door.check_collector(door.find_secret(request), _origin(headers.get("Origin"), headers.get("Referer")), network)
    envelope = Envelope((_read_event(query, headers.get("Referer")),))
    if request.method == hdrs.METH_HEAD:
        return answer(GIF, "image/gif", cache=_NEVER)
    client = services.client(key, network, headers.get("User-Agent"))
    signals = read_signals(headers, query)
    visitor = services.visitor(key, network, headers.get("User-Agent"))
    intake = Intake(key, services.clock.now(), client, region=query.get("region"), signals=signals, visitor=visitor)
    await take(request, intake, envelope)
    return answer(GIF, "image/gif", cache=_NEVER)


def _origin(origin: str | None, referrer: str | None) -> str | None:
    """Browsers send no Origin with an image, but say by Referer which page shows it."""
    if origin is not None or referrer is None:
        return origin
    try:
        parts = urlsplit(referrer)
    except ValueError:
        return "null"
    return f"{parts.scheme}://{parts.netloc}"


def _read_event(query: MultiMapping[str], referrer: str | None) -> RawEvent:
    """`event` makes it a track call, else it is a page view. A hit without any id gets one of its own: no device stores one."""
    get = query.get
    user_id = get("userId") or get("user_id")
    anonymous_id = get("anonymousId") or get("anonymous_id")
    if user_id is None and anonymous_id is None:
        anonymous_id = str(uuid.uuid4())
    event = get("event")
    return RawEvent(
        type="page" if event is None else "track",
        event=event,
        event_id=get("messageId") or get("message_id"),
        user_id=user_id,
        anonymous_id=anonymous_id,
        session_id=get("sessionId") or get("session_id"),
        properties=_properties(query),
        context=_context(query, referrer),
    )


def _properties(query: MultiMapping[str]) -> dict[str, Any]:
    """`name` and `p.<name>`."""
    properties = {name.removeprefix(_PROPERTY): value for name, value in query.items() if name.startswith(_PROPERTY)}
    if len(properties) > _MAX_PROPERTIES:
        raise BadRequest("bad_parameter", "The query has too many properties.", limit=_MAX_PROPERTIES)
    if name := query.get("name"):
        properties["name"] = name
    return properties


def _context(query: MultiMapping[str], referrer: str | None) -> dict[str, Any]:
    page = {"url": query.get("url") or referrer, "title": query.get("title"), "referrer": query.get("referrer")}
    context: dict[str, Any] = {"page": {name: value for name, value in page.items() if value}}
    purposes = [name for name in (purpose.strip() for purpose in query.get("consent", "").split(",")) if name]
    if purposes:
        context["consent"] = {"purposes": dict.fromkeys(purposes, True)}
        if notice := query.get("notice"):
            context["consent"]["notice"] = notice
    return context
