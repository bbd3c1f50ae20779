"""For aiohttp: `web.Application(middlewares=[consentry_middleware(client, Watch(consent=...))])`.

Handlers find `request["consentry"]`, a client that knows the request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Optional

from aiohttp import web

from consentry.bound import Calls
from consentry.web import Watch


def _address(request: web.Request) -> str:
    try:
        return str(request.url)
    except ValueError:  # of the Host header, which aiohttp itself does not mind
        return request.path_qs


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def consentry_middleware(client: Calls, watch: Optional[Watch[web.Request]] = None) -> Any:
    asked: Watch[web.Request] = watch or Watch()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        bound = asked.bind(client, request, _address(request), request.headers.get, request.remote)
        request["consentry"] = bound
        response = await handler(request)
        asked.see(bound, request.method, response.status, response.content_type)
        return response

    return middleware


__all__ = ["Watch", "consentry_middleware"]
