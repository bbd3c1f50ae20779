"""Results in memory go within a second of the moment when somebody is erased, restricted, or refuses a purpose. In every worker."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from typing import Final

from consentryd.gateway.querying import Querying
from consentryd.storage.region import RegionStore

TICK_S: Final = 1.0

_STAND: Final = (
    "SELECT (SELECT count(*) FROM tombstone), (SELECT count(*) FROM erased), (SELECT count(*) FROM restriction), "
    "(SELECT count(*) FROM held_back), (SELECT total(until) FROM withdrawal)"
)


class Forgetter:
    """Run `keep` as a task. Queries look for themselves; this is for results that nobody asks for again."""

    def __init__(self, querying: Querying, stores: Mapping[str, RegionStore]) -> None:
        self._querying = querying
        self._stores = stores
        self._stand = self._look()

    async def keep(self) -> None:
        """Looks every second, for ever."""
        while True:
            await asyncio.sleep(TICK_S)
            self.run()

    def run(self) -> None:
        """Forget what was made of people who stand otherwise by now."""
        try:
            stand = self._look()
        except sqlite3.Error:
            return
        if stand != self._stand:
            self._stand = stand
            self._querying.engine.cache.clear()

    def _look(self) -> list[object]:
        """Microseconds: five small counts a region."""
        return [store.reader.execute(_STAND).fetchone() for store in self._stores.values()]
