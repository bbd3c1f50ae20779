"""Counts what consent signals of events said, for the statistics: in memory, added to the store's daily counts now and then.

A crash loses some seconds of counts. Nothing else depends on them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Final

from consentryd.consent.signals.reading import Signals
from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.staged import PlacedEvent
from consentryd.model.clock import SECOND, Clock
from consentryd.model.decision import Decision
from consentryd.model.error import Unavailable
from consentryd.model.outcome import Reason
from consentryd.storage.ledger import iso
from consentryd.storage.region import RegionStore
from consentryd.storage.statistic import count_choice
from consentryd.storage.writer import Transaction

FLUSH_EVERY_S: Final = 10.0

#: Site, purpose, state, and country, device, notice, source.
Key = tuple[str, str, str, tuple[str, str, str, str]]

_DENIALS: Final = frozenset({Reason.OPTED_OUT, Reason.CONSENT_DENIED, Reason.CONSENT_INVALID})
_DENYING_RULES: Final = frozenset({"opt-out", "denial", "invalid"})


class Tally:
    """One for a process."""

    def __init__(self, stores: Mapping[str, RegionStore], clock: Clock) -> None:
        self._stores = stores
        self._clock = clock
        self._counts: dict[str, Counter[Key]] = {name: Counter() for name in stores}

    def note(self, placed: PlacedEvent, purpose: str, signals: Signals, decision: Decision | Reason, passage: Passage) -> None:
        """One event with signals. Of one request equal ones count once: a batch is one visitor's word."""
        state = _state(decision)
        if state is None:
            return
        scene = placed.event.scene
        traits = (scene.client.country or "", scene.client.device or "", scene.notice, signals.names)
        key = (passage.intake.key.site, purpose, state, traits)
        if (placed.region, key) not in passage.tallied:
            passage.tallied.add((placed.region, key))
            self._counts[placed.region][key] += 1

    async def keep(self) -> None:
        """Adds up every few seconds, for ever, and once more when cancelled."""
        try:
            while True:
                await asyncio.sleep(FLUSH_EVERY_S)
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Bring the counts into the stores; those that cannot be written wait."""
        day = iso(self._clock.now() // SECOND * SECOND)[:10]
        for name, store in self._stores.items():
            counts = self._counts[name]
            if not counts:
                continue
            self._counts[name] = Counter()
            try:
                await store.log.transact(partial(_add, counts=counts, day=day))
            except Unavailable:
                self._counts[name].update(counts)


def _state(decision: Decision | Reason) -> str | None:
    """What the signals said of the event's purpose; None if they left it open."""
    if isinstance(decision, Reason):
        return "denied" if decision in _DENIALS else None
    rule = decision.ref.rpartition("/")[2]
    if rule == "grant":
        return "granted"
    return "denied" if rule in _DENYING_RULES else None


def _add(transaction: Transaction, counts: Mapping[Key, int], day: str) -> None:
    for (site, purpose, state, traits), times in counts.items():
        count_choice(transaction.connection, day, site, purpose, state, traits, times)
