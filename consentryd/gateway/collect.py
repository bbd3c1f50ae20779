"""Collecting events: bytes to the collector and its results to the answer."""

from __future__ import annotations

import time
from typing import Final

from aiohttp import web

from consentryd.gateway import body
from consentryd.gateway.answer import answer
from consentryd.gateway.door import DOOR
from consentryd.gateway.endpoint import Handler
from consentryd.gateway.intake import Intake
from consentryd.gateway.pipeline import TURN_BYTES
from consentryd.gateway.protocols.envelope import Envelope
from consentryd.gateway.protocols.segment import parse, read_envelope
from consentryd.gateway.results import encode_results
from consentryd.gateway.services import EVENTS, SERVICES, Services
from consentryd.gateway.signals import read_signals
from consentryd.model.error import Unavailable
from consentryd.model.key import ApiKey
from consentryd.model.outcome import Outcome, Result

_TRUE: Final = frozenset({"1", "true", "yes"})
_RETRY: Final = Outcome.RETRY


def collect(call: str | None) -> Handler:
    """The handler of a path that names the type of its events, or None for a batch."""

    async def handle(request: web.Request) -> web.StreamResponse:
        started = time.perf_counter()
        services, door = request.app[SERVICES], request.app[DOOR]
        network = services.clients.caller(request)
        key = door.check_head(request, network)
        sent = await body.read(request, services.settings.limits.batch_bytes, services.settings.server.body_timeout_s)
        plain = _inflated(request, sent)
        if len(plain) <= TURN_BYTES:
            results = await _collect(request, call, key, network, plain)
        else:
            if services.large_bodies.locked():  # it waits as it was sent: a few KB may be some MB once they are inflated
                plain = b""
            async with services.large_bodies:
                results = await _collect(request, call, key, network, plain or _inflated(request, sent))
        services.metrics.observe_batch(time.perf_counter() - started)
        return answer(encode_results(results, verbose=is_set(request, "verbose")))

    return handle


async def _collect(request: web.Request, call: str | None, key: ApiKey | None, network: str | None, plain: bytes) -> list[Result]:
    services, door = request.app[SERVICES], request.app[DOOR]
    envelope = read_envelope(parse(plain), call, services.settings.limits.batch_events)
    if key is None:
        key = door.check_collector(envelope.key, request.headers.get("Origin"), network, counted=True)
    intake = _intake(request, services, key, envelope, network)
    intake.size = len(plain)
    results = await take(request, intake, envelope)
    if envelope.dropped is not None:
        services.metrics.count_client_dropped(envelope.dropped)
    return results


async def take(request: web.Request, intake: Intake, envelope: Envelope) -> list[Result]:
    """Hands the events to the collector and counts what became of them. Raises `Unavailable` where some are to be sent again, unless the
    sender reads results: who looks at the status only would take a 200 as delivered."""
    services = request.app[SERVICES]
    results = await services.collector.collect(intake, envelope.events)
    services.metrics.count_results(results)
    request[EVENTS] = len(results)
    if not intake.partial and any(result.outcome is _RETRY for result in results):
        raise Unavailable(
            "partly_unavailable", "Not every region could take its events. Send the batch again: ids tell what is there."
        )
    return results


def is_set(request: web.Request, name: str) -> bool:
    return bool(request.query_string) and request.query.get(name, "").lower() in _TRUE


def _inflated(request: web.Request, sent: bytes) -> bytes:
    limit = request.app[SERVICES].settings.limits.inflated_bytes
    return body.inflate(sent, request.headers.get("Content-Encoding"), limit)


def _intake(request: web.Request, services: Services, key: ApiKey, envelope: Envelope, network: str | None) -> Intake:
    headers = request.headers
    return Intake(
        key=key,
        received_at=services.clock.now(),
        client=services.client(key, network, headers.get("User-Agent")),
        sent_at=envelope.sent_at or headers.get("SentAt"),  # RudderStack's browser SDK says it in a header
        region=envelope.region or headers.get("X-Consentry-Region"),
        context=envelope.context,
        signals=read_signals(headers, request.query if request.query_string else None),
        visitor=services.visitor(key, network, headers.get("User-Agent")),
        partial=envelope.partial,
    )
