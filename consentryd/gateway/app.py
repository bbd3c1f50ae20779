"""The aiohttp application: the table of endpoints behind one wrapper that answers errors, cross-origin pages, metrics and the log.

No aiohttp middleware: the wrapper is built once per endpoint and knows it, which costs a request 1 us where a middleware that has to
find out costs 5.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from itertools import groupby
from typing import Final

from aiohttp import hdrs, web
from structlog.typing import FilteringBoundLogger

from consentryd.gateway.answer import error_answer
from consentryd.gateway.commit_trouble import Cause, trouble_of
from consentryd.gateway.cors import preflight, put_cors
from consentryd.gateway.door import DOOR, Door
from consentryd.gateway.endpoint import Endpoint, Handler
from consentryd.gateway.endpoints import ENDPOINTS
from consentryd.gateway.logs import frames_of
from consentryd.gateway.metrics import Metrics
from consentryd.gateway.services import EVENTS, LOGGER, SERVICES, Services
from consentryd.model.error import ConfigError, ConsentryError, MethodNotAllowed, NotFound, Unavailable

_UNKNOWN: Final = "unknown"
BAD_REQUEST: Final = 400


def create_app(services: Services, logger: FilteringBoundLogger) -> web.Application:
    """The application over `services`, which the caller opens and closes."""
    app = web.Application()
    app[SERVICES] = services
    app[LOGGER] = logger
    app[DOOR] = Door(services)
    edge = _Edge(services.metrics, logger)
    for path, group in groupby(ENDPOINTS, key=lambda endpoint: endpoint.path):
        endpoints = list(group)
        _add_path(app.router, edge, path, endpoints)
        if all(endpoint.slashed for endpoint in endpoints):
            _add_path(app.router, edge, path, endpoints, "/")
    app.router.add_route("*", "/{tail:.*}", edge.wrap(_UNKNOWN, _unknown_path, cors=False, logged=True), expect_handler=_expect)
    return app


def _add_path(router: web.UrlDispatcher, edge: _Edge, path: str, endpoints: Iterable[Endpoint], slash: str = "") -> None:
    """The path's own methods; preflights if it is for pages; 405 for the rest. Logged and counted without the `slash` behind it."""
    resource = router.add_resource(path + slash)
    methods: list[str] = []
    cors = False
    for endpoint in endpoints:
        handler = edge.wrap(path, endpoint.handler, cors=endpoint.cors, logged=endpoint.logged, everyday=endpoint.everyday)
        own = ["GET", "HEAD"] if endpoint.method == hdrs.METH_GET else [endpoint.method]
        for method in own:
            resource.add_route(method, handler, expect_handler=_expect)
        methods += own
        cors = cors or endpoint.cors
    if cors:
        methods.append(hdrs.METH_OPTIONS)
        resource.add_route(hdrs.METH_OPTIONS, edge.wrap(path, _preflight(", ".join(methods)), cors=False, logged=False))
    resource.add_route("*", edge.wrap(path, _wrong_method(methods), cors=cors, logged=True), expect_handler=_expect)


class _Edge:
    def __init__(self, metrics: Metrics, logger: FilteringBoundLogger) -> None:
        self._metrics = metrics
        self._logger = logger

    def wrap(self, route: str, handler: Handler, *, cors: bool, logged: bool, everyday: bool = False) -> Handler:
        """`handler`, answering errors in the one shape. The log line has the route's template: never a query, an address or an id."""
        metrics, logger = self._metrics, self._logger
        note = logger.debug if everyday else logger.info

        async def answer(request: web.Request) -> web.StreamResponse:
            started = time.perf_counter()
            try:
                response = await handler(request)
            except ConsentryError as error:
                if isinstance(error.__cause__, sqlite3.Error):  # the operator's trouble, and not the client's
                    _log_failure(logger, route, error.__cause__, trouble_of(error.__cause__))
                response = error_answer(error)
            except ConfigError as error:
                logger.error("request failed", route=route, error=type(error).__name__, reason=str(error))  # noqa: TRY400 - a reason, no trace
                response = error_answer(_NO_KEY)
            except Exception as error:  # noqa: BLE001 -- the last door: whatever it is, the client gets the one error shape
                cause = trouble_of(error)
                _log_failure(logger, route, error, cause)
                response = error_answer(_FAILURE if cause is None else _TROUBLE)
            if cors:
                put_cors(response.headers, request.headers.get("Origin"))
            metrics.count_request(route, response.status)
            if logged:
                milliseconds = round((time.perf_counter() - started) * 1000, 2)
                (note if response.status < BAD_REQUEST else logger.info)(
                    "request",
                    method=request.method if request.method in hdrs.METH_ALL else _UNKNOWN,
                    route=route,
                    status=response.status,
                    ms=milliseconds,
                    events=request.get(EVENTS, 0),
                )
            return response

        return answer


_FAILURE: Final = ConsentryError("internal", "Something went wrong here; it is logged.")
_NO_KEY: Final = Unavailable("keys_unavailable", "A key that this takes cannot be read; its place is in the log.", retry_after=60)
_TROUBLE: Final = Unavailable("store_unavailable", "The store cannot do that at the moment.")


def _log_failure(logger: FilteringBoundLogger, route: str, error: Exception, cause: Cause | None) -> None:
    """Type and place only: an exception's text may quote the client."""
    told = {} if cause is None else {"cause": cause.value}
    logger.error("request failed", route=route, error=type(error).__name__, **told, at=frames_of(error))


async def _unknown_path(_request: web.Request) -> web.StreamResponse:
    raise NotFound("not_found", "There is nothing at this path.")


def _wrong_method(methods: list[str]) -> Handler:
    allow = ", ".join(methods)

    async def refuse(_request: web.Request) -> web.StreamResponse:
        response = error_answer(MethodNotAllowed("method_not_allowed", f"This path takes {allow}."))
        response.headers[hdrs.ALLOW] = allow
        return response

    return refuse


def _preflight(methods: str) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        return preflight(request, methods)

    return answer


async def _expect(request: web.Request) -> None:
    """RFC 9110, section 10.1.1: ask for the body at once; other expectations are ignored."""
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
