"""`/opendsr/`: people's requests in the OpenDSR 2.0 protocol, for consent platforms that speak it. Answers are signed."""

from __future__ import annotations

import base64
from typing import Any, Final

import orjson
from aiohttp import hdrs, web

from consentryd.gateway import body as bodies
from consentryd.gateway import document
from consentryd.gateway.answer import answer
from consentryd.gateway.door import DOOR
from consentryd.gateway.endpoint import Endpoint, Parameter
from consentryd.gateway.requests import BODY_BYTES, PRIVACY
from consentryd.gateway.schemas import ANY_OBJECT
from consentryd.gateway.services import SERVICES, Services
from consentryd.model.error import BadRequest, ConsentryError, NotFound, Unprocessable
from consentryd.model.key import ApiKey
from consentryd.rights.desk import Caller
from consentryd.rights.opendsr import (
    API_VERSION,
    Processor,
    discovery,
    extensions_of,
    load_processor,
    read_request,
    status_of,
)
from consentryd.storage.ledger import iso

CERTIFICATE_PATH: Final = "/opendsr/certificate.pem"
_CREATED, _ACCEPTED = 201, 202


async def get_discovery(request: web.Request) -> web.StreamResponse:
    services = request.app[SERVICES]
    request.app[DOOR].check_network(services.clients.caller(request))
    processor = _processor(request)
    base = services.settings.server.public_url or f"https://{processor.domain}"
    return _signed(processor, discovery(f"{base.rstrip('/')}{CERTIFICATE_PATH}"))


async def get_certificate(request: web.Request) -> web.StreamResponse:
    return answer(_processor(request).certificate, "application/x-pem-file", cache="no-cache")


async def post_request(request: web.Request) -> web.StreamResponse:
    """Section 7."""
    processor = _processor(request)
    services, key = _enter(request)
    try:
        sent = await bodies.read(request, BODY_BYTES, services.settings.server.body_timeout_s)
        raw = bodies.inflate(sent, request.headers.get(hdrs.CONTENT_ENCODING), BODY_BYTES)
        demand = read_request(document.parse(raw), processor.domain)
        told = await services.require_rights().accept(demand, Caller(key.id, (key.site,)), opendsr=True)
    except ConsentryError as error:
        return _refused(processor, error)
    created = {
        "controller_id": key.site,
        "expected_completion_time": told["due_at"],
        "received_time": told["received_at"],
        "encoded_request": base64.b64encode(raw).decode(),
        "subject_request_id": told["id"],
        "api_version": API_VERSION,
        **extensions_of(told, processor.domain),
    }
    return _signed(processor, created, _CREATED)


async def get_status(request: web.Request) -> web.StreamResponse:
    """Section 8."""
    processor = _processor(request)
    services, key = _enter(request)
    try:
        rights = services.require_rights()
        told = await rights.ask(rights.desk.get, request.match_info["request"], Caller(key.id, (key.site,)))
    except ConsentryError as error:
        return _refused(processor, error)
    return _signed(processor, status_of(told, processor.domain, services.settings.server.public_url))


async def delete_request(request: web.Request) -> web.StreamResponse:
    """Section 9; only what is pending can be cancelled."""
    processor = _processor(request)
    services, key = _enter(request)
    try:
        rights = services.require_rights()
        told = await rights.ask(rights.desk.cancel, request.match_info["request"], Caller(key.id, (key.site,)))
    except ConsentryError as error:
        return _refused(processor, error)
    cancelled = {
        "controller_id": key.site,
        "subject_request_id": told["id"],
        "received_time": iso(services.clock.now()),
        "api_version": API_VERSION,
        **extensions_of(told, processor.domain),
    }
    return _signed(processor, cancelled, _ACCEPTED)


def _enter(request: web.Request) -> tuple[Services, ApiKey]:
    services = request.app[SERVICES]
    return services, request.app[DOOR].check_reader(request, services.clients.caller(request), PRIVACY)


def _processor(request: web.Request) -> Processor:
    """Raises `NotFound` where OpenDSR is not set up."""
    processor = load_processor(request.app[SERVICES].settings.rights)
    if processor is None:
        raise NotFound("not_found", "OpenDSR is not set up here: set rights.opendsr_domain, its certificate and key.")
    return processor


def _refused(processor: Processor, error: ConsentryError) -> web.Response:
    """In the protocol's words. Section 7.5 knows 400 for whatever is wrong with a request."""
    status = BadRequest.status if error.status == Unprocessable.status else error.status
    response = _signed(processor, {"error": {"code": status, "message": error.message}}, status)
    if error.retry_after is not None:
        response.headers[hdrs.RETRY_AFTER] = str(error.retry_after)
    return response


def _signed(processor: Processor, told: dict[str, Any], status: int = 200) -> web.Response:
    body = orjson.dumps(told)
    response = answer(body, status=status)
    response.headers.update(processor.headers(body))
    return response


_ID: Final = Parameter("request", "The `subject_request_id`.", location="path", required=True)
_PREFIXES: Final = ("/opendsr", "/opendsr/v2")
_REQUESTS: Final = (*(f"{prefix}/requests" for prefix in _PREFIXES), "/opendsr/opengdpr_requests")


def _endpoint(method: str, path: str, summary: str, handler: Any, **more: Any) -> Endpoint:
    row = {"tag": "OpenDSR", "keys": PRIVACY, "response": ANY_OBJECT, "statuses": (401, 403, 429, 503), **more}
    return Endpoint(method=method, path=path, summary=summary, handler=handler, **row)


OPENDSR_ENDPOINTS: Final = (
    *(
        _endpoint(
            hdrs.METH_GET,
            f"{prefix}/discovery",
            "What OpenDSR requests may ask here.",
            get_discovery,
            keys=frozenset(),
            statuses=(429,),
        )
        for prefix in _PREFIXES
    ),
    _endpoint(
        hdrs.METH_GET,
        CERTIFICATE_PATH,
        "The certificate that answers and callbacks are signed with.",
        get_certificate,
        keys=frozenset(),
        statuses=(),
        media_type="application/x-pem-file",
        response=None,
    ),
    *(
        _endpoint(
            hdrs.METH_POST,
            path,
            "An OpenDSR request: access, portability or erasure.",
            post_request,
            request=ANY_OBJECT,
            statuses=(201, 400, 401, 403, 409, 413, 415, 429, 503),
        )
        for path in _REQUESTS
    ),
    *(
        row
        for path in _REQUESTS
        for row in (
            _endpoint(hdrs.METH_GET, f"{path}/{{request}}", "Its status.", get_status, parameters=(_ID,)),
            _endpoint(
                hdrs.METH_DELETE,
                f"{path}/{{request}}",
                "Cancel it, while it is pending.",
                delete_request,
                parameters=(_ID,),
                statuses=(202, 401, 403, 409, 429, 503),
            ),
        )
    ),
)
