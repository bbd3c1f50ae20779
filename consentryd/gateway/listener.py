"""An application on a socket, from the first connection to the last answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from consentryd.config.settings import Server
from consentryd.gateway.address import url_of
from consentryd.gateway.connection import connections, take_bodies
from consentryd.model.error import ConfigError

_BACKLOG: Final = 1024


def bind(settings: Server, *, shared: bool = False) -> socket.socket:
    """The listening address, bound. `shared`: several processes may bind it, and the kernel spreads connections over them.

    Raises `ConfigError` if the address cannot be had.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(address)
    except OSError as error:
        message = f"Cannot listen on {settings.host} port {settings.port}: {error.strerror}."
        raise ConfigError(message) from error
    listening.setblocking(False)
    return listening


def address_of(listening: socket.socket) -> str:
    """`url_of` it, with the port that port 0 became."""
    host, port = listening.getsockname()[:2]
    return url_of(host, port)


@asynccontextmanager
async def listen(
    app: web.Application, listening: socket.socket, settings: Server, logger: FilteringBoundLogger
) -> AsyncIterator[None]:
    """Serves `app` on `listening`. Leaving it stops accepting, answers what is in flight within `shutdown_timeout_s`, then cleans up.

    A third of that is for bodies to arrive. aiohttp waits its timeout twice, for handlers to end and for cancelled ones to notice.
    """
    third = settings.shutdown_timeout_s / 3
    runner = web.AppRunner(app, shutdown_timeout=third)
    await runner.setup()
    assert runner.server is not None
    try:
        server = await asyncio.get_running_loop().create_server(
            connections(runner.server, settings, logger), sock=listening, backlog=_BACKLOG
        )
        try:
            yield
        finally:
            server.close()
            await take_bodies(runner.server, third)
    finally:
        await runner.cleanup()
