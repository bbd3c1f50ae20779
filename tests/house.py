"""A whole gateway over stores on disk, on a loopback port, with a clock that stands still."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from consentryd.gateway.app import create_app
from consentryd.gateway.compose import House, open_rights, open_stores
from consentryd.gateway.day_keys import DayKeys
from consentryd.gateway.listener import address_of, bind, listen
from consentryd.gateway.logs import open_logger
from consentryd.gateway.rights import Rights
from consentryd.gateway.services import Services
from consentryd.model.clock import ManualClock
from consentryd.model.event import POSITION
from consentryd.storage import block
from tests.kit import KEYS, NOW, Gateway, MemoryKeys, MemoryRejections, settings_of


class OpenHouse(Gateway):
    """A gateway whose store can be looked into."""

    house: House

    def rows(self, region: str = "eu") -> list[dict[str, Any]]:
        """What the log holds, as columns by name."""
        reader = self.house.stores[region].reader
        blocks = [block.decode(body) for (body,) in reader.execute("SELECT body FROM log ORDER BY seq")]
        return [dict(zip(POSITION, row, strict=True)) for columns in blocks for row in zip(*columns, strict=True)]

    async def track(self, event: str = "bought", *, key: str = "write", consent: Any = None, **fields: Any) -> str:
        """The outcome or reason of one event."""
        context = {**fields.pop("context", {}), **({} if consent is None else {"consent": {"purposes": consent}})}
        status, answer = await self.post("/v1/track?verbose=1", {"event": event, "context": context, **fields}, key=key)
        assert status == 200, answer
        return answer["results"][0]["reason"] or answer["results"][0]["outcome"]

    async def choose(self, *, key: str = "write", **body: Any) -> dict[str, Any]:
        status, answer = await self.post("/v1/consent", body, key=key)
        assert status == 200, answer
        return answer


@asynccontextmanager
async def _keeping(rights: Rights | None) -> AsyncIterator[None]:
    """Requests of people are worked on meanwhile."""
    if rights is None:
        yield
        return
    task = asyncio.create_task(rights.keep())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        for office in rights.desk.offices.values():
            office.close()


@asynccontextmanager
async def open_house(
    root: Path,
    clock: ManualClock | None = None,
    served: list[str] | None = None,
    day_keys: DayKeys | None = None,
    *,
    rights: bool | dict[str, Any] = False,
    **sections: Any,
) -> AsyncIterator[OpenHouse]:
    """`rights`: whether there are any, or their settings."""
    if isinstance(rights, dict):
        sections["rights"] = rights
    storage = {"data_dir": str(root), "min_free_bytes": 0, "commit_interval_ms": 0, **sections.pop("storage", {})}
    settings = settings_of(storage=storage, **{"regions": {"eu": {"countries": ["*"]}}, **sections})
    clock = clock or ManualClock(NOW)
    stores = open_stores(settings, served, clock)
    stream = io.StringIO()
    logger = open_logger(settings.server, stream)
    try:
        house = House(settings, stores, clock, day_keys)
        doubles = {"clock": clock, "keys": MemoryKeys(KEYS), "rejected": MemoryRejections(), "collector": None, "countries": None}
        services = Services(
            settings,
            clock,
            doubles["keys"],
            house.collector,
            doubles["rejected"],
            house.clients,
            house.metrics,
            proving=house.proving,
            visitors=house.visitors,
            querying=house.querying,
            rights=open_rights(house, logger, ticks=False) if rights else None,
        )
        listening = bind(settings.server)
        serving = listen(create_app(services, logger), listening, settings.server, logger)
        async with (
            serving,
            _keeping(services.rights),
            aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
        ):
            gateway = OpenHouse(address_of(listening), services, session, stream, doubles)
            gateway.house = house
            try:
                yield gateway
            finally:
                house.close()
                if services.rights is not None:
                    services.rights.close()
    finally:
        for store in stores.values():
            store.close()
