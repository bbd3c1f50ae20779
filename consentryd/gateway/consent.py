"""`/v1/consent`: people choose, look up what they chose, and operators see how many did."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from typing import Any, Final

from aiohttp import web

from consentryd.gateway import body, document
from consentryd.gateway.answer import json_answer
from consentryd.gateway.auth import READING, check_origin
from consentryd.gateway.door import DOOR
from consentryd.gateway.opt_in import DIMENSIONS, opt_in_rates
from consentryd.gateway.services import SERVICES
from consentryd.gateway.stages.place import UNKNOWN
from consentryd.gateway.statement import read_identities, read_statement
from consentryd.model.client import UNKNOWN_CLIENT
from consentryd.model.clock import SECOND
from consentryd.model.error import BadRequest, Misdirected
from consentryd.model.key import KeyKind
from consentryd.rights.demand import NamedIdentity
from consentryd.rights.desk import Caller

ASKING: Final = frozenset({KeyKind.WRITE, KeyKind.PRIVACY})
BODY_BYTES: Final = 64 * 1024
MAX_DAYS: Final = 760
DEFAULT_DAYS: Final = 30


async def post_consent(request: web.Request) -> web.StreamResponse:
    """Answers once the choice is durable, and in force in every process."""
    services, door = request.app[SERVICES], request.app[DOOR]
    proving = services.require_proving()
    network = services.clients.caller(request)
    key = door.check_head(request, network)
    raw = await body.read(request, BODY_BYTES, services.settings.server.body_timeout_s)
    told = document.parse(body.inflate(raw, request.headers.get("Content-Encoding"), BODY_BYTES))
    if key is None:
        key = door.check_collector(_secret_in(told), request.headers.get("Origin"), network, counted=True)
    door.check_consent(key, network)
    visits = key.kind is KeyKind.WRITE
    client = services.clients.describe(network, request.headers.get("User-Agent")) if visits else UNKNOWN_CLIENT
    settings = services.settings
    statement = read_statement(told, key, client, proving.policy.purposes, settings.consent.notices, settings.limits.id_chars)
    try:
        declared = proving.place.declared(key.region, told.get("region") or request.headers.get("X-Consentry-Region"))
    except Misdirected:
        await proving.registrar.note_region_refused(key.site, UNKNOWN)
        raise
    region = proving.place.region_of(declared, key.site, statement.identities, client.country)
    if region not in proving.stores:
        await proving.registrar.note_region_refused(key.site, region)
        raise Misdirected(
            "wrong_region",
            "This person belongs to a region that this gateway does not serve. Nothing was kept.",
            region=region,
            endpoint=proving.place.endpoint(region),
        )
    answer = await proving.desk.record(region, statement)
    return json_answer({**answer, "identities": [identity.kind for identity in statement.identities]})


async def get_consent(request: web.Request) -> web.StreamResponse:
    """With a write key what this anonymous id chose; with the privacy key where the person stands."""
    services, door = request.app[SERVICES], request.app[DOOR]
    proving = services.require_proving()
    key = door.check_reader(request, services.clients.caller(request), ASKING)
    if key.kind is KeyKind.WRITE:
        door.check_network(services.clients.caller(request))
    check_origin(key, request.headers.get("Origin"))
    identities = read_identities(request.query, key, services.settings.limits.id_chars)
    if key.kind is KeyKind.PRIVACY and services.rights is not None:
        named = [NamedIdentity(*identity) for identity in identities]
        await services.rights.ask(services.rights.desk.note_use, named, "consent looked up", Caller(key.id, (key.site,)))
    return json_answer({"regions": proving.desk.state(key.site, identities, whole=key.kind is KeyKind.PRIVACY)})


async def get_consent_statistics(request: web.Request) -> web.StreamResponse:
    services, door = request.app[SERVICES], request.app[DOOR]
    proving = services.require_proving()
    key = door.check_reader(request, services.clients.caller(request), READING)
    today = datetime.fromtimestamp(services.clock.now() // SECOND, UTC).date()
    until = _day(request, "until", today)
    since = _day(request, "since", date.fromordinal(max(until.toordinal() - DEFAULT_DAYS + 1, 1)))
    by = request.query.get("by", "purpose")
    if by not in DIMENSIONS or not timedelta(0) <= until - since < timedelta(days=MAX_DAYS):
        raise BadRequest(
            "bad_parameter", f"`by` is one of {', '.join(DIMENSIONS)}; `since` to `until` is at most {MAX_DAYS} days."
        )
    reading = (store.consent_counts(key.site, str(since), str(until)) for store in proving.stores.values())
    counts = chain.from_iterable(await asyncio.gather(*reading))
    groups, suppressed = await asyncio.to_thread(opt_in_rates, counts, by, request.query.get("purpose"))
    return json_answer({"since": str(since), "until": str(until), "by": by, "groups": groups, "suppressed_groups": suppressed})


def _secret_in(told: Any) -> str | None:
    found = (told.get("writeKey") or told.get("write_key")) if isinstance(told, dict) else None
    return found if isinstance(found, str) else None


def _day(request: web.Request, name: str, default: date) -> date:
    try:
        return date.fromisoformat(request.query[name]) if name in request.query else default
    except ValueError:
        raise BadRequest("bad_parameter", f"`{name}` is a day such as 2026-11-21.") from None
