"""`POST /v1/consent/explain`: what would be decided about an event, and why."""

from __future__ import annotations

from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consentryd.consent.decision import SiteLane
from consentryd.consent.explain import as_data, as_text
from consentryd.consent.hypothesis import check_case, suppose
from consentryd.gateway import body, document
from consentryd.gateway.answer import json_answer
from consentryd.gateway.door import DOOR
from consentryd.gateway.services import SERVICES
from consentryd.model.error import BadRequest
from consentryd.model.key import KeyKind

EXPLAINING: Final = frozenset({KeyKind.READ, KeyKind.PRIVACY, KeyKind.SERVER})
BODY_BYTES: Final = 64 * 1024


class Supposition(BaseModel):
    """An imagined event. Without a country the place is unknown; the lane is the site's unless another is given."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"example": {"event": "page_viewed", "country": "DE"}})

    event: str = Field("page_viewed", min_length=1, max_length=200)
    country: str | None = Field(None, pattern=r"^[A-Z]{2}$")
    subdivision: str | None = Field(None, pattern=r"^[A-Z0-9]{1,3}$")
    signals: list[str] = Field(default=[], max_length=16, description="As `consentry consent explain --signal` takes them.")
    gpc: bool = False
    dnt: bool = False
    child: bool = False
    withdrawn: list[str] = Field(default=[], max_length=64, description="Purposes that the data subject has withdrawn.")
    lane: SiteLane | None = None


async def post_explain(request: web.Request) -> web.StreamResponse:
    """Decides nothing and keeps nothing: the same rules as for events, with their say."""
    services, door = request.app[SERVICES], request.app[DOOR]
    key = door.check_reader(request, services.clients.caller(request), EXPLAINING)
    asked = await _read(request, services.settings.server.body_timeout_s)
    policy, site, now = services.require_proving().policy, services.settings.site_of(key.site), services.clock.now()
    try:
        check_case(asked.country, asked.subdivision, asked.withdrawn, policy.purposes)
    except ValueError as error:
        raise BadRequest("bad_body", f"Not as described: {error}.") from None
    try:
        context, carried = suppose(asked.signals, gpc=asked.gpc, dnt=asked.dnt, child=asked.child)
    except ValueError as error:
        raise BadRequest("bad_body", f"A signal {error}.") from None
    trace = policy.trace(
        policy.read(context, carried, now),
        asked.country or site.country,
        asked.subdivision,
        asked.event,
        asked.lane or site.anonymous_lane,
        tuple(site.anonymous_events),
        now,
        frozenset(asked.withdrawn),
    )
    return json_answer({**as_data(trace), "text": as_text(trace)})


async def _read(request: web.Request, timeout_s: float) -> Supposition:
    raw = await body.read(request, BODY_BYTES, timeout_s)
    told: Any = document.parse(body.inflate(raw, request.headers.get("Content-Encoding"), BODY_BYTES))
    try:
        return Supposition.model_validate_json(orjson.dumps(told))
    except ValidationError as error:
        where = ", ".join(sorted({".".join(map(str, each["loc"])) or "the body" for each in error.errors(include_input=False)}))
        raise BadRequest("bad_body", f"Not as described: {where}.") from None
    except orjson.JSONEncodeError:
        raise BadRequest("bad_body", "The body nests too deep.") from None
