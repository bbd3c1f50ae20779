"""Cross-origin answers.

The origin is echoed with credentials allowed: SDKs that send credentials deliver nothing to `*`. No endpoint trusts a cookie with
anything but a consent signal, so an echoed origin gives a page nothing it could not do without.
"""

from __future__ import annotations

import re
from typing import Final

from aiohttp import web
from multidict import CIMultiDict

from consentryd.gateway.answer import SERVER

_MAX_AGE_S: Final = "7200"  # the longest Chromium keeps a preflight
_HEADER_LIST: Final = re.compile(r"[A-Za-z0-9_\-]+(?:[ \t]*,[ \t]*[A-Za-z0-9_\-]+){0,63}")


def put_cors(headers: CIMultiDict[str], origin: str | None) -> None:
    """Lets `origin` read the answer; Vary also when there is none, for caches."""
    headers["Vary"] = "Origin"
    if origin is not None:
        headers["Access-Control-Allow-Origin"] = origin
        headers["Access-Control-Allow-Credentials"] = "true"
        headers["Access-Control-Expose-Headers"] = "Retry-After"


def preflight(request: web.BaseRequest, methods: str) -> web.Response:
    """204 for every preflight: it carries no key, so the list of allowed origins is applied to the request it asks for."""
    headers: CIMultiDict[str] = CIMultiDict({"Server": SERVER})
    put_cors(headers, request.headers.get("Origin"))
    headers["Vary"] = "Origin, Access-Control-Request-Headers"
    headers["Access-Control-Allow-Methods"] = methods
    headers["Access-Control-Max-Age"] = _MAX_AGE_S
    asked = request.headers.get("Access-Control-Request-Headers", "")
    if _HEADER_LIST.fullmatch(asked):
        headers["Access-Control-Allow-Headers"] = asked
    return web.Response(status=204, headers=headers)
