"""A gateway's HTTP edge over doubles, on a loopback port, with a clock that stands still."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.typing import FilteringBoundLogger

from consentryd.config.settings import Settings
from consentryd.gateway.app import create_app
from consentryd.gateway.clients import Clients
from consentryd.gateway.exposition import Worker
from consentryd.gateway.health import Check
from consentryd.gateway.intake import Intake
from consentryd.gateway.listener import address_of, bind, listen
from consentryd.gateway.logs import open_logger
from consentryd.gateway.metrics import Metrics
from consentryd.gateway.services import Services
from consentryd.model.clock import ManualClock
from consentryd.model.event import RawEvent
from consentryd.model.key import ApiKey, KeyKind
from consentryd.model.outcome import Outcome, Result
from consentryd.privacy.agent import AgentClassifier
from consentryd.storage.rejected import Letter

#: Later ones let a parser go ten times as deep: such a nest then costs its own event, where it cost the whole request.
ONLY_BEFORE_3_12 = pytest.mark.skipif(sys.version_info >= (3, 12), reason="this Python lets parsers go deeper")

NOW = 1_795_291_200_000_000  # 2026-11-21T20:00:00Z
DATA = Path(__file__).parent / "data"

KEYS = {
    "write": ApiKey("key_w", KeyKind.WRITE, "shop", "pages", None, (), NOW, None),
    "listed": ApiKey("key_l", KeyKind.WRITE, "shop", "one origin", None, ("https://shop.example",), NOW, None),
    "server": ApiKey("key_s", KeyKind.SERVER, "shop", "backend", None, (), NOW, None),
    "privacy": ApiKey("key_p", KeyKind.PRIVACY, "shop", "officer", None, (), NOW, None),
    "read": ApiKey("key_r", KeyKind.READ, "shop", "analyst", None, (), NOW, None),
}


class MemoryKeys:
    def __init__(self, keys: dict[str, ApiKey]) -> None:
        self.keys = dict(keys)

    def lookup(self, secret: str) -> ApiKey | None:
        return self.keys.get(secret)


class MemoryCollector:
    """Keeps what it is given. `fate` decides what becomes of an event; `failure` is raised instead."""

    def __init__(self) -> None:
        self.batches: list[tuple[Intake, list[RawEvent]]] = []
        self.fate = lambda event: Result(event.event_id if isinstance(event.event_id, str) else None, Outcome.STORED)
        self.failure: BaseException | None = None
        self.checks = [Check("log eu", ok=True)]

    async def collect(self, intake: Intake, events: Sequence[RawEvent]) -> list[Result]:
        if self.failure is not None:
            raise self.failure
        await asyncio.sleep(max((delay_of(event) for event in events), default=0.0))
        self.batches.append((intake, list(events)))
        return [self.fate(event) for event in events]

    async def readiness(self) -> list[Check]:
        return self.checks

    @property
    def events(self) -> list[RawEvent]:
        return [event for _, events in self.batches for event in events]

    @property
    def intake(self) -> Intake:
        return self.batches[-1][0]


def delay_of(event: RawEvent) -> float:
    """Seconds that an event asks the double's store to take."""
    return event.properties.get("delay_s", 0.0) if isinstance(event.properties, dict) else 0.0


class MemoryRejections:
    def __init__(self) -> None:
        self.letters: list[Letter] = []

    async def newest(self, limit: int, site: str) -> list[Letter]:
        return [letter for letter in reversed(self.letters) if letter.site == site][:limit]


class MemoryCountries:
    def __init__(self) -> None:
        self.places: dict[str | None, tuple[str | None, str | None]] = {}

    def lookup(self, network: str | None) -> tuple[str | None, str | None]:
        return self.places.get(network, (None, None))


class Gateway:
    """One running edge: `url`, the doubles behind it, and what it logged."""

    def __init__(
        self, url: str, services: Services, session: aiohttp.ClientSession, stream: io.StringIO, doubles: dict[str, Any]
    ) -> None:
        self.url = url
        self.services = services
        self.session = session
        self.clock: ManualClock = doubles["clock"]
        self.keys: MemoryKeys = doubles["keys"]
        self.collector: MemoryCollector = doubles["collector"]
        self.rejected: MemoryRejections = doubles["rejected"]
        self.countries: MemoryCountries = doubles["countries"]
        self._stream = stream

    @property
    def log(self) -> str:
        return self._stream.getvalue()

    def request(self, method: str, path: str, **options: Any) -> Any:
        return self.session.request(method, self.url + path, **options)

    async def ask(self, method: str, path: str, *, key: str | None = "write", **options: Any) -> tuple[int, Any]:
        """Status and JSON body of a request with `key` as Bearer token."""
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **options.pop("headers", {})}
        async with self.request(method, path, headers=headers, **options) as response:
            return response.status, json.loads(await response.read() or b"null")

    async def post(self, path: str, body: Any, **options: Any) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.ask("POST", path, data=data, **options)


def settings_of(**sections: Any) -> Settings:
    """Settings on a free loopback port, with sections' fields as given: `settings_of(limits={"batch_events": 2})`."""
    server = {"port": 0, "log_format": "json", "log_level": "debug", **sections.pop("server", {})}
    return Settings.model_validate({"server": server, **sections})


def doubles_of() -> dict[str, Any]:
    return {
        "clock": ManualClock(NOW),
        "keys": MemoryKeys(KEYS),
        "collector": MemoryCollector(),
        "rejected": MemoryRejections(),
        "countries": MemoryCountries(),
    }


def services_of(settings: Settings, doubles: dict[str, Any], worker: Worker = Worker()) -> Services:  # noqa: B008 -- immutable
    return Services(
        settings=settings,
        clock=doubles["clock"],
        keys=doubles["keys"],
        collector=doubles["collector"],
        rejected=doubles["rejected"],
        clients=Clients(doubles["countries"], AgentClassifier(), settings.server.trusted_proxies),
        metrics=Metrics(),
        worker=worker,
    )


@asynccontextmanager
async def open_doubles(
    settings: Settings, regions: Sequence[str] | None, worker: Worker, logger: FilteringBoundLogger
) -> AsyncIterator[Services]:
    """A composition root over doubles, for tests of the server."""
    yield services_of(settings, doubles_of(), worker)


@asynccontextmanager
async def running(settings: Settings | None = None) -> AsyncIterator[Gateway]:
    settings = settings or settings_of()
    stream = io.StringIO()
    logger = open_logger(settings.server, stream)
    doubles = doubles_of()
    services = services_of(settings, doubles)
    listening = bind(settings.server)
    async with (
        listen(create_app(services, logger), listening, settings.server, logger),
        aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session,
    ):
        yield Gateway(address_of(listening), services, session, stream, doubles)
