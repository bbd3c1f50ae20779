"""The browser SDK over HTTP: scripts of one version, compressed once, for pages of any origin."""

from __future__ import annotations

import gzip
import hashlib
import re
from functools import cache
from typing import Final, NamedTuple

import brotli
from aiohttp import web

from consentryd.gateway import sdk
from consentryd.gateway.answer import SERVER, answer
from consentryd.gateway.endpoint import Handler
from consentryd.model.error import NotFound

#: What an address without a version may be kept for: an update reaches every page within the hour.
LATEST: Final = "public, max-age=3600"
#: What is at an address with a version never changes.
IMMUTABLE: Final = "public, max-age=31536000, immutable"

_TYPE: Final = "text/javascript; charset=utf-8"
_REFUSED: Final = re.compile(r"\s*q\s*=\s*0(\.0{0,3})?\s*")


class Variant(NamedTuple):
    """A script in one content coding; the empty one is the script itself."""

    coding: str
    body: bytes
    tag: str


def latest(name: str) -> Handler:
    """The handler of a script's address without a version."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return _script(request, name, LATEST)

    return handle


async def get_release(request: web.Request) -> web.StreamResponse:
    """`/sdk/<version>.js`. Raises `NotFound` for a version that this gateway does not have."""
    if request.match_info["script"] != f"{sdk.VERSION}.js":
        raise NotFound("not_found", "There is nothing at this path.")
    return _script(request, "sdk.js", IMMUTABLE)


async def get_part(request: web.Request) -> web.StreamResponse:
    """`/sdk/<version>/<name>`. Raises `NotFound` for a version or a name that this gateway does not have."""
    name = request.match_info["script"]
    if request.match_info["version"] != sdk.VERSION or name not in sdk.NAMES:
        raise NotFound("not_found", "There is nothing at this path.")
    return _script(request, name, IMMUTABLE)


def _script(request: web.Request, name: str, caching: str) -> web.Response:
    variant = variants(name)[coding_of(request.headers.get("Accept-Encoding", ""))]
    known = {tag.value for tag in request.if_none_match or ()}
    if known & {variant.tag, "*"}:
        response = web.Response(status=304)
        response.headers.update({"Cache-Control": caching, "Server": SERVER})
    else:
        response = answer(variant.body, _TYPE, cache=caching)
        if variant.coding:
            response.headers["Content-Encoding"] = variant.coding
    response.headers["ETag"] = f'"{variant.tag}"'
    response.headers["Vary"] = "Accept-Encoding"
    # the same for every page, so that shared caches keep one copy; a page under COEP may embed it too
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@cache
def variants(name: str) -> dict[str, Variant]:
    """By content coding. 12 KB take brotli 25 ms at its best, once a process."""
    plain = sdk.bundle(name)
    digest = hashlib.sha256(plain).hexdigest()[:20]
    return {
        "": Variant("", plain, digest),
        "gzip": Variant("gzip", gzip.compress(plain, 9, mtime=0), f"{digest}-gzip"),
        "br": Variant("br", brotli.compress(plain), f"{digest}-br"),
    }


def coding_of(accepted: str) -> str:
    """The smallest content coding that an `Accept-Encoding` allows (RFC 9110, section 12.5.3); empty: none."""
    offered = set()
    for part in accepted.lower().split(","):
        name, _, quality = part.partition(";")
        if not _REFUSED.fullmatch(quality):
            offered.add(name.strip())
    return next((coding for coding in ("br", "gzip") if coding in offered), "")
