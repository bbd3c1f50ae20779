"""The JSON shapes of requests and answers, in OpenAPI 3.0's dialect of JSON Schema, for the endpoint table."""

from __future__ import annotations

from typing import Any, Final

from consentryd.model.event import EVENT_TYPES
from consentryd.model.outcome import Outcome, Reason

_TEXT: Final = {"type": "string"}
_OBJECT: Final = {"type": "object"}

_SHARED: Final[dict[str, Any]] = {
    "event": {**_TEXT, "description": "Name of a track call. Also `event_name`."},
    "messageId": {**_TEXT, "description": "Deduplicates re-sends. Also `message_id`, `event_id`."},
    "userId": {**_TEXT, "description": "Also `user_id`."},
    "anonymousId": {**_TEXT, "description": "Also `anonymous_id`."},
    "sessionId": {"anyOf": [_TEXT, {"type": "integer"}], "description": "Also `session_id`, `context.sessionId`."},
    "groupId": {**_TEXT, "description": "Of a group call. Also `group_id`."},
    "previousId": {**_TEXT, "description": "Of an alias call. Also `previous_id`."},
    "name": {**_TEXT, "description": "Of a page or screen call."},
    "timestamp": {**_TEXT, "description": "When it happened, ISO 8601. Also `originalTimestamp`."},
    "sentAt": {**_TEXT, "description": "The sender's clock when sending; corrects `timestamp`. Also `sent_at`."},
    "properties": _OBJECT,
    "traits": {**_OBJECT, "description": "Of an identify or group call."},
    "context": {**_OBJECT, "description": 'Page, campaign, and consent: `{"consent": {"purposes": {"analytics": true}}}`.'},
}

_KEY: Final = {"writeKey": {**_TEXT, "description": "The key, where no header can carry it. Also `write_key`."}}
_REGION: Final = {"region": {**_TEXT, "description": "The region the events belong to, if the sender knows."}}

_GRANTED: Final = {"consent": {"purposes": {"analytics": True}}}
_TRACK: Final = {"event": "signup_completed", "anonymousId": "visitor-1", "properties": {"plan": "free"}, "context": _GRANTED}

_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "track": _TRACK,
    "identify": {"userId": "u-1", "anonymousId": "visitor-1", "traits": {"plan": "free"}, "context": _GRANTED},
    "page": {"name": "Pricing", "anonymousId": "visitor-1", "context": _GRANTED},
    "screen": {"name": "Cart", "anonymousId": "visitor-1", "context": _GRANTED},
    "group": {"groupId": "g-1", "userId": "u-1", "traits": {"plan": "team"}, "context": _GRANTED},
    "alias": {"userId": "u-1", "previousId": "u-0", "context": _GRANTED},
}


def call(name: str) -> dict[str, Any]:
    """What a single call of this type takes."""
    return {"type": "object", "properties": {**_SHARED, **_KEY, **_REGION}, "example": _EXAMPLES[name]}


BATCH: Final[dict[str, Any]] = {
    "type": "object",
    "example": {"batch": [{"type": "track", **_TRACK}]},
    "required": ["batch"],
    "properties": {
        "batch": {
            "type": "array",
            "items": {"type": "object", "properties": {"type": {"enum": sorted(EVENT_TYPES)}, **_SHARED}},
        },
        "sentAt": _SHARED["sentAt"],
        "context": {
            **_OBJECT,
            "description": "Lies under the context of each event; what it refuses is refused for all of them.",
        },
        "dropped": {"type": "integer", "minimum": 0, "description": "Events that the sender lost since it last said so."},
        "partial": {"type": "boolean", "description": "You read `results`, and send again only what they call `retry`."},
        **_KEY,
        **_REGION,
    },
}

_RESULT: Final = {
    "type": "object",
    "required": ["id", "outcome", "reason"],
    "properties": {
        "id": {"type": "string", "nullable": True},
        "outcome": {"enum": [outcome.value for outcome in Outcome]},
        "reason": {"type": "string", "nullable": True, "enum": [*(reason.value for reason in Reason), None]},
        "violation": {
            "type": "object",
            "description": "Where the event does not fit the tracking plan, with `plan_violation`.",
            "required": ["pointer", "keyword"],
            "properties": {"pointer": {"type": "string"}, "keyword": {"type": "string"}},
        },
    },
}

RESULTS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["accepted", "results", "success"],
    "properties": {
        "accepted": {"type": "integer", "minimum": 0, "description": "Events that the store holds now."},
        "results": {"type": "array", "items": _RESULT, "description": "What is not plainly stored; everything with `verbose=1`."},
        "success": {"type": "boolean", "enum": [True]},
    },
}

_NOTICE: Final = {
    "description": "The notice that was shown: its version, or `version` with the text's SHA-256 as `hash`, or the `text` itself.",
    "oneOf": [
        {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,64}$"},
        {
            "type": "object",
            "properties": {"version": _TEXT, "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"}, "text": _TEXT},
        },
    ],
}

CONSENT: Final[dict[str, Any]] = {
    "type": "object",
    "example": {"purposes": {"analytics": True}, "anonymousId": "visitor-1", "notice": "2026-12"},
    "properties": {
        "purposes": {
            "description": "Yes or no for each, or with an `action` its names; a grant must name them, a refusal of none is of all.",
            "oneOf": [
                {"type": "object", "additionalProperties": {"type": "boolean"}},
                {"type": "array", "items": _TEXT},
            ],
        },
        "action": {"enum": ["grant", "deny", "withdraw"]},
        "anonymousId": {**_TEXT, "description": "Also `anonymous_id`."},
        "userId": {**_TEXT, "description": "With a server key only; with a write key it counts for nothing. Also `user_id`."},
        "notice": _NOTICE,
        "language": {"type": "string", "description": "The language it was shown in, such as `de-AT`."},
        **_KEY,
        **_REGION,
    },
}

CONSENT_RECORDED: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["region", "in_force", "receipt", "also", "identities"],
    "properties": {
        "region": _TEXT,
        "in_force": {"type": "object", "additionalProperties": {"enum": ["granted", "refused"]}},
        "receipt": {**_OBJECT, "description": "Keep it: it proves the choice, offline. See docs/consent-ledger.md."},
        "also": {"type": "array", "items": _OBJECT, "description": "The same of other regions that knew the person."},
        "identities": {"type": "array", "items": {"enum": ["user_id", "anonymous_id"]}, "description": "What was acted on."},
    },
}

ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": _TEXT, "message": _TEXT},
        }
    },
}

REJECTED: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["rejected"],
    "properties": {
        "rejected": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["received_at", "outcome", "reason", "event"],
                "properties": {
                    "received_at": {"type": "string", "format": "date-time"},
                    "outcome": {"enum": [outcome.value for outcome in Outcome]},
                    "reason": {"enum": [reason.value for reason in Reason]},
                    "event": {"description": "What scrubbing left of the event."},
                },
            },
        }
    },
}

ALIVE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["alive"],
    "properties": {"alive": {"type": "boolean", "enum": [True]}},
}

READY: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["ready", "checks"],
    "properties": {
        "ready": {"type": "boolean", "enum": [True]},
        "checks": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"name": _TEXT, "ok": {"type": "boolean"}, "detail": _TEXT},
            },
        },
    },
}

ANY_OBJECT: Final[dict[str, Any]] = _OBJECT
