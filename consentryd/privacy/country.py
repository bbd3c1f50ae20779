"""From a truncated network to a country, by a database in MaxMind's format: the one that ships, or the operator's."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final

import maxminddb

from consentryd.model.error import ConfigError

Place = tuple[str | None, str | None]

UNKNOWN_PLACE: Final[Place] = (None, None)
CACHED_NETWORKS: Final = 8192
SHIPPED: Final = "country.mmdb"

_UNICAST: Final = IPv6Network("2000::/3")  # what IANA has opened
#: First octets of IPv4 in which everything is public unicast, by IANA's special-purpose registry (RFC 6890): nearly all networks.
_PUBLIC: Final = frozenset(map(str, range(1, 224))) - {"10", "100", "127", "169", "172", "192", "198", "203"}
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_SUBDIVISION: Final = re.compile(r"[A-Z0-9]{1,3}")
_NO_COUNTRY: Final = frozenset({"AP", "EU", "XX", "ZZ"})  # codes of registries and vendors for "somewhere"


class CountryDatabase:
    """Looks up networks, never addresses. Opened at the first look-up and memory-mapped, so that workers share its pages."""

    def __init__(self, path: Path | None = None, *, city: bool = False) -> None:
        self._path = path if path is not None else Path(str(files("consentryd.privacy") / "data" / SHIPPED))
        self._city = city
        self._reader: maxminddb.Reader | None = None
        self._find = lru_cache(maxsize=CACHED_NETWORKS)(self._read)

    def lookup(self, network: str | None) -> Place:
        """Country (ISO 3166-1 alpha-2) and, if `city` is on, subdivision (ISO 3166-2 without the country) of `address.truncate`'s network.

        `(None, None)` for None, for networks that are not public, and for tunnels whose network is no place.
        """
        return self._find(network) if network is not None else UNKNOWN_PLACE

    def open(self) -> int:
        """Opens the database and answers its build time (seconds since the epoch). Raises ConfigError if it cannot be read."""
        return int(self._open().metadata().build_epoch)

    def has_subdivisions(self) -> bool:
        """Whether any of some thousand networks all over the world has one, as many do where the database knows any."""
        reader = self._open()
        records = (reader.get(f"{first}.{second}.0.0") for first in map(int, sorted(_PUBLIC)) for second in range(0, 256, 32))
        return any(isinstance(record, dict) and _subdivision(record) for record in records)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None
        self._find.cache_clear()

    def _open(self) -> maxminddb.Reader:
        if self._reader is None:
            try:
                self._reader = maxminddb.open_database(self._path)
            except (OSError, ValueError, maxminddb.InvalidDatabaseError) as error:
                message = (
                    f"privacy.country_database: {self._path} is no readable MaxMind-format database ({type(error).__name__})"
                )
                raise ConfigError(message) from error
        return self._reader

    def _read(self, text: str) -> Place:
        if not _is_plain(text) and not _is_place(ip_network(text)):
            return UNKNOWN_PLACE
        record = self._open().get(text.partition("/")[0])
        if not isinstance(record, dict):
            return UNKNOWN_PLACE
        country = _country(record)
        return country, _subdivision(record) if self._city and country else None


def _is_plain(text: str) -> bool:
    """Whether a network is a place at first sight. To parse one and ask `ipaddress` takes 30 us."""
    return text.endswith(".0/24") and text.partition(".")[0] in _PUBLIC


def _is_place(network: IPv4Network | IPv6Network) -> bool:
    """Whether public unicast addresses live there; tunnels (2002::/16, 2001::/32) are wider than any place."""
    if isinstance(network, IPv6Network) and not network.subnet_of(_UNICAST):
        return False
    return network.prefixlen in {24, 48} and network.is_global and not network.is_multicast


def _country(record: Mapping[str, Any]) -> str | None:
    """Of `{"country": {"iso_code"}}` (MaxMind, DB-IP), `{"country_code"}` (ip-location-db, IPinfo Lite) or `{"country": "DE"}` (IPinfo)."""
    country = record.get("country")
    code = country.get("iso_code") if isinstance(country, dict) else record.get("country_code", country)
    return code if isinstance(code, str) and _COUNTRY.fullmatch(code) and code not in _NO_COUNTRY else None


def _subdivision(record: Mapping[str, Any]) -> str | None:
    subdivisions = record.get("subdivisions")
    first = subdivisions[0] if isinstance(subdivisions, list) and subdivisions else None
    code = first.get("iso_code") if isinstance(first, Mapping) else None
    return code if isinstance(code, str) and _SUBDIVISION.fullmatch(code) else None
