"""`/docs`: the OpenAPI document in Swagger UI, whose files ship with the installation. Nothing is fetched from anywhere else."""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson
import swagger_ui_bundle
from aiohttp import web

from consentryd.gateway.answer import answer
from consentryd.gateway.openapi import describe
from consentryd.gateway.recursion import cut
from consentryd.model.error import NotFound

ASSETS: Final = {
    "swagger-ui.css": "text/css; charset=utf-8",
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "favicon-32x32.png": "image/png",
    "start.js": "text/javascript; charset=utf-8",
    "openapi.json": "application/json",
}

_CACHE: Final = "public, max-age=86400"

#: Swagger UI draws small icons from data: URLs, shows answers that are images from blob: URLs, and sets style attributes; scripts come
#: from here only.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE: Final = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Consentry: HTTP API</title>
<link rel="icon" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
"""

_START: Final = b"""SwaggerUIBundle({url: "/docs/openapi.json", dom_id: "#api", deepLinking: true, validatorUrl: null});
"""


async def get_docs(_request: web.Request) -> web.StreamResponse:
    response = answer(_PAGE, "text/html; charset=utf-8", cache="no-cache")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


async def get_asset(request: web.Request) -> web.StreamResponse:
    name = request.match_info["asset"]
    if name not in ASSETS:
        raise NotFound("not_found", "There is nothing at this path.")
    if name == "openapi.json":
        return answer(await asyncio.to_thread(_shown), cache="no-cache")
    return answer(_asset(name), ASSETS[name], cache=_CACHE)


async def get_openapi(_request: web.Request) -> web.StreamResponse:
    return answer(await asyncio.to_thread(_document), cache="no-cache")


@cache
def _asset(name: str) -> bytes:
    return _START if name == "start.js" else (Path(swagger_ui_bundle.swagger_ui_path) / name).read_bytes()


@cache
def _document() -> bytes:
    return orjson.dumps(_described())


@cache
def _shown() -> bytes:
    """What Swagger UI is given: it writes out every reference of the operation that is opened, and a browser's tab is too small for that."""
    document = _described()
    more = (
        f"{document['info']['description']} Conditions of queries are only named here: [/openapi.json](/openapi.json) has them."
    )
    return orjson.dumps(cut({**document, "info": {**document["info"], "description": more}}))


def _described() -> dict[str, Any]:
    from consentryd.gateway.endpoints import ENDPOINTS  # noqa: PLC0415 -- the table has this handler in it

    return describe(ENDPOINTS)
