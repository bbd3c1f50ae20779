"""The event as it comes in (`RawEvent`) and as it is stored (`CleanEvent`); what it is between stands in `gateway/stages/staged.py`.

The type carries the stage: `Log.append` takes only `CleanEvent`, so storing an event before it was consented and scrubbed is a type error.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from consentryd.model.record import Record

SCHEMA_VERSION: Final = 1

EVENT_TYPES: Final = frozenset({"track", "page", "screen", "identify", "group", "alias"})


class RawEvent(Record, frozen=True):
    """One event as a protocol adapter read it: canonical names, values of any JSON type, nothing believed yet.

    `properties`, `traits` and `context` may be JSON that nobody has looked into (`gateway.document`).
    """

    type: Any
    event: Any = None
    event_id: Any = None
    user_id: Any = None
    anonymous_id: Any = None
    session_id: Any = None
    group_id: Any = None
    previous_id: Any = None
    timestamp: Any = None
    sent_at: Any = None
    properties: Any = None
    traits: Any = None
    context: Any = None


class Column(NamedTuple):
    """One stored column: its name and its type, in the words of `storage.schema` (`string`, `int64`, `int16`, `time`, `money`)."""

    name: str
    kind: str


#: What is stored of an event, in order; the whole of it. No IP address, no user agent, no raw user id, in any lane.
COLUMNS: Final[tuple[Column, ...]] = (
    Column("event_id", "string"),
    Column("site", "string"),
    Column("type", "string"),
    Column("event", "string"),
    Column("time", "time"),
    Column("received_at", "time"),
    Column("lane", "string"),
    Column("purpose", "string"),
    Column("consent_ref", "string"),
    Column("subject", "int64"),
    Column("visitor", "string"),
    Column("session", "int64"),
    Column("country", "string"),
    Column("subdivision", "string"),
    Column("device", "string"),
    Column("os", "string"),
    Column("browser", "string"),
    Column("browser_major", "int16"),
    Column("host", "string"),
    Column("path", "string"),
    Column("title", "string"),
    Column("referrer_host", "string"),
    Column("utm_source", "string"),
    Column("utm_medium", "string"),
    Column("utm_campaign", "string"),
    Column("utm_term", "string"),
    Column("utm_content", "string"),
    Column("revenue", "money"),
    Column("currency", "string"),
    Column("properties", "string"),
    Column("redactions", "string"),
    Column("schema_version", "int16"),
)

#: What is kept of a campaign.
UTM: Final = tuple(column.name for column in COLUMNS if column.name.startswith("utm_"))

POSITION: Final[dict[str, int]] = {column.name: position for position, column in enumerate(COLUMNS)}


class CleanEvent(Record, frozen=True):
    """An event ready to be stored in `region`: placed, consented and scrubbed.

    `dedup` is a 64-bit keyed hash of site and event id (a Python int in [0, 2**64)). `user`, `anonymous` and `previous` are the
    16-byte keyed digests of the identities named, from which the log resolves `subject` inside its transaction; all three are
    None in the anonymous lane. `row` holds the values of `COLUMNS` in order: times as UTC microseconds, money as a decimal
    string, JSON as text; `subject` is None until the log fills it. `email` is the digest of an e-mail address the event told of its
    person: requests find the person by it, it decides nothing else.
    """

    region: str
    dedup: int
    user: bytes | None
    anonymous: bytes | None
    previous: bytes | None
    row: list[Any]
    email: bytes | None = None
