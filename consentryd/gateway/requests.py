"""`/v1/privacy`: people's requests, with a privacy key, or with a token that a person's site gave them."""

from __future__ import annotations

import asyncio
import io
from typing import Any, Final

from aiohttp import hdrs, web
from multidict import CIMultiDict

from consentryd.gateway import body, document
from consentryd.gateway.answer import head, json_answer
from consentryd.gateway.auth import check_origin
from consentryd.gateway.door import DOOR
from consentryd.gateway.rights import Rights
from consentryd.gateway.services import SERVICES
from consentryd.model.clock import DAY
from consentryd.model.error import BadRequest, Forbidden
from consentryd.model.key import KeyKind
from consentryd.rights.demand import RequestStatus, RequestType, read_demand, read_hold, read_readmission
from consentryd.rights.desk import Caller
from consentryd.rights.token import is_token, read_token

PRIVACY: Final = frozenset({KeyKind.PRIVACY})
BODY_BYTES: Final = 256 * 1024
MAX_WAIT_S: Final = 30
MAX_LIMIT: Final = 1_000
DEFAULT_LIMIT: Final = 100
_BUFFER: Final = 128 * 1024
_QUEUE: Final = 8
_MAX_DIGITS: Final = 6


async def post_request(request: web.Request) -> web.StreamResponse:
    """Answers once the request is durable and suppression is in force, or, with `wait`, once it is done."""
    rights, caller = _enter(request)
    demand = read_demand(await read_json(request))
    return json_answer(await rights.accept(demand, caller, _number(request, "wait", 0, MAX_WAIT_S)))


async def get_requests(request: web.Request) -> web.StreamResponse:
    rights, caller = _enter(request)
    due_days = _number(request, "due_days", -1, 366)
    found = await rights.ask(
        rights.desk.select,
        caller,
        statuses=_words(request, "status", [status.value for status in RequestStatus]),
        types=_words(request, "type", [kind.value for kind in RequestType]),
        due_before=None if due_days < 0 else request.app[SERVICES].clock.now() + due_days * DAY,
        limit=_number(request, "limit", DEFAULT_LIMIT, MAX_LIMIT),
    )
    return json_answer({"requests": found})


async def get_request(request: web.Request) -> web.StreamResponse:
    rights, caller = _enter(request)
    return json_answer(await rights.ask(rights.desk.get, request.match_info["request"], caller))


async def delete_request(request: web.Request) -> web.StreamResponse:
    """Cancel; only while it is pending."""
    rights, caller = _enter(request)
    return json_answer(await rights.ask(rights.desk.cancel, request.match_info["request"], caller))


async def post_extension(request: web.Request) -> web.StreamResponse:
    rights, caller = _enter(request)
    _check_officer(caller)
    return json_answer(await rights.ask(rights.desk.extend, request.match_info["request"], caller))


async def post_hold(request: web.Request) -> web.StreamResponse:
    """Set or lift a legal hold."""
    rights, caller = _enter(request)
    _check_officer(caller)
    asked = read_hold(await read_json(request))
    await rights.ask(rights.desk.hold, asked.named, asked.reason, caller, lift=asked.lift)
    told = {"held": not asked.lift, "identities": [{"type": identity.kind} for identity in asked.named]}
    return json_answer({**told, **rights.desk.coverage})


async def get_holds(request: web.Request) -> web.StreamResponse:
    """The legal holds in force."""
    rights, caller = _enter(request)
    _check_officer(caller)
    return json_answer({"holds": await rights.ask(rights.desk.holds, caller), **rights.desk.coverage})


async def post_readmission(request: web.Request) -> web.StreamResponse:
    """Let people in again whom erasures keep out."""
    rights, caller = _enter(request)
    _check_officer(caller)
    asked = read_readmission(await read_json(request))
    readmitted = await rights.ask(rights.desk.readmit, asked.named, asked.reason, caller)
    return json_answer({"readmitted": readmitted, **rights.desk.coverage})


async def get_uses(request: web.Request) -> web.StreamResponse:
    """Who used people's data."""
    rights, caller = _enter(request)
    _check_officer(caller)
    limit = _number(request, "limit", DEFAULT_LIMIT, MAX_LIMIT)
    found = await rights.ask(rights.desk.uses, caller, max(limit, 1), request.query.get("before"))
    return json_answer({**found, **rights.desk.coverage})


async def get_export(request: web.Request) -> web.StreamResponse:
    """The ZIP, once: when the last byte was taken, it is destroyed here."""
    rights, caller = _enter(request)
    name = request.match_info["request"]
    events = await rights.ask(rights.desk.export_size, name, caller)
    if request.method == hdrs.METH_HEAD:
        return web.StreamResponse(headers=_export_head(events))
    with await rights.ask(rights.desk.claim_export, name):
        response = web.StreamResponse(headers=_export_head(events))
        await response.prepare(request)
        await _send_export(rights, name, response)
        await rights.ask(rights.desk.destroy_export, name, caller)
    return response


def _export_head(events: int) -> CIMultiDict[str]:
    headers = head("application/zip")
    headers.update({"Content-Disposition": 'attachment; filename="your-data.zip"', "X-Consentry-Events": str(events)})
    return headers


async def _send_export(rights: Rights, name: str, response: web.StreamResponse) -> None:
    pipe = _Pipe(asyncio.get_running_loop())
    work = asyncio.create_task(asyncio.to_thread(_write, rights, name, pipe))
    try:
        while (chunk := await pipe.queue.get()) is not None:
            await response.write(chunk)
        await work
        await response.write_eof()
    except BaseException:
        pipe.broken = True
        while not work.done():
            while not pipe.queue.empty():
                pipe.queue.get_nowait()
            await asyncio.sleep(0.01)
        raise


class _Pipe(io.RawIOBase):
    """What a thread writes, for the loop to send: a few chunks ahead at most."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE)
        self.broken = False
        self._loop = loop

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        chunk = bytes(data)
        self.put(chunk)
        return len(chunk)

    def put(self, chunk: bytes | None) -> None:
        if self.broken:
            raise ConnectionResetError
        asyncio.run_coroutine_threadsafe(self.queue.put(chunk), self._loop).result()


def _write(rights: Rights, name: str, pipe: _Pipe) -> None:
    sink = io.BufferedWriter(pipe, _BUFFER)
    try:
        rights.desk.write_export(name, sink)
        sink.flush()
    finally:
        pipe.put(None)


async def read_json(request: web.Request) -> Any:
    raw = await body.read(request, BODY_BYTES, request.app[SERVICES].settings.server.body_timeout_s)
    return document.parse(body.inflate(raw, request.headers.get(hdrs.CONTENT_ENCODING), BODY_BYTES))


def _enter(request: web.Request) -> tuple[Rights, Caller]:
    """Who asks. Raises `Unauthorized`, `Forbidden`, `RateLimited`."""
    services, door = request.app[SERVICES], request.app[DOOR]
    network = services.clients.caller(request)
    secret = door.find_secret(request)
    if secret is not None and is_token(secret):
        door.check_network(network)
        return services.require_rights(), read_token(secret, services.settings, services.clock.now())
    key = door.check_reader(request, network, PRIVACY)
    check_origin(key, request.headers.get(hdrs.ORIGIN))
    return services.require_rights(), Caller(key.id, (key.site,))


def _check_officer(caller: Caller) -> None:
    if caller.identities is not None:
        raise Forbidden("wrong_key_kind", "This endpoint takes a privacy key.")


def _number(request: web.Request, name: str, default: int, most: int) -> int:
    text = request.query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS and int(text) <= most):
        raise BadRequest("bad_parameter", f"`{name}` is a whole number up to {most}.", parameter=name)
    return int(text)


def _words(request: web.Request, name: str, known: list[str]) -> list[str]:
    words = [word for word in request.query.get(name, "").split(",") if word]
    if not set(words) <= set(known):
        raise BadRequest("bad_parameter", f"`{name}` is made of {', '.join(known)}.", parameter=name)
    return words
