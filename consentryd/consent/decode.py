"""What a consent string says, for people and scripts: the format is told by its first characters, or by a prefix such as `tcf:`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

from consentryd.consent.signals.bits import Ids
from consentryd.consent.signals.freshness import Freshness
from consentryd.consent.signals.google import decode_gcd, decode_gcs
from consentryd.consent.signals.gpp import decode_gpp
from consentryd.consent.signals.reading import Invalid, InvalidSignal
from consentryd.consent.signals.tcf import decode_tcf
from consentryd.consent.signals.us_privacy import decode_us_privacy
from consentryd.model.clock import SECOND

_SNIFF: Final = (
    ("us_privacy", re.compile(r"1[YN-]{3}")),
    ("gcs", re.compile(r"G1")),
    ("gcd", re.compile(r"1[0-9]")),
    ("gpp", re.compile(r"D")),
    ("tcf", re.compile(r"[BC]")),
)


def sniff(text: str) -> tuple[str, str]:
    """The format and the string without its prefix. Raises `InvalidSignal` when it looks like none."""
    kind, colon, rest = text.partition(":")
    if colon and kind in _DECODERS:
        return kind, rest
    for name, start in _SNIFF:
        if start.match(text):
            return name, text
    raise InvalidSignal(Invalid.MALFORMED, "the string looks like none of TCF, GPP, US Privacy, gcs, gcd")


def describe(text: str, freshness: Freshness) -> dict[str, Any]:
    """The format and content of a string as JSON-ready data. Raises `InvalidSignal` with the reason why it is refused."""
    kind, rest = sniff(text)
    return {"format": kind, **_DECODERS[kind](rest, freshness)}


def _tcf(text: str, freshness: Freshness) -> dict[str, Any]:
    decoded = decode_tcf(text)
    freshness.until(decoded.updated)
    return dict(plain(decoded))


def _gpp(text: str, freshness: Freshness) -> dict[str, Any]:
    decoded = decode_gpp(text)
    for section in (decoded.tcf, decoded.canada):
        if section is not None:
            freshness.until(section.updated)
    return {
        "sections": list(decoded.sections),
        **({"tcfeuv2": plain(decoded.tcf)} if decoded.tcf else {}),
        **({"tcfcav1": plain(decoded.canada)} if decoded.canada else {}),
        **{name: plain(fields) for name, fields in decoded.us.items()},
    }


def _us_privacy(text: str, _: Freshness) -> dict[str, Any]:
    return dict(zip(("notice", "opt_out_sale", "lspa_covered"), decode_us_privacy(text), strict=True))


_DECODERS: Final[dict[str, Callable[[str, Freshness], dict[str, Any]]]] = {
    "tcf": _tcf,
    "gpp": _gpp,
    "us_privacy": _us_privacy,
    "gcs": lambda text, _: {"denied": sorted(decode_gcs(text))},
    "gcd": lambda text, _: {"denied": sorted(decode_gcd(text))},
}


def plain(value: Any) -> Any:
    """Tuples with names become tables, sets become sorted lists, vendor sets the ranges they hold, times ISO 8601 text."""
    if isinstance(value, Ids):
        return runs(value)
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: _day(inner) if name in {"created", "updated"} else plain(inner) for name, inner in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return [plain(inner) for inner in value] if isinstance(value, tuple) else value


def runs(ids: Ids) -> list[int | list[int]]:
    """Single ids, and pairs of first and last for ids in a row."""
    found: list[list[int]] = []
    for number in ids.each():
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return [run[0] if run[0] == run[1] else run for run in found]


def _day(moment: int) -> str:
    return datetime.fromtimestamp(moment // SECOND, UTC).isoformat()
