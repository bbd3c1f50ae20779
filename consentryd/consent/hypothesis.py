"""Signals written down by a person who wants a decision explained, as an event and its request would carry them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from consentryd.config.countries import COUNTRIES
from consentryd.consent.jurisdiction import SUBDIVISION
from consentryd.consent.purposes import Purposes
from consentryd.consent.reader import BESIDE, CARRIED, KINDS

TABLES: Final = {"own": "purposes", "segment": "categoryPreferences"}
YES_NO: Final = {"true": True, "false": False}


def suppose(texts: Iterable[str], *, gpc: bool, dnt: bool, child: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """The event's context and what the request carries.

    A text is `tcf:`, `gpp:`, `us_privacy:`, `gcs:` or `gcd:` and a string, or `own:` or `segment:` and `name=true,...`; there may be several
    of a kind, as an event and its request may carry several. `notice:` and `at:` say under which notice and when was chosen. Raises
    `ValueError` for any other.
    """
    consent: dict[str, Any] = {"child": True} if child else {}
    carried = {name: "1" for name, wanted in (("sec-gpc", gpc), ("dnt", dnt)) if wanted}
    for text in texts:
        kind, _, rest = text.partition(":")
        if kind in TABLES:
            _choose(consent.setdefault(TABLES[kind], {}), rest)
        elif kind in BESIDE:
            consent[kind] = rest
        elif kind in KINDS:
            if consent.setdefault(kind, rest) != rest:
                carried[_free_name(kind, carried)] = rest
        else:
            raise ValueError(f"starts with none of {', '.join([*TABLES, *sorted(BESIDE), *KINDS])} and a colon")
    return {"consent": consent} if consent else {}, carried


def check_case(country: str | None, subdivision: str | None, withdrawn: Iterable[str], purposes: Purposes) -> None:
    """A place or purpose that there is not would get the answer of another one. Raises `ValueError`."""
    if country is not None and country not in COUNTRIES:
        raise ValueError("the country is no ISO code such as US")
    if subdivision is not None and (country is None or not SUBDIVISION.fullmatch(subdivision)):
        raise ValueError("the subdivision is not one such as CA, of a country that is given as well")
    if not purposes.all.issuperset(withdrawn):
        raise ValueError(f"a purpose withdrawn is none of {', '.join(sorted(purposes.all))}")


def _choose(table: dict[str, bool], text: str) -> None:
    """What is denied once stays denied."""
    for part in text.split(","):
        name, _, value = part.partition("=")
        if value not in YES_NO:
            raise ValueError("choices are written name=true or name=false, parted by commas")
        table[name] = table.get(name, True) and YES_NO[value]


def _free_name(kind: str, carried: Mapping[str, str]) -> str:
    for name, of in CARRIED.items():
        if of == kind and name not in carried:
            return name
    raise ValueError(f"comes more often than a request carries {kind}")
