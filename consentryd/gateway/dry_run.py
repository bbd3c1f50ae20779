"""While `privacy.dry_run` is on: says in the log what scrubbing would have taken out, by rule and action."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from structlog.typing import FilteringBoundLogger

from consentryd.privacy.scrub import Scrubber

INTERVAL_S: Final = 60.0


class DryRun:
    """Run `keep` as a task in each process. One line a minute and region, if there is anything new; and the last when cancelled."""

    def __init__(self, scrubbers: Mapping[str, Scrubber], logger: FilteringBoundLogger, interval_s: float = INTERVAL_S) -> None:
        self._scrubbers = scrubbers
        self._logger = logger
        self._interval_s = interval_s
        self._told = dict.fromkeys(scrubbers, 0)

    async def keep(self) -> None:
        try:
            while True:
                await asyncio.sleep(self._interval_s)
                self.tell()
        finally:
            self.tell()

    def tell(self) -> None:
        for region, scrubber in self._scrubbers.items():
            total = scrubber.counts.total()
            if total != self._told[region]:
                self._told[region] = total
                counts = {f"{rule} ({action})": count for (rule, action), count in sorted(scrubber.counts.items())}
                self._logger.warning("dry run: personal data is stored as it came", region=region, would_redact=counts)
