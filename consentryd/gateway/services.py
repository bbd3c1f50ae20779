"""What the HTTP edge needs from the rest of the house, as it sees it. `gateway/compose.py` fills this in; tests fill it with doubles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, Protocol

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from consentryd.config.settings import Settings
from consentryd.gateway.clients import Clients
from consentryd.gateway.exposition import Worker
from consentryd.gateway.health import Check
from consentryd.gateway.intake import Intake
from consentryd.gateway.metrics import Metrics
from consentryd.gateway.proving import Proving
from consentryd.gateway.querying import Querying
from consentryd.gateway.rights import Rights
from consentryd.gateway.visitors import Visitors
from consentryd.model.client import UNKNOWN_CLIENT, Client
from consentryd.model.clock import Clock
from consentryd.model.error import Unavailable
from consentryd.model.event import RawEvent
from consentryd.model.key import ApiKey, KeyKind
from consentryd.model.outcome import Result
from consentryd.storage.rejected import Letter

#: Bodies larger than a turn that are read and stored at a time. Each may take 6 MB.
LARGE_BODIES: Final = 8


class KeyStore(Protocol):
    def lookup(self, secret: str) -> ApiKey | None:
        """The unrevoked key of a secret, from memory. Raises `Unavailable` while keys cannot be read."""
        ...


class Collecting(Protocol):
    async def collect(self, intake: Intake, events: Sequence[RawEvent]) -> list[Result]:
        """One result per event, in order, once everything stored is durable. Raises `Unavailable`, `Misdirected`."""
        ...

    async def readiness(self) -> list[Check]: ...


class Rejections(Protocol):
    async def newest(self, limit: int, site: str) -> Sequence[Letter]:
        """The last `limit` refused events of a site over all regions served, newest first."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    clock: Clock
    keys: KeyStore
    collector: Collecting
    rejected: Rejections
    clients: Clients
    metrics: Metrics
    worker: Worker = field(default_factory=Worker)
    proving: Proving | None = None
    visitors: Visitors | None = None
    rights: Rights | None = None
    querying: Querying | None = None
    large_bodies: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, LARGE_BODIES))

    def require_proving(self) -> Proving:
        """Raises `Unavailable` where the gateway runs without stores."""
        if self.proving is None:
            raise Unavailable("store_unavailable", "This gateway keeps no ledger.")
        return self.proving

    def require_rights(self) -> Rights:
        """Raises `Unavailable` where the gateway runs without stores."""
        if self.rights is None:
            raise Unavailable("store_unavailable", "This gateway takes no requests of people.")
        return self.rights

    def require_querying(self) -> Querying:
        """Raises `Unavailable` where the gateway runs without stores."""
        if self.querying is None:
            raise Unavailable("store_unavailable", "This gateway answers no queries.")
        return self.querying

    def client(self, key: ApiKey, network: str | None, user_agent: str | None) -> Client:
        """The coarse view of the caller; nothing of a server, who is not the visitor whose events it sends."""
        return UNKNOWN_CLIENT if key.kind is KeyKind.SERVER else self.clients.describe(network, user_agent)

    def visitor(self, key: ApiKey, network: str | None, user_agent: str | None) -> bytes | None:
        """The day's fingerprint of the caller; None of a server, who is not the visitor, and where no tokens are made."""
        if self.visitors is None or key.kind is not KeyKind.WRITE:
            return None
        return self.visitors.fingerprint(key.site, network, user_agent, self.clock.now())


SERVICES: Final = web.AppKey("services", Services)
LOGGER: Final[web.AppKey[FilteringBoundLogger]] = web.AppKey("logger")
#: How many events a request brought, for its log line.
EVENTS: Final = web.RequestKey("events", int)
