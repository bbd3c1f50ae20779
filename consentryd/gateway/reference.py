"""`docs/http-api.md`, made from the endpoint table, the outcomes and the errors."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Final

from consentryd.gateway.endpoint import Endpoint
from consentryd.gateway.endpoints import ENDPOINTS
from consentryd.gateway.metrics import Metrics
from consentryd.model.outcome import DESCRIPTION, OUTCOME_OF, Outcome, Reason
from consentryd.privacy.redaction import Action

_OUTCOMES: Final = {
    Outcome.STORED: "Durable, as the subject's.",
    Outcome.ANONYMOUS: "Durable, counted without any person.",
    Outcome.DUPLICATE: "An event with this id is already there.",
    Outcome.DROPPED: "Deliberately not kept; sending it again changes nothing.",
    Outcome.REJECTED: "The event is wrong; it has to be corrected.",
    Outcome.RETRY: "Not kept this time; send it again. Told to who sends `partial` only.",
}

_STATUSES: Final = (
    (200, "", "Every event has its outcome. Not 202: some SDKs send again whatever is not exactly 200."),
    (201, "", "An OpenDSR request was taken."),
    (202, "", "An OpenDSR request was cancelled."),
    (
        400,
        "`bad_json`, `bad_body`, `bad_encoding`, `bad_parameter`, `bad_request`",
        "The request cannot be read. Do not send it again.",
    ),
    (401, "`missing_key`, `unknown_key`, `bad_token`", "No key or token, or none that is valid here."),
    (
        403,
        "`wrong_key_kind`, `forbidden_origin`, `forbidden_identity`, `other_site`",
        "The key or token may not do this, not from this origin, or not for this id or site.",
    ),
    (404, "`not_found`", "There is nothing at this path."),
    (405, "`method_not_allowed`", "`Allow` names the methods."),
    (409, "`conflict`, `suppressed`", "Another request has this id, it is too late to cancel, or the person is suppressed."),
    (413, "`body_too_large`, `batch_too_large`", "Send less at once; the answer has the limit."),
    (415, "`unsupported_encoding`", "Content-Encoding is none of gzip, deflate, br, zstd."),
    (
        421,
        "`wrong_region`, `unknown_region`",
        "The events belong to a region served elsewhere, `error.endpoint` says where; or to none of `error.regions`. Nothing was kept.",
    ),
    (422, "`invalid`", "It can be read, but not accepted as it is; the message says why."),
    (429, "`rate_limited`", "Come back after `Retry-After` seconds."),
    (
        503,
        "`store_unavailable`, `overloaded`, `body_too_slow`, `not_ready`",
        "Nothing was kept. Come back after `Retry-After` seconds.",
    ),
    (
        503,
        "`partly_unavailable`",
        "One of several regions could not take its part, what others took is kept. Send all of it again after `Retry-After` seconds.",
    ),
    (
        503,
        "`keys_unavailable`",
        "Keys that sign are damaged: nothing was kept. The log names their file, and so does `consentry doctor`.",
    ),
)

_HEAD: Final = """\
# HTTP API

Made by `make docs` from the endpoint table; a test keeps the two equal. A running gateway shows the
same at `/docs` and, for machines, at `/openapi.json`.

## Keys

A key is sent as the Basic user name (no password), as `Authorization: Bearer ...`, as `X-Write-Key`, as the query parameter `writeKey` or
`write_key`, or under these names in the body. The first of these that is there counts.

| kind | may | in a browser |
|---|---|---|
| write | collect, choose for an anonymous id | yes; an origin list binds browsers: without an `Origin` it does not apply |
| server | collect, choose for anybody | no: a request with an `Origin` header is refused with 403 |
| read | read, statistics | not across origins |
| privacy | the rights endpoints, anybody's choices | not across origins |

Events of a server key describe other people's machines: country and device come from the events' `context.ip` and
`context.userAgent`, never from the connection. The same holds for connections whose user agent is a server library's: their country
counts as unknown. With a write key, too, what the event's own context says goes before the connection.

## Collecting

The wire format is Segment's Tracking API in both spellings (`userId` or `user_id`). A batch is `{"batch": [...], "sentAt": ...}` or a bare
array; the other paths take one event. A slash behind a path makes no difference.
Content types are not believed: a body is JSON. It may be compressed with gzip, deflate (zlib or raw), br or zstd, as
`Content-Encoding` says or, for gzip and zstd, as its first bytes say; of gzip up to
1,024 members behind one another. The last of duplicate JSON keys counts; integers beyond 64 bits are read as floats; half a surrogate pair
is read as U+FFFD. A time is ISO 8601 or RFC 3339 text, UTC where it names no zone, or a Unix time as a number; a leap second is the
second after it.

    curl -u "$WRITE_KEY:" http://127.0.0.1:8088/v1/track -d '{"event": "Plan Chosen", "anonymousId": "a-1",
      "context": {"consent": {"purposes": {"analytics": true}}}}'

    {"accepted": 1, "results": [], "success": true}

`accepted` is how many events the store holds now (stored, anonymous, duplicate). `results` lists, in the order sent, what is not plainly
stored; `?verbose=1` lists everything. A bad event never fails its neighbours: a number beyond all bounds (`1e400`) is its own event's
fault as well. Of a body that is no JSON the error names the `line` and `column`, or the `byte` that is not UTF-8.

Where one region cannot take its events and another can, the answer is 503 (`partly_unavailable`): send all of it again; what is kept is
told by its id. Who reads results and sends again only what they call `retry` says so with `"partial": true` beside the batch, and gets
200. An event without an id may be stored twice by a retry ([record 62](decisions/0062-who-hears-that-one-region-failed.md)).

A result's `id` is the event's `messageId` as it was sent; where none was sent, it is the one that the gateway gave to a consented event,
else null. With `plan_violation` comes `violation`: a JSON `pointer` to the property, empty for all of them, and the schema's `keyword`
(`{"pointer": "/price", "keyword": "type"}`), never a value; a name that the plan does not have is written `*`. The dead letter has it too.
It is told of the first 100 such events of a request.

Ids that broken code sends in place of one (`null`, `undefined`, `(null)`, `[object Object]`, `0`, `-1`, `-`, only zeros, `{{user_id}}`,
`${userId}`, `%s` and the like, however quoted, in whatever case, in full-width letters or with invisible characters between) stand for
everybody who shares the mistake. As the id of a person or a group they are refused (`invalid_id`). As a `messageId` or `sessionId` they
count as none: the event gets an id of its own, and belongs to no session that was named.

Consent travels in `context.consent`; `Sec-GPC` and `DNT` headers, the query parameters `gdpr`, `gdpr_consent`, `gpp`, `gpp_sid`,
`us_privacy`, `gcs`, `gcd` and the cookies `euconsent-v2`, `__gpp`, `__gpp_sid`, `usprivacy` are read as well. A `context` beside the
batch lies under each event's own; what it refuses is refused, also where an event says otherwise
(`test_what_a_batchs_context_refuses_no_event_of_it_grants`). A region is declared by
`region` beside the batch or the single event in the body, or by the header `X-Consentry-Region`, in letters of any case. One that is not
configured is refused with its whole request (421 `unknown_region`): its events would land where nobody declared them to. A key that is
pinned to a region decides alone.

Limits are settings (`docs/configuration.md`). Requests are counted per key and, for write keys and unknown ones, per client network
(v4 /24, v6 /48); each worker counts for itself.

Pages of any origin may ask: the origin is echoed, credentials are allowed, preflights need no key. An idle connection is closed after
`server.header_timeout_s`, which is also the time a request head may take.

"""


def http_api() -> str:
    """The page, in Markdown."""
    return _HEAD + "\n".join([*_endpoint_lines(ENDPOINTS), *_outcome_lines(), *_status_lines(), *_metric_lines()])


def _endpoint_lines(endpoints: Iterable[Endpoint]) -> Iterator[str]:
    tag = ""
    yield "## Endpoints"
    for endpoint in endpoints:
        if endpoint.tag != tag:
            tag = endpoint.tag
            yield from ("", f"### {tag}", "", "| | keys | |", "|---|---|---|")
        keys = ", ".join(sorted(kind.value for kind in endpoint.keys)) or "none"
        yield f"| `{endpoint.method} {endpoint.path}` | {keys} | {endpoint.summary}{_parameters(endpoint)} |"
    yield ""


def _parameters(endpoint: Endpoint) -> str:
    if endpoint.method == "POST" or not endpoint.parameters:
        return ""
    return "<br>" + "<br>".join(f"`{parameter.name}`: {parameter.description}" for parameter in endpoint.parameters)


def _outcome_lines() -> Iterator[str]:
    yield from ("## Outcomes", "", "| outcome | |", "|---|---|")
    for outcome, text in _OUTCOMES.items():
        yield f"| `{outcome}` | {text} |"
    yield from ("", "## Reasons", "", "| reason | outcome | |", "|---|---|---|")
    for reason in Reason:
        yield f"| `{reason}` | `{OUTCOME_OF[reason]}` | {DESCRIPTION[reason]} |"
    yield ""


def _status_lines() -> Iterator[str]:
    yield from (
        "## Statuses",
        "",
        'Every error is `{"error": {"code", "message", ...}}`; a message never repeats what was sent.',
        "",
    )
    yield from ("| status | codes | |", "|---|---|---|")
    for status, codes, text in _STATUSES:
        yield f"| {status} | {codes} | {text} |"
    yield ""


def _metric_lines() -> Iterator[str]:
    yield from (
        "## Metrics",
        "",
        "What `GET /metrics` shows. Whichever worker is asked answers for all: each line has the label `worker`, and a sum over it is the",
        "gateway's. A histogram comes as `..._bucket`, with the label `le`, `..._count` and `..._sum`.",
        "",
        "| metric | kind | labels | |",
        "|---|---|---|---|",
    )
    for family in _metrics().registry.collect():
        ending = "_total" if family.type == "counter" else ""
        labels = dict.fromkeys(f"`{name}`" for sample in family.samples for name in sample.labels if name != "le")
        yield f"| `{family.name}{ending}` | {family.type} | {', '.join(labels)} | {family.documentation} |"
    yield ""


def _metrics() -> Metrics:
    """With a line in each family, which tells its labels."""
    metrics = Metrics()
    metrics.count_request("/v1/track", 200)
    metrics.observe_commit("eu", 0.0)
    metrics.count_commit_failure("eu", "locked")
    metrics.set_log_depth("eu", 0)
    metrics.set_seal_lag("eu", 0.0)
    metrics.set_audit({"email": 0}, 0.0)
    metrics.watch_redactions([{("email", Action.TYPE): 0}])
    return metrics


if __name__ == "__main__":
    sys.stdout.write(http_api())
