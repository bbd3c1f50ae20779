"""What the HTTP edge needs from the rest of the house, as it sees it. `gateway/compose.py` fills this in; tests fill it with doubles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from consentryd.config.settings import Settings
from consentryd.gateway.health import Check
from consentryd.gateway.intake import Intake
from consentryd.gateway.metrics import Metrics
from consentryd.model.client import Client
from consentryd.model.clock import Clock
from consentryd.model.event import RawEvent
from consentryd.model.key import ApiKey
from consentryd.model.outcome import Result


class KeyStore(Protocol):
    async def find(self, secret: str) -> ApiKey | None:
        """The key with this secret, revoked ones included; None if there is none."""
        ...


class Collecting(Protocol):
    async def collect(self, intake: Intake, events: Sequence[RawEvent]) -> list[Result]:
        """One result per event, in order, once everything stored is durable. Raises `Unavailable`, `Misdirected`."""
        ...

    async def readiness(self) -> list[Check]: ...


class Rejections(Protocol):
    async def newest(self, limit: int, site: str) -> Sequence[dict[str, Any]]:
        """The latest refused events of a site over all regions served, newest first, scrubbed."""
        ...


class Clients(Protocol):
    """The coarse view of who calls. Nothing of the arguments is kept."""

    def network(self, address: str) -> str | None:
        """The truncated network of an address, None for what is no address."""
        ...

    def describe(self, network: str | None, user_agent: str | None) -> Client: ...


@dataclass(frozen=True, slots=True)
class Services:
    settings: Settings
    clock: Clock
    keys: KeyStore
    collector: Collecting
    rejected: Rejections
    clients: Clients
    metrics: Metrics
