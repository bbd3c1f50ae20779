"""What orchestrators and monitors ask: is it alive, can it take events, what does it count."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from consentryd.gateway.answer import answer, json_answer
from consentryd.gateway.door import DOOR
from consentryd.gateway.exposition import expose
from consentryd.gateway.services import SERVICES
from consentryd.model.error import Unavailable

_CHECK_TIMEOUT_S: Final = 2.0


async def get_livez(_request: web.Request) -> web.StreamResponse:
    return json_answer({"alive": True})


async def get_readyz(request: web.Request) -> web.StreamResponse:
    """Without a limit: what is told to come back is taken out of service.

    Raises `Unavailable` with the checks while one of them fails, or while they take longer than 2 s."""
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            checks = await request.app[SERVICES].collector.readiness()
    except TimeoutError:
        raise Unavailable("not_ready", "The checks did not finish in time.", checks=[]) from None
    told = [check._asdict() for check in checks]
    if not all(check.ok for check in checks):
        raise Unavailable("not_ready", "Events cannot be taken at the moment.", checks=told)
    return json_answer({"ready": True, "checks": told})


async def get_metrics(request: web.Request) -> web.StreamResponse:
    services = request.app[SERVICES]
    request.app[DOOR].check_metrics(services.clients.caller(request))
    page = await asyncio.to_thread(expose, services.metrics.registry, services.worker)
    return answer(page, CONTENT_TYPE_LATEST)
