"""Asks the stores where a request's people stand before its events go through the stages: once for all requests that came together.

A statement gives the interpreter away ten times, and beside threads that commit and seal it comes back late each time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final, NamedTuple

from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.person import Person, Persons
from consentryd.gateway.stages.place import Named, Place
from consentryd.model.event import RawEvent

#: More events of a request are worth statements of their own.
FEW: Final = 16


class _Wanted(NamedTuple):
    newcomers: set[Named]
    regions: AbstractSet[str]
    passage: Passage
    told: asyncio.Future[None]


class Foresight:
    """One for a process, on its event loop. What it does not tell a request, the stages ask for themselves."""

    def __init__(self, place: Place, persons: Persons) -> None:
        self._place = place
        self._persons = persons
        self._waiting: list[_Wanted] = []

    async def foresee(self, events: Sequence[RawEvent], passage: Passage) -> None:
        """Of few events note in `passage` whom of their people no store knows, and what choices are as of now.

        Raises what `put_regions` raises.
        """
        passage.foreseen = len(events) <= FEW
        if not passage.foreseen:
            return
        site = passage.intake.key.site
        named = {self._persons.of(site, raw.user_id, raw.anonymous_id) for raw in events}
        named |= {self._persons.of(site, raw.user_id, raw.previous_id) for raw in events if raw.previous_id is not None}
        newcomers, regions = self._place.expected([each for each in named if isinstance(each, Person)], passage)
        newcomers -= passage.strangers
        if not newcomers and regions <= passage.looked.keys():
            return
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._look)
        told = loop.create_future()
        self._waiting.append(_Wanted(newcomers, regions, passage, told))
        await told

    def _look(self) -> None:
        """For all who wait by now."""
        waiting, self._waiting = self._waiting, []
        newcomers = set[Named]().union(*(each.newcomers for each in waiting))
        regions = set[str]().union(*(each.regions for each in waiting))
        try:
            self._place.welcome(newcomers, regions, [each.passage for each in waiting])
        except Exception as error:  # noqa: BLE001 - it is raised to each of them
            for told in _unanswered(waiting):
                told.set_exception(error)
        else:
            for told in _unanswered(waiting):
                told.set_result(None)


def _unanswered(waiting: Sequence[_Wanted]) -> list[asyncio.Future[None]]:
    """Of those whose request was not given up meanwhile."""
    return [each.told for each in waiting if not each.told.done()]
