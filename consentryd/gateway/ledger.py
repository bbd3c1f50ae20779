"""The ledger's public side: checkpoints, proofs, entries, and the keys that sign them."""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson
from aiohttp import web

from consentryd.gateway.answer import answer, json_answer
from consentryd.gateway.door import DOOR
from consentryd.gateway.services import SERVICES
from consentryd.model.error import BadRequest, NotFound
from consentryd.model.key import KeyKind
from consentryd.storage.ledger import Ledger, iso
from consentryd.storage.region import RegionStore
from consentryd.storage.signing import PublicKey

AUDITING: Final = frozenset({KeyKind.READ, KeyKind.PRIVACY})
_MOST_DIGITS: Final = 15

#: The day since which the gateway honours Global Privacy Control as it does now.
GPC_SINCE: Final = "2026-11-21"


async def get_checkpoint(request: web.Request) -> web.StreamResponse:
    """The head of the tree, signed now, as C2SP tlog-checkpoint."""
    store = _store(request)
    note = Ledger(store.reader).checkpoint(store.signing.signer())
    return answer(note.encode(), "text/plain; charset=utf-8")


async def get_inclusion(request: web.Request) -> web.StreamResponse:
    ledger = Ledger(_store(request).reader)
    entry, size = _number(request, "entry"), _number(request, "size", ledger.size)
    try:
        steps = ledger.inclusion(entry, size)
    except ValueError:
        raise BadRequest("bad_parameter", "`entry` must be below `size`, and `size` at most the ledger's.") from None
    return json_answer(
        {"entry": entry, "size": size, "leaf": _text(ledger.node(0, entry)), "inclusion": [_text(step) for step in steps]}
    )


async def get_consistency(request: web.Request) -> web.StreamResponse:
    ledger = Ledger(_store(request).reader)
    first, second = _number(request, "first"), _number(request, "second", ledger.size)
    try:
        steps = ledger.consistency(first, second)
    except ValueError:
        raise BadRequest(
            "bad_parameter", "`first` must be 1 or more and at most `second`, that at most the ledger's size."
        ) from None
    return json_answer({"first": first, "second": second, "consistency": [_text(step) for step in steps]})


async def get_entry(request: web.Request) -> web.StreamResponse:
    """One entry as it was written. Entries name no person, but they tell an operator's business: a secret key is needed."""
    request.app[DOOR].check_reader(request, request.app[SERVICES].clients.caller(request), AUDITING)
    entry = Ledger(_store(request).reader).entry(_number(request, "entry"))
    if entry is None:
        raise NotFound("not_found", "The ledger has no such entry.")
    return json_answer({"entry": entry.number, "body": orjson.loads(entry.body), "leaf": _text(entry.leaf)})


async def get_keys(request: web.Request) -> web.StreamResponse:
    """A JWK set (RFC 7517, RFC 8037) of every key that ever signed, also as verifier keys of signed notes."""
    stores = request.app[SERVICES].require_proving().stores
    found = [described(name, key) for name, store in stores.items() for key in store.signing.public()]
    return answer(orjson.dumps({"keys": found}), cache="no-cache")


async def get_gpc(_request: web.Request) -> web.StreamResponse:
    """Global Privacy Control, section 4: the signal is honoured here."""
    return answer(orjson.dumps({"gpc": True, "lastUpdate": GPC_SINCE}), cache="no-cache")


def described(region: str, key: PublicKey) -> dict[str, Any]:
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "use": "sig",
        "kid": key.id,
        "x": base64.urlsafe_b64encode(key.verifier.public).rstrip(b"=").decode(),
        "region": region,
        "origin": key.verifier.name,
        "vkey": key.verifier.vkey,
        "created_at": iso(key.created_at),
        "retired_at": None if key.retired_at is None else iso(key.retired_at),
    }


def _store(request: web.Request) -> RegionStore:
    door, services = request.app[DOOR], request.app[SERVICES]
    door.check_network(services.clients.caller(request))
    store = request.app[SERVICES].require_proving().stores.get(request.match_info["region"])
    if store is None:
        raise NotFound("not_found", "This gateway does not serve such a region.")
    return store


def _number(request: web.Request, name: str, default: int | None = None) -> int:
    text = request.match_info.get(name) or request.query.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isascii() or not text.isdigit() or len(text) > _MOST_DIGITS:
        raise BadRequest("bad_parameter", f"`{name}` is a whole number.")
    return int(text)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
