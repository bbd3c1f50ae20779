"""What a refused event leaves behind for the operator: its reason and its shape, never a value.

An event that was refused was never consented to, so its values are not ours to keep: a letter holds the call, the (scrubbed) event
name and, for the sender's mistakes, the names and JSON types of its properties, and where they break the tracking plan. Where one of
the event's own ids stands in these, none is kept: what is left would be found by no erasure.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from consentryd.gateway.document import look_into
from consentryd.model.clock import HOUR
from consentryd.model.event import EVENT_TYPES, RawEvent
from consentryd.model.outcome import OUTCOME_OF, Outcome, Reason, Violation
from consentryd.privacy.identifier import Identifiers
from consentryd.privacy.scrub import Scrubber
from consentryd.storage.rejected import Letter

_KEYS: Final = 50
_NAME_CHARS: Final = 200
_TYPES: Final = {
    dict: "object",
    list: "array",
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
}


def letter(
    raw: RawEvent, reason: Reason, site: str, received_at: int, scrubber: Scrubber, violation: Violation | None = None
) -> Letter:
    """The dead letter of a refused event. Of what we dropped ourselves, only the hour is kept.

    `violation` is where it does not fit the tracking plan, in the plan's own words.
    """
    outcome = OUTCOME_OF[reason]
    shape: dict[str, Any] = {
        "type": raw.type if isinstance(raw.type, str) and raw.type in EVENT_TYPES else None,
        "event": raw.event if isinstance(raw.event, str) else None,
    }
    if outcome is Outcome.REJECTED:
        shape["properties"] = _types(look_into(raw.properties))
    named = (each for each in (raw.user_id, raw.anonymous_id, raw.previous_id, raw.group_id) if isinstance(each, str))
    scrubbed = scrubber.scrub("", site, shape)
    fields = scrubbed.fields
    if Identifiers(named).stand_in(fields, scrubbed.properties):
        fields = {"type": shape["type"], "event": None}
    elif violation is not None:
        fields = {**fields, "violation": violation._asdict()}
    kept_at = received_at if outcome is Outcome.REJECTED else received_at // HOUR * HOUR
    return Letter(site, kept_at, outcome, reason, orjson.dumps(_cut(fields)).decode())


def _cut(value: Any) -> Any:
    """Names at most so long. Cut only now: half an address would not have been found."""
    if isinstance(value, dict):
        return {name[:_NAME_CHARS]: _cut(inner) for name, inner in value.items()}
    return value[:_NAME_CHARS] if isinstance(value, str) else value


def _types(value: Any) -> Any:
    if not isinstance(value, dict):
        return _TYPES.get(type(value), "unknown")
    return {str(key): _TYPES.get(type(item), "unknown") for key, item in list(value.items())[:_KEYS]}
