"""People's requests in a serving process: taken at once, worked on in a thread beside the loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from structlog.typing import FilteringBoundLogger

from consentryd.rights.demand import Demand, RequestStatus
from consentryd.rights.desk import Caller, Desk
from consentryd.rights.runner import Runner

T = TypeVar("T")

TICK_S: Final = 2.0
POLL_S: Final = 0.05
#: Calls worked on at once. Where a region's database is locked each waits for up to a minute, and nobody else is to wait for them.
_THREADS: Final = 8
_SETTLED: Final = frozenset({RequestStatus.COMPLETED, RequestStatus.CANCELLED, RequestStatus.ON_HOLD})


class Rights:
    """One for a process. `keep` is its task; where `ticks` is False it works only when asked, and another process looks after the rest."""

    def __init__(self, desk: Desk, runner: Runner, logger: FilteringBoundLogger, *, ticks: bool = True) -> None:
        self.desk = desk
        self._runner = runner
        self._logger = logger
        self._tick_s = TICK_S if ticks else None
        self._wake = asyncio.Event()
        self._told: dict[str, str] = {}
        self._threads = ThreadPoolExecutor(_THREADS, "rights")

    def close(self) -> None:
        """Wait for the work in hand, then close what was kept open for more."""
        self._threads.shutdown()
        self.desk.close()

    async def accept(self, demand: Demand, caller: Caller, wait_s: float = 0.0, **extra: Any) -> dict[str, Any]:
        """Record a request; its state after at most `wait_s` seconds of work on it."""
        told = await self._beside(self.desk.accept, demand, caller, extra)
        self._wake.set()
        nonce = {name: told[name] for name in ("commitment_nonce",) if name in told}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while told["status"] not in _SETTLED:
                    await asyncio.sleep(POLL_S)
                    told = await self.ask(self.desk.get, told["id"], caller)
        return {**told, **nonce}

    async def ask(self, method: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Call a method of the desk, in a thread; then see whether it made work."""
        try:
            return await self._beside(method, *arguments, **options)
        finally:
            if method.__name__ in {"hold", "cancel"}:
                self._wake.set()

    async def _beside(self, method: Callable[..., T], *arguments: Any, **options: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(method, *arguments, **options))

    async def keep(self) -> None:
        """Works for ever; cancelling it lets the work in hand finish."""
        while True:
            self._wake.clear()
            await self._run()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._tick_s)

    async def _run(self) -> None:
        try:
            problems = await self._beside(self._runner.run)
        except Exception as error:  # noqa: BLE001 - requests are kept and tried again; the operator reads of it
            problems = {"": type(error).__name__}
        for region, problem in problems.items():
            if self._told.get(region) != problem:
                self._logger.warning("requests of people wait", region=region, reason=problem)
        self._told = problems
