"""From a connection to the coarse view of who calls: its network for the rate limit, its country and device class for the events."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Final, Protocol

from aiohttp import web

from consentryd.model.client import Client
from consentryd.model.memory import keep
from consentryd.privacy.address import forwarded_for, truncate

_SERVER_DEVICE: Final = "server"
_REMEMBERED: Final = 16_384


class Countries(Protocol):
    def lookup(self, network: str | None) -> tuple[str | None, str | None]:
        """Country and subdivision of a truncated network."""
        ...


class Agents(Protocol):
    def classify(self, user_agent: str | None) -> tuple[str | None, str | None, str | None, int | None, bool]:
        """Device, system, browser, its major version and whether it is a bot, as in `Client`."""
        ...


class Clients:
    """Addresses and user agents pass through here and are not kept: not in a field, not in a cache of ours."""

    def __init__(self, countries: Countries, agents: Agents, trusted_proxies: Sequence[str] = ()) -> None:
        self._countries = countries
        self._agents = agents
        # under a hash (SipHash with the process's own key), from which nobody gets back to the address
        self._described: dict[int, Client] = {}
        self._trusted: list[IPv4Network | IPv6Network] = [ip_network(network, strict=False) for network in trusted_proxies]

    def warm(self) -> None:
        """Loads the user agent expressions now (about 0.2 s) rather than in the first request."""
        self._agents.classify("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")

    def network(self, address: str) -> str | None:
        """The truncated network of an address, None if it is no address."""
        return truncate(address.partition("%")[0])

    def caller(self, request: web.BaseRequest) -> str | None:
        """The truncated network that a request comes from, seen through trusted proxies."""
        peer = request.remote
        if peer is None:
            return None
        if self._trusted:
            hops = ",".join(request.headers.getall("X-Forwarded-For", ()))
            address = forwarded_for(hops, peer, self._trusted)
        else:
            address = peer
        return None if address is None else self.network(address)

    def describe(self, network: str | None, user_agent: str | None) -> Client:
        """What is kept of who calls, from a network as `network` answers it. A server's country is not its visitors': it is unknown."""
        key = hash((network, user_agent))
        return self._described.get(key) or keep(self._described, key, self._describe(network, user_agent), _REMEMBERED)

    def describe_visitor(self, address: str | None, user_agent: str | None) -> Client:
        """The same of a visitor whose bare address a server tells."""
        key = hash((address, user_agent))
        client = self._described.get(key)
        if client is None:
            client = self._describe(None if address is None else truncate(address), user_agent)
            keep(self._described, key, client, _REMEMBERED)
        return client

    def _describe(self, network: str | None, user_agent: str | None) -> Client:
        agent = self._agents.classify(user_agent)
        if agent[0] == _SERVER_DEVICE:
            return Client(None, None, *agent)
        country, subdivision = self._countries.lookup(network)
        return Client(country, subdivision, *agent)
