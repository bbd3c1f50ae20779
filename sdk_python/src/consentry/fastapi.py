"""For FastAPI and Starlette: `app.add_middleware(ConsentryMiddleware, client=client, watch=Watch(consent=...))`.

Handlers find `request.state.consentry`, a client that knows the request.
"""

from __future__ import annotations

from typing import Optional

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from consentry.bound import Calls
from consentry.web import Watch


class ConsentryMiddleware:
    """Plain ASGI: it sees the head of the answer and never holds back its body."""

    def __init__(self, app: ASGIApp, client: Calls, watch: Optional[Watch[Request]] = None) -> None:
        self._app = app
        self._client = client
        self._watch: Watch[Request] = watch or Watch()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        peer = request.client.host if request.client else None
        bound = self._watch.bind(self._client, request, str(request.url), request.headers.get, peer)
        request.state.consentry = bound

        async def see(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._watch.see(bound, request.method, message["status"], Headers(raw=message["headers"]).get("content-type"))
            await send(message)

        await self._app(scope, receive, see)


__all__ = ["ConsentryMiddleware", "Watch"]
