"""Looking up who is in saved cohorts: when asked, and of dynamic ones on a schedule, so that their history is kept. In the first worker."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Final

from structlog.typing import FilteringBoundLogger

from consentryd.analytics.control import Control
from consentryd.analytics.saved import SavedCohort
from consentryd.gateway.querying import Querying
from consentryd.model.clock import HOUR, Clock
from consentryd.storage.damage import explain
from consentryd.storage.saved import Saved

TICK_S: Final = 30.0

Members = dict[str, list[int]]


def members_of(querying: Querying, cohort: SavedCohort, site: str, now: int, control: Control) -> Members:
    """The subjects in a cohort at `now`, by region. Raises what `Engine.ask` raises."""
    if cohort.behind is not None:
        return querying.engine.behind(cohort.behind.query, cohort.behind.point, site, now, control)
    assert cohort.rule is not None
    return querying.engine.members(cohort.rule, site, now, control)


class Reckoner:
    """Run `keep` as a task; cancelling it lets the cohort in hand finish."""

    def __init__(self, querying: Querying, clock: Clock, logger: FilteringBoundLogger) -> None:
        self._querying = querying
        self._clock = clock
        self._logger = logger
        self._every = round(querying.settings.cohort_hours * HOUR)
        self._told: set[str] = set()

    async def keep(self) -> None:
        """For ever, unless `analytics.cohort_hours` is 0."""
        while self._every:
            try:
                await asyncio.to_thread(self.run)
            except sqlite3.Error as error:
                self._logger.warning("cohorts could not be looked at", reason=explain(error))
            await asyncio.sleep(TICK_S)

    def run(self) -> int:
        """Reckon every cohort that is due; how many were."""
        return sum(self._reckon(site, saved) for site, saved in self._querying.saved.everywhere("cohort"))

    def _reckon(self, site: str, saved: Saved) -> bool:
        book, now = self._querying.book.of(site), self._clock.now()
        cohort = SavedCohort.model_validate_json(saved.body)
        last = book.reckoned(saved.id)
        if cohort.static or (last is not None and now - last.at < self._every):
            return False
        try:
            book.record(saved, members_of(self._querying, cohort, site, now, Control(self._querying.settings.query_seconds)), now)
        except Exception as error:  # noqa: BLE001 - tried again at the next look; the operator reads of it once
            if saved.id not in self._told:
                self._logger.warning("a cohort could not be reckoned", cohort=saved.id, error=type(error).__name__)
            self._told.add(saved.id)
            return False
        self._told.discard(saved.id)
        return True
