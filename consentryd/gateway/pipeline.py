"""The way of an event, written down once: each stage takes what the one before it made, and gives the next or the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from consentryd.config.settings import Settings
from consentryd.gateway.intake import Intake
from consentryd.gateway.stages.consent import Consent
from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.place import Place
from consentryd.gateway.stages.scene import as_json, scenery
from consentryd.gateway.stages.scrub import Scrub
from consentryd.gateway.stages.times import skew_of
from consentryd.gateway.stages.validate import Validate
from consentryd.model.event import CleanEvent, RawEvent
from consentryd.model.outcome import Reason

#: Events that go through a stage before the next stage sees them. Within a stage, too, each step is taken for all of them before the next
#: step: code that runs a hundred times in a row is in the processor's caches, which is half of what it costs.
ABREAST: Final = 128

#: Bytes of events that go through the stages before other requests have their turn. One that only looks like personal data may cost 3 us.
TURN_BYTES: Final = 128 * 1024

#: What a stage gives has as many items as what it takes, in the same order.
Stage = Callable[[Any, Passage], list[Any]]

_NO_CONTEXT: Final[Mapping[str, Any]] = {}


class Pipeline:
    """Runs events through the stages, in the order of `stages`."""

    def __init__(self, validate: Validate, place: Place, consent: Consent, scrub: Scrub) -> None:
        self.stages: tuple[Stage, ...] = (
            validate.check_events,  # RawEvent -> ValidEvent         ids, names, sizes, nesting, time, bots, tracking plan
            place.put_regions,  #     ValidEvent -> PlacedEvent      the region whose keys and policy apply
            consent.check_consents,  # PlacedEvent -> ConsentedEvent  grant, anonymous lane, or drop
            scrub.scrub_events,  #    ConsentedEvent -> CleanEvent   what may be kept, as the row that is stored
        )

    def run(self, events: Sequence[RawEvent], passage: Passage) -> list[CleanEvent | Reason]:
        """A clean event or a reason for each, in order."""
        found: list[CleanEvent | Reason] = []
        for start in range(0, len(events), ABREAST):
            abreast = events[start : start + ABREAST]
            found += self._run(abreast, passage)
            passage.taken += len(abreast)
        return found

    def _run(self, events: Sequence[RawEvent], passage: Passage) -> list[Any]:
        items: list[Any] = list(events)
        fates: dict[int, CleanEvent | Reason] = {}
        positions: Sequence[int] = range(len(items))
        for stage in self.stages:
            items = stage(items, passage)
            if Reason in map(type, items):
                pairs = list(zip(positions, items, strict=True))
                fates.update(pair for pair in pairs if pair[1].__class__ is Reason)
                positions = [position for position, item in pairs if item.__class__ is not Reason]
                items = [item for item in items if item.__class__ is not Reason]
        if not fates:
            return items
        fates.update(zip(positions, items, strict=True))
        return [fates[position] for position in range(len(events))]


def turns(events: Sequence[RawEvent], size: int) -> Iterator[Sequence[RawEvent]]:
    """The events of a body of `size` bytes in parts of `TURN_BYTES`, or of one event."""
    if size <= TURN_BYTES:
        yield events
        return
    start = taken = 0
    for end, event in enumerate(events):
        more = sum(
            len(as_json(value)) for value in (event.event, event.properties, event.traits, event.context) if value is not None
        )
        if taken + more > TURN_BYTES and end > start:
            yield events[start:end]
            start, taken = end, 0
        taken += more
    yield events[start:]


def prepare(intake: Intake, settings: Settings) -> Passage:
    """What the events of a request share on their way, before the first stage."""
    context = intake.context or _NO_CONTEXT
    skew = skew_of(intake.sent_at, intake.received_at)
    return Passage(intake, settings.site_of(intake.key.site), skew, context, scenery(intake, context))
