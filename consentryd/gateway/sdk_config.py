"""What unmodified browser SDKs of Segment and RudderStack fetch before they send anything."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web
from yarl import URL

from consentryd.gateway.answer import json_answer
from consentryd.gateway.auth import check_key, check_origin
from consentryd.gateway.door import DOOR
from consentryd.gateway.services import SERVICES
from consentryd.model.error import Unauthorized
from consentryd.model.key import ApiKey, KeyKind

_WRITE: Final = frozenset({KeyKind.WRITE})

#: Providers whose categories RudderStack's SDK writes into `context.consentManagement`; without this list it leaves them out.
_CONSENT_PROVIDERS: Final = (("oneTrust", "and"), ("ketch", "or"), ("iubenda", "or"), ("custom", "and"))


async def get_segment_settings(request: web.Request) -> web.StreamResponse:
    """Only our own destination: the SDK then sends each call here and nowhere else."""
    key = _check(request, request.match_info["key"])
    base = _base(request)
    own = {
        "apiKey": request.match_info["key"],
        "apiHost": f"{base.host_port_subcomponent}{base.path.rstrip('/')}/v1",
        "protocol": base.scheme,
    }
    return json_answer({"integrations": {"Segment.io": own}, "plan": {"track": {}}, "edgeFunction": {}, "site": key.site})


async def get_rudder_source(request: web.Request) -> web.StreamResponse:
    """An enabled source without destinations, and with RudderStack's own error and usage reporting off."""
    secret = request.app[DOOR].find_secret(request)
    key = _check(request, secret)
    off = {"enabled": False}
    source: dict[str, Any] = {
        "id": key.id,
        "name": key.site,
        "writeKey": secret,
        "workspaceId": key.site,
        "enabled": True,
        "config": {"statsCollection": {"errors": off, "metrics": off}},
        "destinations": [],
        "dataplanes": {},
    }
    providers = [{"provider": name, "resolutionStrategy": strategy} for name, strategy in _CONSENT_PROVIDERS]
    return json_answer({"source": source, "consentManagementMetadata": {"providers": providers}})


def _check(request: web.Request, secret: str | None) -> ApiKey:
    services, door = request.app[SERVICES], request.app[DOOR]
    door.check_network(services.clients.caller(request))
    if not secret:
        raise Unauthorized("missing_key", "No write key.")
    key = check_key(services.keys.lookup(secret), _WRITE)
    check_origin(key, request.headers.get("Origin"))
    return key


def _base(request: web.Request) -> URL:
    """`server.public_url` if it is set: behind a proxy that ends TLS the request does not know its own address."""
    public = request.app[SERVICES].settings.server.public_url
    return URL(public) if public else URL.build(scheme=request.scheme, authority=request.host)
