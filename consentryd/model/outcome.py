"""What becomes of an event. Each item that comes in leaves with exactly one outcome; outcomes sum to items.

Outcomes and reasons are stable API: clients see them in results, operators in metrics, and `docs/http-api.md` lists each one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from consentryd.model.record import Record


class Outcome(StrEnum):
    """The fate of one event."""

    STORED = "stored"
    ANONYMOUS = "anonymous"
    DUPLICATE = "duplicate"
    DROPPED = "dropped"
    REJECTED = "rejected"
    RETRY = "retry"


class Reason(StrEnum):
    """Why an event was not stored. The closed list; `OUTCOME_OF` says whether it was dropped, rejected or may be retried."""

    # the sender's mistake: rejected
    INVALID_TYPE = "invalid_type"
    INVALID_EVENT = "invalid_event"
    INVALID_ID = "invalid_id"
    MISSING_IDENTITY = "missing_identity"
    INVALID_PROPERTIES = "invalid_properties"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    INVALID_TIME = "invalid_time"
    TOO_OLD = "too_old"
    IN_FUTURE = "in_future"
    PLAN_VIOLATION = "plan_violation"
    WRONG_REGION = "wrong_region"
    # our decision: dropped
    BOT = "bot"
    NO_CONSENT = "no_consent"
    CONSENT_DENIED = "consent_denied"
    CONSENT_INVALID = "consent_invalid"
    OPTED_OUT = "opted_out"
    WITHDRAWN = "withdrawn"
    SUPPRESSED = "suppressed"
    NOT_ALLOWED_ANONYMOUSLY = "not_allowed_anonymously"
    # not our day: send it again
    UNAVAILABLE = "unavailable"


#: What a store answers for an event.
Verdict = Outcome | Reason

OUTCOME_OF: Final[dict[Reason, Outcome]] = {
    Reason.INVALID_TYPE: Outcome.REJECTED,
    Reason.INVALID_EVENT: Outcome.REJECTED,
    Reason.INVALID_ID: Outcome.REJECTED,
    Reason.MISSING_IDENTITY: Outcome.REJECTED,
    Reason.INVALID_PROPERTIES: Outcome.REJECTED,
    Reason.TOO_LARGE: Outcome.REJECTED,
    Reason.TOO_DEEP: Outcome.REJECTED,
    Reason.INVALID_TIME: Outcome.REJECTED,
    Reason.TOO_OLD: Outcome.REJECTED,
    Reason.IN_FUTURE: Outcome.REJECTED,
    Reason.PLAN_VIOLATION: Outcome.REJECTED,
    Reason.WRONG_REGION: Outcome.REJECTED,
    Reason.BOT: Outcome.DROPPED,
    Reason.NO_CONSENT: Outcome.DROPPED,
    Reason.CONSENT_DENIED: Outcome.DROPPED,
    Reason.CONSENT_INVALID: Outcome.DROPPED,
    Reason.OPTED_OUT: Outcome.DROPPED,
    Reason.WITHDRAWN: Outcome.DROPPED,
    Reason.SUPPRESSED: Outcome.DROPPED,
    Reason.NOT_ALLOWED_ANONYMOUSLY: Outcome.DROPPED,
    Reason.UNAVAILABLE: Outcome.RETRY,
}

DESCRIPTION: Final[dict[Reason, str]] = {
    Reason.INVALID_TYPE: "The call type is none of track, page, screen, identify, group, alias.",
    Reason.INVALID_EVENT: "The event is not an object, or a track call has no usable event name (1 to 200 characters).",
    Reason.INVALID_ID: "An id is not text or is too long, or a person's or group's is a placeholder such as `null` or `{{user_id}}`.",
    Reason.MISSING_IDENTITY: "Nothing forbids to store the event as a person's, but it names neither a user id nor an anonymous id, "
    "and its name is not on the list for counting; or an alias or group call lacks its second id.",
    Reason.INVALID_PROPERTIES: "`properties`, `traits` or `context` is not an object, or a level of the first two has more than 255 keys.",
    Reason.TOO_LARGE: "The event is larger than the limit for one event.",
    Reason.TOO_DEEP: "The event nests deeper than the limit.",
    Reason.INVALID_TIME: "The timestamp is not a time.",
    Reason.TOO_OLD: "The timestamp lies further in the past than the limit.",
    Reason.IN_FUTURE: "The timestamp lies further in the future than the limit.",
    Reason.PLAN_VIOLATION: "The event does not fit the site's tracking plan; `violation` says where.",
    Reason.WRONG_REGION: "The event belongs to a region that this process does not serve.",
    Reason.BOT: "The user agent is a known bot's.",
    Reason.NO_CONSENT: "No grant covers the event's purpose where the law asks for one.",
    Reason.CONSENT_DENIED: "A signal with the event denies its purpose.",
    Reason.CONSENT_INVALID: "A consent signal is malformed, expired, future-dated or out of scope, which counts as denial.",
    Reason.OPTED_OUT: "An opt-out signal (Global Privacy Control, GPP, US Privacy) covers the event's purpose.",
    Reason.WITHDRAWN: "The data subject has withdrawn consent for the event's purpose.",
    Reason.SUPPRESSED: "The data subject was erased and future events are blocked.",
    Reason.NOT_ALLOWED_ANONYMOUSLY: "Without a grant the event could only be counted anonymously, and its name is not on the list for that.",
    Reason.UNAVAILABLE: "The store could not take the event; send it again.",
}


class Violation(NamedTuple):
    """Where an event does not fit its tracking plan: a JSON pointer into the properties, in names of the plan, and the schema's keyword."""

    pointer: str
    keyword: str


class Result(Record, frozen=True):
    """The fate of one event, by the id its sender gave it, or we did (None: neither)."""

    id: str | None
    outcome: Outcome
    reason: Reason | None = None
    violation: Violation | None = None
