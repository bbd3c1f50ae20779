"""From who calls to the fingerprint of the day, at the door: what goes further is 32 bytes that mean nothing without the day's key."""

from __future__ import annotations

from collections.abc import Collection

from consentryd.config.settings import Settings
from consentryd.consent.policy import Policy
from consentryd.gateway.day_keys import DayKeys
from consentryd.privacy.address import truncate
from consentryd.privacy.visitor import fingerprint


class Visitors:
    """`keys` None: this process counts nobody by token. `lanes` are the words of `anonymous_lane` that may lead to `daily` here."""

    def __init__(self, settings: Settings, keys: DayKeys | None, lanes: Collection[str]) -> None:
        self._settings = settings
        self._keys = keys
        self._lanes = frozenset(lanes)

    def fingerprint(self, site: str, network: str | None, user_agent: str | None, now: int) -> bytes | None:
        """None where the site makes no daily tokens, the network is unknown, or the day's key is gone."""
        if self._keys is None or network is None or self._settings.site_of(site).anonymous_lane not in self._lanes:
            return None
        key = self._keys.key(now)
        return None if key is None else fingerprint(key, site, network, user_agent or "")

    def of_address(self, site: str, address: object, user_agent: object, now: int) -> bytes | None:
        """The same of a visitor that a server speaks for."""
        network = truncate(address) if isinstance(address, str) else None
        return self.fingerprint(site, network, user_agent if isinstance(user_agent, str) else None, now)


def daily_lanes(policy: Policy) -> set[str]:
    """`auto` leads to daily tokens only if a jurisdiction's row says so."""
    return {"daily", "auto"} if policy.knows_lane("daily") else {"daily"}
