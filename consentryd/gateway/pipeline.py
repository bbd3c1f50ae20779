"""The way of an event, written down once: each stage takes what the one before it made, or gives the reason why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from consentryd.gateway.stages.consent import Consent
from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.place import Place
from consentryd.gateway.stages.scrub import Scrub
from consentryd.gateway.stages.validate import Validate
from consentryd.model.event import CleanEvent, RawEvent
from consentryd.model.outcome import Reason

Stage = Callable[[Any, Passage], Any]


class Pipeline:
    """Runs events through the stages, in the order of `stages`."""

    def __init__(self, validate: Validate, place: Place, consent: Consent, scrub: Scrub) -> None:
        self.stages: tuple[Stage, ...] = (
            validate.check_event,  #  RawEvent -> ValidEvent       ids, names, sizes, nesting, time, bots, tracking plan
            place.put_region,  #      ValidEvent -> PlacedEvent    the region whose keys and policy apply
            consent.check_consent,  # PlacedEvent -> ConsentedEvent  grant, anonymous lane, or drop
            scrub.scrub_event,  #     ConsentedEvent -> CleanEvent   what may be kept, as the row that is stored
        )

        self._place = place

    def run(self, events: Sequence[RawEvent], passage: Passage) -> list[CleanEvent | Reason]:
        """A clean event or a reason for each, in order. Stage by stage over the batch: the caches of a small machine like it so."""
        self._place.look_ahead(events, passage)
        items: list[Any] = list(events)
        for stage in self.stages:
            items = [item if isinstance(item, Reason) else stage(item, passage) for item in items]
        return items
