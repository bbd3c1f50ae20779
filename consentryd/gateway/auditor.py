"""Looks through what is stored for personal data, on a schedule, and shows what it found in the metrics. In the first worker.

The last report is kept in `audit.json` in the data directory, so that a restart neither forgets it nor begins again. A gateway that serves
some of the regions has a file of its own, such as `audit.eu.json`: the report of another tells nothing about its regions.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson
from structlog.typing import FilteringBoundLogger

from consentryd.config.settings import Settings
from consentryd.gateway.metrics import Metrics
from consentryd.model.clock import HOUR, SECOND, Clock, is_due
from consentryd.rights.audit import audit
from consentryd.storage.durable import replace_private
from consentryd.storage.lease import Busy
from consentryd.storage.region import RegionStore

TICK_S: Final = 5.0
#: Rests of so many times the work, for the process has visitors to answer: an audit takes a fifth of a core.
REST: Final = 4.0
_RETRY: Final = HOUR


class Auditor:
    """Run `keep` as a task; cancelling it ends the audit in hand within a batch."""

    def __init__(
        self,
        settings: Settings,
        stores: Mapping[str, RegionStore],
        clock: Clock,
        metrics: Metrics,
        logger: FilteringBoundLogger,
        rest: float = REST,
    ) -> None:
        self._settings = settings
        self._regions = {name: store.root for name, store in stores.items()}
        self._file = settings.storage.data_dir / _name_of(self._regions, settings)
        self._clock = clock
        self._metrics = metrics
        self._logger = logger
        self._rest = rest
        self._stopping = threading.Event()
        self._due_at = 0

    async def keep(self) -> None:
        """For ever, unless `privacy.audit_interval_hours` is 0."""
        interval = round(self._settings.privacy.audit_interval_hours * HOUR)
        if not interval:
            return
        self._due_at = await asyncio.to_thread(self._last) + interval
        try:
            while True:
                if is_due(self._due_at - interval, self._clock.now(), interval):
                    self._due_at = self._clock.now() + (interval if await self.run() else min(interval, _RETRY))
                await asyncio.sleep(TICK_S)
        finally:
            self._stopping.set()

    async def run(self) -> bool:
        """One audit; False if it could not be finished."""
        try:
            await asyncio.to_thread(self._audit)
        except _StoppedError:
            return False
        except Busy:
            return False
        except Exception as error:  # noqa: BLE001 - the next one may go well, and the operator reads of this one
            self._logger.warning("privacy audit failed", error=type(error).__name__, reason=str(error))
            return False
        return True

    def _audit(self) -> None:
        settings, pace = self._settings, _Pace(self._stopping, self._rest)
        logs = [] if settings.rights.scan_dir is None else [settings.rights.scan_dir]
        report = audit(self._regions, settings.privacy, logs, pace.rest)
        found = {"finished_at": self._clock.now(), "findings": report.by_detector(), "looked_at": report.seen()}
        self._show(found)
        replace_private(self._file, orjson.dumps(found).decode())
        log = self._logger.warning if report.findings else self._logger.info
        log("privacy audit", findings=report.findings, detectors=found["findings"], looked_at=sum(report.looked_at.values()))

    def _last(self) -> int:
        """When the last audit ended, whose result is shown again; 0 if there was none."""
        try:
            found = orjson.loads(self._file.read_bytes())
            self._show(found)
            return int(found["finished_at"])
        except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
            return 0

    def _show(self, found: Mapping[str, Any]) -> None:
        self._metrics.set_audit(found["findings"], found["finished_at"] / SECOND)


def _name_of(regions: Collection[str], settings: Settings) -> str:
    some = [] if len(regions) == len(settings.regions) else sorted(regions)
    return ".".join(["audit", *some, "json"])


class _StoppedError(Exception):
    pass


class _Pace:
    """Sleeps in proportion to the work between two calls."""

    def __init__(self, stopping: threading.Event, rest: float) -> None:
        self._stopping = stopping
        self._rest = rest
        self._since = time.monotonic()

    def rest(self, _what: str, _done: int, _of: int) -> None:
        worked = time.monotonic() - self._since
        if self._stopping.wait(worked * self._rest):
            raise _StoppedError
        self._since = time.monotonic()
