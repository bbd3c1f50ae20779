"""One TCP connection: aiohttp's protocol, answering what is not even HTTP in the one error shape and logging no address.

An idle connection, and one whose request head trickles in, is closed after `header_timeout_s`: the keep-alive timer runs from the
connection's start, or the last answer, and bytes that complete no head do not reset it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from consentryd.config.settings import Server
from consentryd.gateway.answer import error_answer
from consentryd.gateway.logs import frames_of
from consentryd.model.error import BadRequest, ConsentryError, NotFound

_LINGER_S: Final = 2.0  # reading on after an early refusal, so that the client sees the answer and not a reset
_LINE_BYTES: Final = 16 * 1024  # a pixel's query carries consent strings of several KB
_FIELD_BYTES: Final = 16 * 1024


class Connection(web.RequestHandler):
    __slots__ = ("_own_logger",)

    def __init__(self, server: web.Server, settings: Server, logger: FilteringBoundLogger) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=settings.header_timeout_s,
            access_log=None,  # type: ignore[arg-type]  # None turns it off; our own line is written by the app
            auto_decompress=False,
            lingering_time=_LINGER_S,
            max_line_size=_LINE_BYTES,
            max_field_size=_FIELD_BYTES,
        )
        self._own_logger = logger

    def arriving(self) -> asyncio.Future[None] | None:
        """Done when the body of the request in hand is there; None if nothing of it is missing."""
        request = self._current_request
        if request is None or request.content.is_eof():
            return None
        whole: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        request.content.on_eof(lambda: None if whole.done() else whole.set_result(None))
        return whole

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """For requests that aiohttp could not parse, and for faults outside of our handlers."""
        del request, message  # both may quote the client
        if status < 500:  # noqa: PLR2004
            response = error_answer(BadRequest("bad_request", "This is not a request that HTTP allows."))
        else:
            self._own_logger.error("request failed", error=type(exc).__name__, at=[] if exc is None else frames_of(exc))
            response = error_answer(ConsentryError("internal", "Something went wrong here; it is logged."))
        response.force_close()
        return response

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """What the router itself refuses, for it knows paths only (`OPTIONS *`, CONNECT), comes as one of aiohttp's own answers."""
        if isinstance(resp, web.HTTPException):
            resp = error_answer(NotFound("not_found", "There is nothing at this path."))
        return super().finish_response(request, resp, start_time)

    def log_exception(self, *_args: object, **details: object) -> None:
        """Where aiohttp would write the peer's address, this tells the place in the code only."""
        error = details.get("exc_info")
        if isinstance(error, BaseException):
            self._own_logger.warning("connection failed", error=type(error).__name__, at=frames_of(error))


async def take_bodies(server: web.Server, timeout_s: float) -> None:
    """Waits for bodies that are on their way: aiohttp reads nothing more once it shuts down."""
    bodies = [connection.arriving() for connection in server.connections if isinstance(connection, Connection)]
    missing = [body for body in bodies if body is not None]
    if missing:
        await asyncio.wait(missing, timeout=timeout_s)


def connections(server: web.Server, settings: Server, logger: FilteringBoundLogger) -> Callable[[], Connection]:
    """A protocol factory, as `loop.create_server` wants one."""
    return lambda: Connection(server, settings, logger)
