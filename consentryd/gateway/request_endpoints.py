"""The rows of `/v1/privacy` in the table of endpoints."""

from __future__ import annotations

from typing import Any, Final

from consentryd.gateway import schemas
from consentryd.gateway.endpoint import Endpoint, Parameter
from consentryd.gateway.requests import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    MAX_WAIT_S,
    PRIVACY,
    delete_request,
    get_export,
    get_holds,
    get_request,
    get_requests,
    get_uses,
    post_extension,
    post_hold,
    post_readmission,
    post_request,
)
from consentryd.model.identity import IdentityKind
from consentryd.rights.demand import RequestStatus, RequestType

_ID: Final = Parameter("request", "The request's id.", location="path", required=True)
_READ: Final = (401, 403, 429, 503)
_WRITE: Final = (400, 401, 403, 409, 413, 415, 422, 429, 503)

_IDENTITIES: Final[dict[str, Any]] = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["type", "value"],
        "properties": {
            "type": {"enum": [kind.value for kind in IdentityKind]},
            "value": {"type": "string"},
            "format": {
                "enum": ["raw", "sha256"],
                "description": "`sha256`, in hex: of an id as it is, of an e-mail address in lower case.",
            },
        },
    },
}

REQUEST: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type"],
    "example": {"type": "access", "identities": [{"type": "user_id", "value": "u-1"}]},
    "properties": {
        "type": {"enum": [kind.value for kind in RequestType]},
        "identities": {**_IDENTITIES, "description": "Needed, except with a token, which names its own."},
        "sites": {"type": "array", "items": {"type": "string"}, "description": "Default: the key's."},
        "reason": {"type": "string", "maxLength": 1000},
        "request_id": {"type": "string", "description": "8 to 64 letters, digits, `-`, `_`; the same id is the same request."},
        "regulation": {"enum": ["gdpr", "ccpa"], "description": "Decides the deadline: 30 or 45 days."},
        "block": {"enum": ["forever", "until", "no"], "description": "Of an erasure: whether future events are refused."},
        "block_until": {"type": "string", "format": "date-time"},
        "purposes": {"type": "array", "items": {"type": "string"}, "description": "Of an objection; default: all."},
        "corrections": {"type": "object", "description": "Of a rectification: property to its right value; null takes it out."},
        "lift": {"type": "boolean", "description": "Of a restriction: end it."},
        "callbacks": {"type": "array", "items": {"type": "string"}, "description": "Addresses of `rights.callbacks`."},
    },
}

_NOT_COVERED: Final[dict[str, Any]] = {
    "type": "array",
    "items": {"type": "string"},
    "description": "Regions, configured or stored beside the others, that this is not about. Not there if there are none.",
}

_STATE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "type", "status", "received_at", "due_at", "regions"],
    "properties": {
        "id": {"type": "string"},
        "type": {"enum": [kind.value for kind in RequestType]},
        "status": {"enum": [status.value for status in RequestStatus]},
        "received_at": {"type": "string", "format": "date-time"},
        "due_at": {"type": "string", "format": "date-time"},
        "overdue": {"type": "boolean"},
        "begins_at": {
            "type": "string",
            "format": "date-time",
            "description": "Of a pending one: until then it waits (`rights.grace_s`).",
        },
        "regions": {"type": "object", "description": "Status, step and progress in each region."},
        "regions_not_covered": _NOT_COVERED,
        "certificates": {
            "type": "array",
            "items": {"type": "object"},
            "description": "Of an erasure, one a region where it is completed.",
        },
        "export": {
            "type": "object",
            "nullable": True,
            "description": "Of a completed access: where it waits to be fetched, once.",
        },
        "commitment_nonce": {
            "type": "string",
            "description": "Shown to who hands it in, until it is done: ties the certificate to the person.",
        },
    },
}


_USES: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["uses", "next"],
    "properties": {
        "uses": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["region", "entry", "at", "kind", "who"],
                "properties": {
                    "region": {"type": "string"},
                    "entry": {"type": "integer", "description": "Its number in the region's ledger."},
                    "at": {"type": "string", "format": "date-time"},
                    "kind": {"enum": ["personal_use", "legal_hold"]},
                    "who": {"type": "string", "description": "The key's id, or what else acted."},
                    "why": {"type": "string"},
                    "commitments": {"type": "array", "items": {"type": "string"}},
                    "people": {"type": "integer", "description": "How many, where they are too many to be named."},
                },
            },
        },
        "next": {"type": "string", "nullable": True},
        "regions_not_covered": _NOT_COVERED,
    },
}


_HOLDS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["holds"],
    "properties": {
        "holds": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["region", "site", "reason", "since", "identities"],
                "properties": {
                    "region": {"type": "string"},
                    "site": {"type": "string"},
                    "reason": {"type": "string"},
                    "since": {"type": "string", "format": "date-time"},
                    "identities": {"type": "integer"},
                },
            },
        },
        "regions_not_covered": _NOT_COVERED,
    },
}


_READMITTED: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["readmitted"],
    "properties": {
        "readmitted": {"type": "integer", "description": "How many of the identities were kept out, and are no more."},
        "regions_not_covered": _NOT_COVERED,
    },
}


def _endpoint(method: str, path: str, summary: str, handler: Any, **more: Any) -> Endpoint:
    row = {"tag": "People's requests", "keys": PRIVACY, "response": _STATE, "cors": True, **more}
    return Endpoint(method=method, path=f"/v1/privacy/{path}", summary=summary, handler=handler, **row)


REQUEST_ENDPOINTS: Final = (
    _endpoint(
        "POST",
        "requests",
        "Hand in a request of a person: access, portability, erasure, restriction, objection, rectification.",
        post_request,
        request=REQUEST,
        statuses=_WRITE,
        parameters=(
            Parameter(
                "wait", f"Seconds to wait for it to be done, at most {MAX_WAIT_S}.", {"type": "integer", "maximum": MAX_WAIT_S}
            ),
        ),
    ),
    _endpoint(
        "GET",
        "requests",
        "The requests, newest first.",
        get_requests,
        response={"type": "object", "properties": {"requests": {"type": "array", "items": _STATE}}},
        statuses=(400, *_READ),
        parameters=(
            Parameter("status", "Only of these statuses, separated by commas."),
            Parameter("type", "Only of these types, separated by commas."),
            Parameter("due_days", "Only those due within so many days.", {"type": "integer", "minimum": 0, "maximum": 366}),
            Parameter(
                "limit", f"How many; {DEFAULT_LIMIT} if not given.", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
            ),
        ),
    ),
    _endpoint("GET", "requests/{request}", "One request.", get_request, parameters=(_ID,), statuses=_READ),
    _endpoint(
        "DELETE",
        "requests/{request}",
        "Cancel it, while it is pending or on hold.",
        delete_request,
        parameters=(_ID,),
        statuses=(*_READ, 409),
    ),
    _endpoint(
        "POST",
        "requests/{request}/extension",
        "Give it the longer deadline that the law knows.",
        post_extension,
        parameters=(_ID,),
        statuses=(*_READ, 409),
    ),
    _endpoint(
        "GET",
        "requests/{request}/export",
        "The ZIP of a completed access request. It can be fetched once.",
        get_export,
        parameters=(_ID,),
        response=None,
        media_type="application/zip",
        statuses=(*_READ, 409),
    ),
    _endpoint(
        "GET",
        "holds",
        "The legal holds in force, newest first: of how many identities, not of whom.",
        get_holds,
        response=_HOLDS,
        statuses=_READ,
    ),
    _endpoint(
        "POST",
        "holds",
        "Keep people from being erased for a reason, or (`lift`) no longer for this one.",
        post_hold,
        request={
            "type": "object",
            "required": ["identities", "reason"],
            "example": {"identities": [{"type": "user_id", "value": "u-1"}], "reason": "A dispute about an order"},
            "properties": {"identities": _IDENTITIES, "reason": {"type": "string"}, "lift": {"type": "boolean"}},
        },
        response=schemas.ANY_OBJECT,
        statuses=(*_WRITE, 404),
    ),
    _endpoint(
        "POST",
        "readmissions",
        "Let people in again whom an erasure keeps out that is done.",
        post_readmission,
        request={
            "type": "object",
            "required": ["identities", "reason"],
            "example": {"identities": [{"type": "user_id", "value": "u-1"}], "reason": "Opened a new account"},
            "properties": {"identities": _IDENTITIES, "reason": {"type": "string"}},
        },
        response=_READMITTED,
        statuses=_WRITE,
    ),
    _endpoint(
        "GET",
        "uses",
        "Who used people's data: which key, when, why, and commitments to whom it was about; newest first.",
        get_uses,
        response=_USES,
        statuses=(400, *_READ),
        parameters=(
            Parameter(
                "limit", f"How many; {DEFAULT_LIMIT} if not given.", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
            ),
            Parameter("before", "Only older ones: what an earlier answer called `next`."),
        ),
    ),
)
