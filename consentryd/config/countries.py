"""Groups of countries, by ISO 3166-1 alpha-2 code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

EU: Final = frozenset(
    "AT BE BG HR CY CZ DK EE FI FR DE GR HU IE IT LV LT LU MT NL PL PT RO SK SI ES SE".split()  # noqa: SIM905 - reads as a list
)
EEA: Final = EU | {"IS", "LI", "NO"}
GROUPS: Final = {"EU": EU, "EEA": EEA}


def expand(countries: Iterable[str]) -> frozenset[str]:
    """Country codes with groups replaced by their members; `*` is left out."""
    found: set[str] = set()
    for country in countries:
        found |= GROUPS.get(country, {country})
    return frozenset(found - {"*"})
