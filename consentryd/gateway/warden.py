"""What consent asks for with time: keys of days that are over are destroyed, and withdrawn events are swept out. In the first worker."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from structlog.typing import FilteringBoundLogger

from consentryd.config.settings import Settings
from consentryd.consent.policy import Policy
from consentryd.gateway.day_keys import DayKeys
from consentryd.model.clock import MINUTE, Clock, is_due
from consentryd.rights.registrar import Registrar
from consentryd.rights.withdrawal import Sweeper
from consentryd.storage.delta import DeltaLake
from consentryd.storage.lease import Busy
from consentryd.storage.region import RegionStore

TICK_S: Final = 1.0

#: A sweep seals and rewrites files: withdrawals of this long go together.
SWEEP_EVERY: Final = 5 * MINUTE


class Warden:
    """Run `keep` as a task; cancelling it lets the job in hand finish. `keys` None: this process has no daily keys to watch."""

    def __init__(
        self,
        settings: Settings,
        policy: Policy,
        stores: Mapping[str, RegionStore],
        registrar: Registrar,
        keys: DayKeys | None,
        clock: Clock,
        logger: FilteringBoundLogger,
    ) -> None:
        self._sweepers = {
            name: Sweeper(store, DeltaLake(store.root, promoted=settings.analytics.promoted), policy.purposes, settings)
            for name, store in stores.items()
        }
        self._settings = settings
        self._policy = policy
        self._registrar = registrar
        self._keys = keys
        self._clock = clock
        self._logger = logger
        self._noted: list[str] | None = None
        self._swept_at = 0
        self._introduced = False

    async def keep(self) -> None:
        """Looks every second, for ever."""
        while True:
            await self.look()
            await asyncio.sleep(TICK_S)

    async def look(self) -> None:
        """What is due now."""
        try:
            await self._introduce()
            await self._tend_keys()
            if is_due(self._swept_at, self._clock.now(), SWEEP_EVERY):
                self._swept_at = self._clock.now()
                await self._sweep()
        except Busy:
            self._swept_at = 0
        except Exception as error:  # noqa: BLE001 - nothing is shown that should not be, and the next look tries again
            self._logger.warning("consent housekeeping failed", error=type(error).__name__, reason=str(error))

    async def _introduce(self) -> None:
        """The ledgers learn once which policy and which signing keys this gateway started with."""
        if not self._introduced:
            await self._registrar.note_policy(self._policy, self._settings)
            await self._registrar.note_signing_keys()
            self._introduced = True

    async def _tend_keys(self) -> None:
        """Keys first, their ledger line after: a line that is late by a failure is written at the next look."""
        if self._keys is None:
            return
        days = self._keys.expire(self._clock.now())
        if days != self._noted:
            await self._registrar.note_daily_keys(days)
            self._noted = days

    async def _sweep(self) -> None:
        for name, sweeper in self._sweepers.items():
            due = sweeper.due()
            if due:
                taken, swept = await asyncio.to_thread(sweeper.take, due)
                await sweeper.settle(taken, swept)
                self._logger.info("withdrawals applied", region=name, erased=swept.erased, anonymised=swept.anonymised)
