"""Reading back what was refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import orjson
from aiohttp import web

from consentryd.gateway.answer import json_answer
from consentryd.gateway.auth import READING
from consentryd.gateway.door import DOOR
from consentryd.gateway.services import SERVICES
from consentryd.model.clock import SECOND
from consentryd.model.error import BadRequest
from consentryd.storage.rejected import Letter

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 500


async def get_rejected(request: web.Request) -> web.StreamResponse:
    services = request.app[SERVICES]
    key = request.app[DOOR].check_reader(request, services.clients.caller(request), READING)
    letters = await services.rejected.newest(_limit(request.query.get("limit")), key.site)
    return json_answer({"rejected": [_letter(letter) for letter in letters]})


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_LIMIT)) and 1 <= int(text) <= MAX_LIMIT):
        raise BadRequest("bad_parameter", f"`limit` is a number from 1 to {MAX_LIMIT}.", parameter="limit")
    return int(text)


def _letter(letter: Letter) -> dict[str, Any]:
    received = datetime.fromtimestamp(letter.received_at / SECOND, UTC)
    return {
        "received_at": received.isoformat().replace("+00:00", "Z"),
        "outcome": letter.outcome,
        "reason": letter.reason,
        "event": orjson.Fragment(letter.event),
    }
