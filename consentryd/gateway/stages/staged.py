"""The event between the stages: `RawEvent -> ValidEvent -> PlacedEvent -> ConsentedEvent -> CleanEvent`.

The type carries the stage. A stage takes one and returns the next, or a `Reason`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from consentryd.gateway.stages.person import Person
from consentryd.gateway.stages.scene import Scene
from consentryd.model.decision import Decision
from consentryd.model.record import Record

NO_FLAGS: Final[tuple[str, ...]] = ()


class ValidEvent(Record, frozen=True):
    """An event whose shape, sizes, ids and time were checked. `time` is UTC microseconds, corrected for client clock skew.

    `body` is the compact JSON of `properties`; `context` is the event's own as it came, of which `scene` tells all that the stages ask for.
    """

    type: str
    event: str
    person: Person
    event_id: str
    session_id: str | None
    group_id: str | None
    previous_id: str | None
    time: int
    properties: dict[str, Any]
    body: bytes
    traits: dict[str, Any]
    context: Any
    scene: Scene
    flags: tuple[str, ...] = NO_FLAGS

    def flagged(self, flag: str) -> ValidEvent:
        return msgspec.structs.replace(self, flags=(*self.flags, flag))


class PlacedEvent(Record, frozen=True):
    """A valid event and the region that it belongs to, whose keys and policy apply from here on."""

    event: ValidEvent
    region: str


class ConsentedEvent(Record, frozen=True):
    """A placed event with the decision that lets it in, and the keyed digests of the identities it names in its region."""

    event: ValidEvent
    region: str
    decision: Decision
    user: bytes | None = None
    anonymous: bytes | None = None
    previous: bytes | None = None
