"""One row per endpoint. The router, `/openapi.json` and `docs/http-api.md` are all made from the table in `gateway/endpoints.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from consentryd.model.key import KeyKind

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A query parameter, or one of the path's."""

    name: str
    description: str
    schema: Schema = field(default_factory=lambda: {"type": "string"})
    location: str = "query"
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """`keys` empty: no key needed. `statuses` are those besides the success answer, 404 and 405. `cors`: pages of any origin may ask.

    `slashed`: a slash behind the path makes no difference.

    `everyday`: answered without an error, it is a line at level `debug`, for metrics count it and there are thousands a second.
    """

    method: str
    path: str
    tag: str
    summary: str
    handler: Handler
    keys: frozenset[KeyKind] = frozenset()
    parameters: tuple[Parameter, ...] = ()
    request: Schema | None = None
    response: Schema | None = None
    media_type: str = "application/json"
    statuses: tuple[int, ...] = ()
    cors: bool = False
    logged: bool = True
    everyday: bool = False
    slashed: bool = False
