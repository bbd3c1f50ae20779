"""Who comes in: key, origin and rate of a request, settled before its body is worth anything."""

from __future__ import annotations

import math
from typing import Final

from aiohttp import web

from consentryd.gateway.auth import COLLECTING, check_key, check_origin, secret_in_head
from consentryd.gateway.rate import RateLimit
from consentryd.gateway.services import Services
from consentryd.model.error import RateLimited, Unauthorized
from consentryd.model.key import ApiKey, KeyKind

_KEY_BURST: Final = 2
_NETWORK_BURST: Final = 5  # a /24 is an office or a mobile carrier's gateway: bursts are its normal weather
#: Pages of metrics a second for a network. Anybody may ask, and each costs as much as ten events. Nobody monitors so often.
_METRICS_RATE: Final = 10
_NOWHERE: Final = "unknown"


class Door:
    """Limits are counted by each worker for itself."""

    def __init__(self, services: Services) -> None:
        limits = services.settings.limits
        self._keys = services.keys
        self._clock = services.clock
        self._by_key = RateLimit(limits.requests_per_second_per_key, limits.requests_per_second_per_key * _KEY_BURST)
        self._by_network = RateLimit(
            limits.requests_per_second_per_network, limits.requests_per_second_per_network * _NETWORK_BURST
        )
        self._consents = RateLimit(
            limits.consents_per_second_per_network, limits.consents_per_second_per_network * _NETWORK_BURST
        )
        self._metrics = RateLimit(_METRICS_RATE, _METRICS_RATE * _NETWORK_BURST)

    def find_secret(self, request: web.BaseRequest) -> str | None:
        """The secret outside of the body."""
        return secret_in_head(request.headers, request.query if request.query_string else None)

    def check_network(self, network: str | None) -> None:
        """Counts a request of a network. Raises `RateLimited`."""
        self._take(self._by_network, network or _NOWHERE, "Too many requests from this network.")

    def check_metrics(self, network: str | None) -> None:
        """Counts a page of metrics. Raises `RateLimited`."""
        self._take(self._metrics, network or _NOWHERE, "Too many pages of metrics for this network.")

    def check_consent(self, key: ApiKey, network: str | None) -> None:
        """Counts a choice made with a write key, which is public: each is a signature and an entry that stays. Raises `RateLimited`."""
        if key.kind is KeyKind.WRITE:
            self._take(self._consents, network or _NOWHERE, "Too many choices from this network.")

    def check_head(self, request: web.BaseRequest, network: str | None) -> ApiKey | None:
        """The key in a request's head, if it may collect; None if its body has to tell, whose reading the network's token pays for.

        Raises as `check_collector`, which takes the body's key then, `counted`.
        """
        secret = self.find_secret(request)
        if secret is None:
            self.check_network(network)
            return None
        return self.check_collector(secret, request.headers.get("Origin"), network)

    def check_collector(self, secret: str | None, origin: str | None, network: str | None, *, counted: bool = False) -> ApiKey:
        """The key, if it may collect from this origin now; `counted` says that the network's token was taken before.

        Raises `Unauthorized`, `Forbidden`, `RateLimited`. Only secret keys are exempt from the network's limit: guessing is not.
        """
        key = None if secret is None else self._keys.lookup(secret)
        if not counted and (key is None or key.kind is KeyKind.WRITE):
            self.check_network(network)
        if secret is None:
            raise _missing_key()
        key = check_key(key, COLLECTING)
        check_origin(key, origin)
        self._take(self._by_key, key.id, "Too many requests with this key.")
        return key

    def check_reader(self, request: web.BaseRequest, network: str | None, kinds: frozenset[KeyKind]) -> ApiKey:
        """The key of a request that reads. Raises `Unauthorized`, `Forbidden`, `RateLimited`."""
        secret = self.find_secret(request)
        key = None if secret is None else self._keys.lookup(secret)
        if key is None:
            self.check_network(network)
        if secret is None:
            raise _missing_key()
        key = check_key(key, kinds)
        self._take(self._by_key, key.id, "Too many requests with this key.")
        return key

    def _take(self, limit: RateLimit, name: str, text: str) -> None:
        wait = limit.take(name, self._clock.now())
        if wait > 0.0:
            raise RateLimited("rate_limited", text, retry_after=math.ceil(wait))


def _missing_key() -> Unauthorized:
    return Unauthorized(
        "missing_key", "No key: send it as Basic user name, Bearer token, X-Write-Key, or `writeKey` in body or query."
    )


DOOR: Final = web.AppKey("door", Door)
