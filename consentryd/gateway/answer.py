"""Answers: JSON, and the one error shape."""

from __future__ import annotations

from typing import Any, Final

import orjson
from aiohttp import web
from multidict import CIMultiDict

from consentryd.model.error import ConsentryError

JSON: Final = "application/json"
#: What every answer calls its server: no version of anything.
SERVER: Final = "consentry"


def answer(body: bytes, media_type: str = JSON, status: int = 200, cache: str = "no-store") -> web.Response:
    """Bytes as they are. The media type is not to be guessed and, unless `cache` says so, nothing is to be kept."""
    return web.Response(body=body, status=status, headers=head(media_type, cache))


def head(media_type: str, cache: str = "no-store") -> CIMultiDict[str]:
    """The headers of such an answer, for one that is sent piece by piece."""
    return CIMultiDict(
        (("Content-Type", media_type), ("Cache-Control", cache), ("X-Content-Type-Options", "nosniff"), ("Server", SERVER))
    )


def json_answer(value: Any, status: int = 200) -> web.Response:
    return answer(orjson.dumps(value), status=status)


def error_answer(error: ConsentryError) -> web.Response:
    """`{"error": {"code", "message", ...}}` with the error's status, and Retry-After where it knows one."""
    response = json_answer(error.body(), error.status)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response
