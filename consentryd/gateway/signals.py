"""The parts of a request that bear on consent, unread: headers, query parameters and cookies by lower-case name."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from multidict import CIMultiDictProxy, MultiMapping

_PARAMETERS: Final = frozenset(
    {"gdpr", "gdpr_consent", "euconsent-v2", "gpp", "gpp_sid", "us_privacy", "usprivacy", "__gpp", "__gpp_sid", "gcs", "gcd"}
)
#: The IAB names the US Privacy cookie without the underscore that its query parameter has.
_ALIAS: Final = {"usprivacy": "us_privacy"}


def read_signals(headers: CIMultiDictProxy[str], query: MultiMapping[str] | None) -> dict[str, str]:
    """Signals present. A name that comes twice with different values keeps them all, joined by commas: no decoder takes that for a grant.

    Cookies hold no comma: scripts that write one (`__gpp_sid=7%2C8`) encode it.
    """
    values: dict[str, dict[str, None]] = {}
    if query:
        for name, value in query.items():
            _add(values, name, value)
    for cookies in headers.getall("Cookie", ()):
        for pair in cookies.split(";"):
            name, _, value = pair.partition("=")
            _add(values, name.strip(), unquote(value.strip().strip('"')))
    signals = {name: ",".join(different) for name, different in values.items()}
    if "Sec-GPC" in headers:
        # Global Privacy Control, section 3.3: of several fields one exact "1" is enough
        fields = headers.getall("Sec-GPC")
        signals["sec-gpc"] = "1" if "1" in fields else fields[0]
    if "DNT" in headers:
        signals["dnt"] = headers["DNT"]
    return signals


def _add(values: dict[str, dict[str, None]], name: str, value: str) -> None:
    name = name.lower()
    if name in _PARAMETERS:
        values.setdefault(_ALIAS.get(name, name), {})[value] = None
