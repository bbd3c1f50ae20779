"""Every endpoint, once."""

from __future__ import annotations

from typing import Final

from consentryd.gateway import schemas
from consentryd.gateway.auth import COLLECTING, READING
from consentryd.gateway.collect import collect
from consentryd.gateway.consent import ASKING, get_consent, get_consent_statistics, post_consent
from consentryd.gateway.docs_page import ASSETS, get_asset, get_docs, get_openapi
from consentryd.gateway.endpoint import Endpoint, Parameter
from consentryd.gateway.explanation import EXPLAINING, post_explain
from consentryd.gateway.inspection import DEFAULT_LIMIT, MAX_LIMIT, get_rejected
from consentryd.gateway.ledger import AUDITING, get_checkpoint, get_consistency, get_entry, get_gpc, get_inclusion, get_keys
from consentryd.gateway.model_schema import reference
from consentryd.gateway.opendsr import OPENDSR_ENDPOINTS
from consentryd.gateway.opt_in import DIMENSIONS
from consentryd.gateway.pixel import get_pixel
from consentryd.gateway.probes import get_livez, get_metrics, get_readyz
from consentryd.gateway.query_endpoints import QUERY_ENDPOINTS
from consentryd.gateway.request_endpoints import REQUEST_ENDPOINTS
from consentryd.gateway.script_endpoints import SCRIPT_ENDPOINTS
from consentryd.gateway.sdk_config import get_rudder_source, get_segment_settings
from consentryd.model.key import KeyKind

_WRITE: Final = frozenset({KeyKind.WRITE})
_COLLECT_STATUSES: Final = (400, 401, 403, 413, 415, 421, 429, 503)
_VERBOSE: Final = Parameter("verbose", "`1` lists every event in `results`.", {"type": "string", "enum": ["0", "1"]})
_WRITE_KEY: Final = Parameter("writeKey", "The key, where no header can carry it.")

#: Type of call, its path, and the short one of Segment's browser SDK.
_CALLS: Final = (
    ("track", "t", "Something a person did."),
    ("identify", "i", "Who a person is."),
    ("page", "p", "A page was viewed."),
    ("screen", "s", "A screen of an app was viewed."),
    ("group", "g", "The group a person belongs to."),
    ("alias", "a", "The anonymous id `previousId` is the person `userId`. Two user ids are not joined."),
)

_BATCHES: Final = (
    ("/v1/batch", "Many events, each with its `type`."),
    ("/v1/b", "`/v1/batch` as Segment's browser SDK calls it."),
    ("/v1/import", "`/v1/batch` as Segment's older server SDKs call it."),
    ("/beacon/v1/batch", "`/v1/batch` as RudderStack's browser SDK calls it when a page closes."),
)


def _collecting(path: str, call: str | None, summary: str) -> Endpoint:
    return Endpoint(
        method="POST",
        path=path,
        tag="Collect",
        summary=summary,
        handler=collect(call),
        keys=COLLECTING,
        parameters=(_VERBOSE, _WRITE_KEY),
        request=schemas.BATCH if call is None else schemas.call(call),
        response=schemas.RESULTS,
        statuses=_COLLECT_STATUSES,
        cors=True,
        everyday=True,
        slashed=True,
    )


def _rudder_source(path: str) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        tag="SDK settings",
        summary="What RudderStack's browser SDK asks before it sends.",
        handler=get_rudder_source,
        keys=_WRITE,
        parameters=(_WRITE_KEY,),
        response=schemas.ANY_OBJECT,
        statuses=(401, 403, 429, 503),
        cors=True,
    )


_PIXEL: Final = Endpoint(
    method="GET",
    path="/v1/pixel",
    tag="Collect",
    summary="A 1x1 GIF that counts a page view or a named event, for pages without JavaScript. `p.size=L` is a property `size`.",
    handler=get_pixel,
    keys=COLLECTING,
    parameters=(
        _WRITE_KEY,
        Parameter("event", "Makes it a track call of this name; without it, a page view."),
        Parameter("name", "Name of the page."),
        Parameter("url", "The page's address; default: the Referer header."),
        Parameter("title", "The page's title."),
        Parameter("referrer", "Where the visitor came from."),
        Parameter("userId", "A user id."),
        Parameter("anonymousId", "An anonymous id; a hit without any id counts as a visitor of its own."),
        Parameter("sessionId", "A session id."),
        Parameter("messageId", "Deduplicates."),
        Parameter("consent", "Purposes the visitor granted, separated by commas: `analytics,marketing`."),
        Parameter("notice", "Version of the notice under which they were granted."),
        Parameter("region", "The region the event belongs to."),
    ),
    media_type="image/gif",
    statuses=(400, 401, 403, 421, 429, 503),
    cors=True,
)

_SEGMENT_SETTINGS: Final = Endpoint(
    method="GET",
    path="/v1/projects/{key}/settings",
    tag="SDK settings",
    summary="What Segment's browser SDK asks before it sends.",
    handler=get_segment_settings,
    keys=_WRITE,
    parameters=(Parameter("key", "The write key.", location="path", required=True),),
    response=schemas.ANY_OBJECT,
    statuses=(401, 403, 429, 503),
    cors=True,
)

_REJECTED: Final = Endpoint(
    method="GET",
    path="/v1/rejected",
    tag="Read",
    summary="The newest events of the key's site that were refused, scrubbed, with the reason.",
    handler=get_rejected,
    keys=READING,
    parameters=(
        Parameter("limit", f"How many; {DEFAULT_LIMIT} if not given.", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}),
    ),
    response=schemas.REJECTED,
    statuses=(400, 401, 403, 429, 503),
)

_PERSON: Final = (
    _WRITE_KEY,
    Parameter("anonymousId", "The visitor's anonymous id. Also `anonymous_id`."),
    Parameter("userId", "A user id; with the privacy key only. Also `user_id`."),
)

_CONSENT: Final = (
    Endpoint(
        method="POST",
        path="/v1/consent",
        tag="Consent",
        summary="Grant, deny or withdraw, per purpose. Answered with a signed receipt once it is durable and in force everywhere.",
        handler=post_consent,
        keys=COLLECTING,
        parameters=(_WRITE_KEY,),
        request=schemas.CONSENT,
        response=schemas.CONSENT_RECORDED,
        statuses=(400, 401, 403, 409, 413, 415, 421, 422, 429, 503),
        cors=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/consent",
        tag="Consent",
        summary="With a write key what this anonymous id chose; with a privacy key where the person stands.",
        handler=get_consent,
        keys=ASKING,
        parameters=_PERSON,
        response=schemas.ANY_OBJECT,
        statuses=(400, 401, 403, 429, 503),
        cors=True,
    ),
    Endpoint(
        method="GET",
        path="/v1/consent/statistics",
        tag="Consent",
        summary="How many granted, denied and withdrew at the key's site. Groups of fewer than five choices are not shown.",
        handler=get_consent_statistics,
        keys=READING,
        parameters=(
            Parameter("by", "What to group by, within each purpose.", {"type": "string", "enum": list(DIMENSIONS)}),
            Parameter("since", "First day; default: 30 days up to `until`.", {"type": "string", "format": "date"}),
            Parameter("until", "Last day; default: today (UTC).", {"type": "string", "format": "date"}),
            Parameter("purpose", "Only this purpose."),
        ),
        response=schemas.ANY_OBJECT,
        statuses=(400, 401, 403, 429, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/consent/explain",
        tag="Consent",
        summary="What would be decided about an event, as a trace: each rule in order, what it saw, what it said, which one won.",
        handler=post_explain,
        keys=EXPLAINING,
        request=reference("Supposition"),
        response=schemas.ANY_OBJECT,
        statuses=(400, 401, 403, 413, 415, 429, 503),
    ),
)

_REGION: Final = Parameter("region", "The region's name.", location="path", required=True)
_COUNT: Final = {"type": "integer", "minimum": 0}

_LEDGER: Final = (
    Endpoint(
        method="GET",
        path="/v1/ledger/{region}/checkpoint",
        tag="Ledger",
        summary="The signed head of the region's ledger: a C2SP tlog-checkpoint.",
        handler=get_checkpoint,
        parameters=(_REGION,),
        media_type="text/plain",
        statuses=(404, 429, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/ledger/{region}/inclusion",
        tag="Ledger",
        summary="Proof that an entry is in the tree (RFC 9162, section 2.1.3).",
        handler=get_inclusion,
        parameters=(
            _REGION,
            Parameter("entry", "The entry's number.", _COUNT, required=True),
            Parameter("size", "The tree's size; default: now.", _COUNT),
        ),
        response=schemas.ANY_OBJECT,
        statuses=(400, 404, 429, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/ledger/{region}/consistency",
        tag="Ledger",
        summary="Proof that an earlier tree is the beginning of a later one (RFC 9162, section 2.1.4).",
        handler=get_consistency,
        parameters=(
            _REGION,
            Parameter("first", "The earlier size, 1 or more.", _COUNT, required=True),
            Parameter("second", "The later size; default: now.", _COUNT),
        ),
        response=schemas.ANY_OBJECT,
        statuses=(400, 404, 429, 503),
    ),
    Endpoint(
        method="GET",
        path="/v1/ledger/{region}/entries/{entry}",
        tag="Ledger",
        summary="An entry as it was written.",
        handler=get_entry,
        keys=AUDITING,
        parameters=(_REGION, Parameter("entry", "The entry's number.", _COUNT, location="path", required=True)),
        response=schemas.ANY_OBJECT,
        statuses=(400, 401, 403, 404, 429, 503),
    ),
    Endpoint(
        method="GET",
        path="/.well-known/consentry/keys.json",
        tag="Ledger",
        summary="Every public key that signs or signed receipts and checkpoints, as a JWK set.",
        handler=get_keys,
        response=schemas.ANY_OBJECT,
        statuses=(503,),
        cors=True,
    ),
    Endpoint(
        method="GET",
        path="/.well-known/gpc.json",
        tag="Ledger",
        summary="That Global Privacy Control is honoured.",
        handler=get_gpc,
        response=schemas.ANY_OBJECT,
        cors=True,
    ),
)

_OPERATE: Final = (
    Endpoint(
        method="GET",
        path="/livez",
        tag="Operate",
        summary="The process answers.",
        handler=get_livez,
        response=schemas.ALIVE,
        logged=False,
    ),
    Endpoint(
        method="GET",
        path="/readyz",
        tag="Operate",
        summary="Events can be taken: each region's log is writable and there is disk left.",
        handler=get_readyz,
        response=schemas.READY,
        statuses=(503,),
        logged=False,
    ),
    Endpoint(
        method="GET",
        path="/metrics",
        tag="Operate",
        summary="Numbers in Prometheus's text format.",
        handler=get_metrics,
        media_type="text/plain",
        statuses=(429,),
        logged=False,
    ),
    Endpoint(
        method="GET",
        path="/openapi.json",
        tag="Operate",
        summary="This description.",
        handler=get_openapi,
        response=schemas.ANY_OBJECT,
    ),
    Endpoint(
        method="GET",
        path="/",
        tag="Operate",
        summary="`/docs`, for who opens the gateway in a browser.",
        handler=get_docs,
        media_type="text/html",
    ),
    Endpoint(
        method="GET",
        path="/docs",
        tag="Operate",
        summary="This description, for people.",
        handler=get_docs,
        media_type="text/html",
    ),
    Endpoint(
        method="GET",
        path="/docs/{asset}",
        tag="Operate",
        summary="A file of that page.",
        handler=get_asset,
        parameters=(
            Parameter("asset", "The file's name.", {"type": "string", "enum": sorted(ASSETS)}, location="path", required=True),
        ),
        media_type="*/*",
        logged=False,
    ),
)

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *(_collecting(path, None, summary) for path, summary in _BATCHES),
    *(_collecting(f"/v1/{call}", call, summary) for call, _, summary in _CALLS),
    *(_collecting(f"/v1/{short}", call, f"`/v1/{call}` as Segment's browser SDK calls it.") for call, short, _ in _CALLS),
    _PIXEL,
    _SEGMENT_SETTINGS,
    _rudder_source("/sourceConfig"),
    _rudder_source("/sourceConfig/"),
    *SCRIPT_ENDPOINTS,
    _REJECTED,
    *QUERY_ENDPOINTS,
    *_CONSENT,
    *_LEDGER,
    *REQUEST_ENDPOINTS,
    *OPENDSR_ENDPOINTS,
    *_OPERATE,
)
