"""The housekeeping of a serving process: seals the log when it is full or old, merges small files, lets old months go, measures depth.

While the log is full again and again, and right after a start, what can wait does: merging large files, and rollups of small ones, which
soon will be merged.

One job at a time over all regions, in a thread of its own beside the loop. Several processes may keep one store: a lock lets one work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar
from zoneinfo import ZoneInfo

from structlog.typing import FilteringBoundLogger

from consentryd.config.settings import Settings
from consentryd.gateway.metrics import Metrics
from consentryd.gateway.priority import step_back
from consentryd.model.clock import DAY, MINUTE, SECOND, Clock, is_due
from consentryd.model.error import CorruptStore, Unavailable
from consentryd.storage import change, rejected
from consentryd.storage.compaction import compact
from consentryd.storage.delta import DeltaLake
from consentryd.storage.hold import held_subjects
from consentryd.storage.lease import Busy
from consentryd.storage.reader import verify
from consentryd.storage.region import RegionStore
from consentryd.storage.retention import RetentionReport, note_retention, retain
from consentryd.storage.rollup_keep import roll_up
from consentryd.storage.seal import Sealer
from consentryd.storage.writer import Transaction

T = TypeVar("T")

TICK_S: Final = 1.0
#: When the daily work is done again if the store took no commit: to find what is past its time may mean reading much.
_RETRY: Final = 5 * MINUTE
#: A log that was full so short a time ago will be full again; so may be one of which nothing is known yet.
_QUIET_S: Final = 120.0
#: A store to which nothing came for so long, and one whose machine starts with a clock of another year, look the same.
_ASLEEP_DAYS: Final = 31
#: Longest pause before what failed is tried again: sealing writes all of its files before it can fail.
_LONGEST_PAUSE_S: Final = 60.0
#: More than clocks are corrected by in the course of things, and less than matters to what is kept for days.
_LEAP_S: Final = 3600.0
#: Dead letters deleted in one commit, which others wait for: 12 ms.
_LETTERS_AT_ONCE: Final = 5000


class Keeper:
    """Run `keep` as a task; cancelling it lets the job in hand finish."""

    def __init__(
        self,
        settings: Settings,
        stores: Mapping[str, RegionStore],
        clock: Clock,
        metrics: Metrics,
        logger: FilteringBoundLogger,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._clock = clock
        self._metrics = metrics
        self._logger = logger
        self._monotonic = monotonic
        self._ahead: float | None = None
        self._lakes = {name: DeltaLake(store.root, promoted=settings.analytics.promoted) for name, store in stores.items()}
        self._zone = ZoneInfo(settings.analytics.timezone)
        self._retained_at = 0
        self._full_at = dict.fromkeys(stores, monotonic())
        self._behind = set(stores)
        self._failed: dict[str, tuple[int, float]] = {}
        self._unnoted: dict[str, list[RetentionReport]] = {name: [] for name in stores}
        self._thread = ThreadPoolExecutor(1, "keeper", initializer=step_back)

    async def keep(self) -> None:
        """Looks every second, for ever; first of all at whether what is stored is whole."""
        try:
            for name, store in self._stores.items():
                await self._beside(self._examine, name, store)
            while True:
                for name, store in self._stores.items():
                    await self._tend(name, store)
                if self._leapt():
                    self._retained_at = self._clock.now()
                if is_due(self._retained_at, self._clock.now(), DAY):
                    await self._retain()
                await asyncio.sleep(TICK_S)
        finally:
            self._thread.shutdown(wait=False)

    async def _beside(self, job: Callable[..., T], *arguments: object, **options: object) -> T:
        """Do a job in the thread of housekeeping, which steps back for the ones that take events."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(job, *arguments, **options))

    def _examine(self, name: str, store: RegionStore) -> None:
        """Finish what a crash left half done, and say precisely what is damaged. Events are taken all the same: their log is whole."""
        lake = self._lakes[name]
        try:
            with lake.writing():
                lake.heal()
            verify(store.root, lake)
        except Busy:
            return
        except CorruptStore as error:
            self._logger.error("stored events are damaged: queries are refused", region=name, reason=str(error))  # noqa: TRY400 - a reason, no trace
        except Exception as error:  # noqa: BLE001 - what it is about is looked at again before anything is sealed
            self._logger.warning("housekeeping failed", region=name, error=type(error).__name__, reason=str(error))

    async def _tend(self, name: str, store: RegionStore) -> None:
        try:
            events, age = await self._beside(store.depth)
            self._metrics.set_log_depth(name, events)
            self._metrics.set_seal_lag(name, age / SECOND)
            if self._is_paused(name):
                return
            if is_full := events >= self._settings.storage.seal_events:
                self._full_at[name] = self._monotonic()
            if is_full or (events and age >= self._settings.storage.seal_interval_s * SECOND):
                await self._beside(self._seal, name, store)
            elif name in self._behind and not self._is_hurried(name):
                await self._beside(self._catch_up, name, store)
            self._failed.pop(name, None)
        except Busy:
            return
        except Exception as error:  # noqa: BLE001 - nothing is lost: the log keeps what could not be sealed, and a later look tries again
            self._behind.discard(name)
            if not self._is_paused(name):
                self._pause(name)
                self._logger.warning("housekeeping failed", region=name, error=type(error).__name__, reason=str(error))

    def _is_paused(self, name: str) -> bool:
        return name in self._failed and self._monotonic() < self._failed[name][1]

    def _pause(self, name: str) -> None:
        """For twice as long as the last time, while it goes on failing."""
        times = self._failed.get(name, (0, 0.0))[0] + 1
        self._failed[name] = times, self._monotonic() + min(_LONGEST_PAUSE_S, 2.0**times)

    def _is_hurried(self, name: str) -> bool:
        return self._monotonic() - self._full_at[name] < _QUIET_S

    def _seal(self, name: str, store: RegionStore) -> None:
        hurried = self._is_hurried(name)
        report = Sealer(store.root, self._lakes[name], zone=None if hurried else self._zone).run()
        self._logger.info("sealed", region=name, events=report.events, files=report.files, seconds=round(report.seconds, 3))
        self._merge(name, store, hurried=hurried)
        if hurried:
            self._behind.add(name)

    def _merge(self, name: str, store: RegionStore, *, hurried: bool) -> int:
        """Merge files until the log is full again; how many were."""
        settings = self._settings.storage
        merged = compact(
            store.root,
            self._lakes[name],
            files=settings.compact_files,
            zone=self._zone,
            enough=lambda: store.depth()[0] >= settings.seal_events,
            hurried=hurried,
        )
        if merged.merged:
            self._logger.info(
                "compacted", region=name, files=merged.merged, into=merged.written, seconds=round(merged.seconds, 3)
            )
        return merged.merged

    def _catch_up(self, name: str, store: RegionStore) -> None:
        """Do some of what waited."""
        lake = self._lakes[name]
        merged = self._merge(name, store, hurried=False)
        with lake.writing():
            made = roll_up(lake, self._zone)
        if not merged and not made:
            self._behind.discard(name)

    def _leapt(self) -> bool:
        """Whether the clock went ahead since the last look by more than the time that passed. For a day nothing is deleted for its age then:
        set to a wrong year, it would be all there is, within a second."""
        ahead = self._clock.now() / SECOND - self._monotonic()
        before, self._ahead = self._ahead, ahead
        if before is None:
            return self._slept()
        if ahead - before < _LEAP_S:
            return False
        self._logger.warning("the clock went ahead; nothing is deleted for its age for a day", seconds=round(ahead - before))
        return True

    def _slept(self) -> bool:
        """Whether a gateway starts so long after anything came that its clock may be ahead."""
        newest = max((store.newest_at for store in self._stores.values()), default=0)
        days = (self._clock.now() - newest) // DAY
        if not newest or days < _ASLEEP_DAYS:
            return False
        self._logger.warning("nothing came for long, or the clock is ahead; nothing is deleted for its age for a day", days=days)
        return True

    async def _retain(self) -> None:
        self._retained_at = now = self._clock.now()
        for name, lake in self._lakes.items():
            try:
                held = partial(held_subjects, self._stores[name].reader)
                report = await self._beside(retain, lake, self._settings, now, region=name, held=held)
                if report.events:
                    self._unnoted[name].append(report)
                    self._logger.info("retention deleted", region=name, events=sum(report.events.values()))
                while await self._stores[name].log.transact(self._trim) == _LETTERS_AT_ONCE:
                    pass
                await self._note(name)
            except Busy:
                self._retained_at = 0
            except Unavailable:
                self._retained_at = now - DAY + _RETRY
            except Exception as error:  # noqa: BLE001 - tomorrow is another day, and the operator reads of it
                self._logger.warning("retention failed", region=name, error=type(error).__name__, reason=str(error))

    async def _note(self, name: str) -> None:
        """Record what was deleted, also what could not be recorded before."""
        while self._unnoted[name]:
            await self._stores[name].log.transact(partial(_note_retention, self._unnoted[name][0]))
            self._unnoted[name].pop(0)

    def _trim(self, commit: Transaction) -> int:
        """Dead letters go while events are taken, too; but there may be none for long. How many did."""
        storage = self._settings.storage
        change.trim(commit.connection, commit.now - change.KEPT)
        before = commit.now - storage.rejected_days * DAY
        return rejected.trim(commit.connection, storage.rejected_events, before, _LETTERS_AT_ONCE)


def _note_retention(report: RetentionReport, commit: Transaction) -> None:
    note_retention(commit.connection, commit.now, report)
