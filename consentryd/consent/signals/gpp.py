"""IAB Global Privacy Platform strings: `header~section~section`, with every US section and both TCF ones.

Specification: IAB Tech Lab, Global Privacy Platform String 1.0. The bit layout of the US sections is data: `gpp-layouts.json`, by
section id and version, each field with its bits and, for lists, its length.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, Final, NamedTuple

from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.bits import MAX_CHARS, Bits
from consentryd.consent.signals.freshness import Freshness
from consentryd.consent.signals.reading import NEVER, Invalid, InvalidSignal, Reading
from consentryd.consent.signals.tcf import TcfString, decode_tcf, reading_of
from consentryd.consent.signals.tcf_canada import CanadaString, decode_canada, read_canada
from consentryd.consent.signals.us_privacy import decode_us_privacy

SOURCE: Final = "gpp"
TCF_EU, TCF_CANADA, US_PRIVACY = 2, 5, 6
LAST_SECTION: Final = 27

#: The specification fills up to whole characters, the reference library to whole bytes first.
GPP_PADDINGS: Final = frozenset({6, 8})

_LAYOUTS: Final[dict[int, Any]] = {
    int(number): layout for number, layout in json.loads((files(__package__) / "gpp-layouts.json").read_text()).items()
}

#: A US section by field: numbers, and tuples of them for lists; the US Privacy section holds letters.
Fields = dict[str, Any]


class GppString(NamedTuple):
    """A decoded string: the section ids of its header, and what each section says."""

    sections: tuple[int, ...]
    tcf: TcfString | None
    canada: CanadaString | None
    us: dict[str, Fields]


def decode_gpp(text: str) -> GppString:
    """Decode a GPP string with all its sections. Raises `InvalidSignal`, also for a section that is not known.

    Nothing decoded is remembered: it may take a hundred times the memory of its text. The policy remembers what it means.
    """
    if len(text) > MAX_CHARS:
        raise InvalidSignal(Invalid.TOO_LONG, "the string is too long")
    header, *bodies = text.split("~")
    sections = decode_header(header)
    if len(sections) != len(bodies):
        raise InvalidSignal(Invalid.TRUNCATED, "the header names more or fewer sections than there are")
    found = dict(zip(sections, bodies, strict=True))
    us = dict(_us_section(number, body) for number, body in found.items() if number not in (TCF_EU, TCF_CANADA))
    tcf = decode_tcf(found[TCF_EU]) if TCF_EU in found else None
    return GppString(sections, tcf, decode_canada(found[TCF_CANADA]) if TCF_CANADA in found else None, us)


def decode_header(text: str) -> tuple[int, ...]:
    """The section ids that a header names, in rising order; none where a banner says that no section applies (`DBAA`)."""
    bits = Bits(text)
    if bits.number(6) != 3:
        raise InvalidSignal(Invalid.MALFORMED, "the header is not a GPP header")
    if bits.number(6) != 1:
        raise InvalidSignal(Invalid.UNSUPPORTED_VERSION, "only GPP version 1 is known")
    ranges = bits.fibonacci_ranges(LAST_SECTION)
    if ranges and ranges[-1][1] > LAST_SECTION:
        raise InvalidSignal(Invalid.UNKNOWN_SECTION, "the header names a section that is not known")
    bits.end(GPP_PADDINGS)
    return tuple(number for start, end in ranges for number in range(start, end + 1))


def _us_section(number: int, text: str) -> tuple[str, Fields]:
    if number == US_PRIVACY:
        notice, opt_out, covered = decode_us_privacy(text)
        return "uspv1", {"Notice": notice, "OptOutSale": opt_out, "LspaCovered": covered}
    layout = _LAYOUTS.get(number)
    if layout is None:
        raise InvalidSignal(Invalid.UNKNOWN_SECTION, f"section {number} is retired or not known")
    core, *others = text.split(".")
    bits = Bits(core)
    version = bits.number(6)
    fields = layout["versions"].get(str(version))
    if fields is None:
        raise InvalidSignal(Invalid.UNSUPPORTED_VERSION, f"this version of section {number} is not known")
    found: Fields = {fields[0][0]: version, **_fields(bits, fields[1:])}
    if len(others) > bool(layout["segment"]):
        raise InvalidSignal(Invalid.MALFORMED, f"section {number} has too many segments")
    for segment in others:
        found.update(_fields(Bits(segment), layout["segment"]))
    if found.get("GpcSegmentType", 1) != 1:
        raise InvalidSignal(Invalid.MALFORMED, f"section {number} has a segment of no known kind")
    return layout["name"], found


def _fields(bits: Bits, fields: list[tuple[str, int, int]]) -> Fields:
    found: Fields = {}
    for name, width, count in fields:
        values = tuple(bits.number(width) for _ in range(count or 1))
        if width == 2 and max(values) > 2:
            raise InvalidSignal(Invalid.MALFORMED, "a field holds 3, which means nothing")
        found[name] = values if count else values[0]
    bits.end(GPP_PADDINGS)
    return found


OPT_OUTS: Final = ("SaleOptOut", "SharingOptOut", "TargetedAdvertisingOptOut")
EXTRA_CONSENTS: Final = ("PersonalDataConsents", "AdditionalDataProcessingConsent")


def read_gpp(text: str, applicable: str, purposes: Purposes, vendor: int | None, freshness: Freshness) -> Reading:
    """What a GPP string says of our purposes. Raises `InvalidSignal`.

    US sections opt out and deny, never grant. A TCF section grants only where `applicable` (`gpp_sid`: ids parted by comma or
    underscore; empty: all) lists it; what it refuses counts in any case. Dated is what its sections chose at one moment, and US sections
    say none.
    """
    decoded = decode_gpp(text)
    listed = applicable_sections(applicable) if applicable else frozenset(decoded.sections)
    tcf = list(_tcf_readings(decoded, listed, purposes, vendor, freshness))
    us = decoded.us.values()
    undated = frozenset[str]().union(*(denied(fields, purposes) for fields in us))
    denies = undated.union(*(reading.denies for reading in tcf))
    dates = {reading.at for reading in tcf}
    return Reading(
        SOURCE,
        grants=frozenset[str]().union(*(reading.grants for reading in tcf)) - denies,
        denies=denies,
        opt_outs=purposes.opt_out if any(map(opts_out, us)) else frozenset(),
        at=dates.pop() if len(dates) == 1 and not undated else None,
        until=min((reading.until for reading in tcf), default=NEVER),
        child=any(map(names_child, us)),
        detail=f"sections {', '.join(map(str, decoded.sections)) or 'none'}",
    )


def applicable_sections(text: str) -> frozenset[int]:
    """The section ids of `gpp_sid`. -1 and 0 stand for none."""
    parts = text.replace("_", ",").split(",")
    if len(parts) > LAST_SECTION or not all(
        part in {"-1", "0"} or (part.isascii() and part.isdigit() and len(part) < 4) for part in parts
    ):
        raise InvalidSignal(Invalid.MALFORMED, "gpp_sid is not a list of sections")
    return frozenset(int(part) for part in parts) - {-1, 0}


def opts_out(fields: Fields) -> bool:
    return fields.get("Gpc") == 1 or fields.get("OptOutSale") == "Y" or any(fields.get(name) == 1 for name in OPT_OUTS)


def names_child(fields: Fields) -> bool:
    """Whether the section says anything of a known child: 0 is `not applicable`."""
    value = fields.get("KnownChildSensitiveDataConsents", 0)
    return any(value) if isinstance(value, tuple) else bool(value)


def denied(fields: Fields, purposes: Purposes) -> frozenset[str]:
    """Sensitive purposes where one kind of sensitive data has no consent; advertising where further processing has none."""
    sensitive = purposes.sensitive if 1 in fields.get("SensitiveDataProcessing", ()) else frozenset()
    return sensitive | (purposes.opt_out if any(fields.get(name) == 1 for name in EXTRA_CONSENTS) else frozenset())


def _tcf_readings(
    decoded: GppString, listed: frozenset[int], purposes: Purposes, vendor: int | None, freshness: Freshness
) -> Iterator[Reading]:
    if decoded.tcf is not None:
        reading = reading_of(decoded.tcf, purposes, vendor, freshness)
        yield reading if TCF_EU in listed else reading._replace(grants=frozenset())
    if decoded.canada is not None:
        reading = read_canada(decoded.canada, purposes, vendor, freshness)
        yield reading if TCF_CANADA in listed else reading._replace(grants=frozenset())
