"""The least a Python server can do with an event: aiohttp on uvloop parses the JSON and answers. Keeps nothing."""

from __future__ import annotations

import sys

import orjson
import uvloop
from aiohttp import web


async def answer(request: web.Request) -> web.Response:
    body = orjson.loads(await request.read())
    return web.Response(body=b'{"accepted":%d,"results":[]}' % len(body.get("batch", (0,))), content_type="application/json")


async def ready(_: web.Request) -> web.Response:
    return web.Response()


def main() -> None:
    app = web.Application(client_max_size=1 << 24)
    app.add_routes([web.post("/v1/{call}", answer), web.get("/readyz", ready)])
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None, loop=uvloop.new_event_loop())


if __name__ == "__main__":
    main()
