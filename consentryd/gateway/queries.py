"""`POST /v1/query`: a question as JSON, its answer in the form that `Accept` names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import orjson
from aiohttp import web

from consentryd.analytics import format as forms
from consentryd.analytics import query
from consentryd.analytics.behind.point import MAX_SUBJECTS, POINT
from consentryd.analytics.kinds.person import PersonQuery
from consentryd.analytics.question import Envelope
from consentryd.gateway import body, document
from consentryd.gateway.answer import answer, head, json_answer
from consentryd.gateway.auth import READING
from consentryd.gateway.door import DOOR
from consentryd.gateway.querying import Gone
from consentryd.gateway.services import SERVICES, Services
from consentryd.model.error import BadRequest
from consentryd.model.key import ApiKey, KeyKind
from consentryd.rights.desk import Caller

NDJSON: Final = "application/x-ndjson"
MAX_QUERY_BYTES: Final = 256 * 1024


async def post_query(request: web.Request) -> web.StreamResponse:
    services = request.app[SERVICES]
    key = request.app[DOOR].check_reader(request, services.clients.caller(request), READING)
    question = query.read(document.parse(await read_body(request)))
    querying = services.require_querying()
    media_type, table = wanted(request.headers.get("Accept"), (*forms.MEDIA_TYPES, NDJSON)), request.query.get("table")
    if table is not None and media_type not in forms.TABULAR:
        raise BadRequest("invalid", "A `table` is one of CSV, Arrow or Parquet: ask for it with `Accept`. JSON has all of them.")
    if isinstance(question, PersonQuery):
        await note_use(services, key, [int(question.subject)], "report on one subject")
    if media_type == NDJSON:
        response = web.StreamResponse(headers=head(NDJSON))
        async for part in querying.progress(question, key, gone_of(request)):
            if not response.prepared:
                await response.prepare(request)
            line = (
                {"result": orjson.Fragment(forms.encode(part, forms.JSON))} if isinstance(part, Envelope) else {"progress": part}
            )
            await response.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        return response
    result = await querying.ask(question, key, gone_of(request))
    return answer(forms.encode(result, media_type, table), media_type)


async def post_subjects(request: web.Request) -> web.StreamResponse:
    """Takes a privacy key: a read key sees numbers, never who is behind them."""
    services = request.app[SERVICES]
    key = request.app[DOOR].check_reader(request, services.clients.caller(request), frozenset({KeyKind.PRIVACY}))
    point = query.checked(POINT, document.parse(await read_body(request)))
    found = await services.require_querying().subjects(request.match_info["id"], point, key, gone_of(request))
    await note_use(services, key, found.subjects[:MAX_SUBJECTS], "subjects behind a number")
    shown: dict[str, Any] = {
        "subjects": [str(subject) for subject in found.subjects[:MAX_SUBJECTS]],
        "more": len(found.subjects) >= MAX_SUBJECTS,
    }
    if found.scores is not None:
        shown["scores"] = [
            {"chance": each.chance, "because": [{"feature": name, "adds": adds} for name, adds in each.because]}
            for each in found.scores[:MAX_SUBJECTS]
        ]
    return json_answer(shown)


async def note_use(services: Services, key: ApiKey, subjects: Sequence[int], why: str) -> None:
    """On record in the ledger, and in these people's exports, before anything is shown of them."""
    if services.rights is not None:
        await services.rights.ask(services.rights.desk.note_use_of, subjects, why, Caller(key.id, (key.site,)))


async def read_body(request: web.Request) -> bytes:
    """The body, inflated. Raises `TooLarge`, `BadRequest`, `UnsupportedMedia`."""
    timeout_s = request.app[SERVICES].settings.server.body_timeout_s
    sent = await body.read(request, MAX_QUERY_BYTES, timeout_s)
    return body.inflate(sent, request.headers.get("Content-Encoding"), MAX_QUERY_BYTES)


def gone_of(request: web.Request) -> Gone:
    """Whether the connection of a request is closed by now."""

    def gone() -> bool:
        return request.transport is None or request.transport.is_closing()

    return gone


def wanted(accept: str | None, offered: Sequence[str]) -> str:
    """The offered media type that `Accept` ranks highest (RFC 9110, section 12.5.1); the first where it names none of them."""
    ranked = [_preference(part) for part in (accept or "").split(",")]
    named = [(weight, -number, name) for number, (name, weight) in enumerate(ranked) if name in offered and weight > 0]
    return max(named)[2] if named else offered[0]


def _preference(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return name, float(parameter[2:])
            except ValueError:
                return name, 0.0
    return name, 1.0
