"""The Canadian TCF section of a GPP string (section 5). Express consent grants; implied consent does not.

Specification: IAB Tech Lab, GPP Extension: IAB TCF Canada. Purpose 1 is not used there.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.bits import Bits, Ids
from consentryd.consent.signals.freshness import Freshness
from consentryd.consent.signals.reading import Invalid, InvalidSignal, Reading
from consentryd.consent.signals.tcf import (
    DECISECOND,
    DISCLOSED,
    PUBLISHER,
    Publisher,
    Restriction,
    covered,
    read_publisher,
    read_restrictions,
    scoped,
    unrestricted,
)

PADDINGS: Final = frozenset({6, 8})
UNUSED_PURPOSE: Final = 1


class CanadaString(NamedTuple):
    """A decoded section. Times in UTC microseconds; `consents` are express, `implied` is implied consent."""

    created: int
    updated: int
    cmp_id: int
    cmp_version: int
    screen: int
    language: str
    vendor_list: int
    policy: int
    custom_texts: bool
    special_features: frozenset[int]
    consents: frozenset[int]
    implied: frozenset[int]
    vendors: Ids
    vendor_implied: Ids
    restrictions: tuple[Restriction, ...]
    disclosed: Ids | None = None
    publisher: Publisher | None = None


def decode_canada(text: str) -> CanadaString:
    """Decode section 5 with its segments. Raises `InvalidSignal`; says nothing about its age."""
    core, *others = text.split(".")
    bits = Bits(core)
    decoded = _core(bits)
    bits.end(PADDINGS)
    for segment in others:
        bits = Bits(segment)
        kind = bits.number(3)
        if kind == DISCLOSED and decoded.disclosed is None:
            decoded = decoded._replace(disclosed=bits.ids(fibonacci=True))
        elif kind == PUBLISHER and decoded.publisher is None:
            decoded = decoded._replace(publisher=read_publisher(bits))
        else:
            raise InvalidSignal(Invalid.MALFORMED, "a segment is of no known kind, or comes twice")
        bits.end(PADDINGS)
    return decoded


def _core(bits: Bits) -> CanadaString:
    if bits.number(6) != 1:
        raise InvalidSignal(Invalid.UNSUPPORTED_VERSION, "only version 1 is known")
    created, updated = bits.number(36) * DECISECOND, bits.number(36) * DECISECOND
    head = (bits.number(12), bits.number(12), bits.number(6), bits.letters(2), bits.number(12), bits.number(6), bits.flag())
    choices = (bits.members(12), bits.members(24), bits.members(24))
    vendors, implied = bits.ids(fibonacci=True), bits.ids(fibonacci=True)
    if updated < created:
        raise InvalidSignal(Invalid.MALFORMED, "the string was updated before it was created")
    return CanadaString(created, updated, *head, *choices, vendors, implied, _restrictions(bits))


def _restrictions(bits: Bits) -> tuple[Restriction, ...]:
    """The reference library writes restrictions behind the core; the specification ends without them."""
    if bits.rest() < 12:
        return ()
    return read_restrictions(bits, lambda: bits.ids(fibonacci=True))


def read_canada(decoded: CanadaString, purposes: Purposes, vendor: int | None, freshness: Freshness) -> Reading:
    """The section in our purposes, for the publisher itself or for a vendor's id. Raises `InvalidSignal` when out of its time."""
    until = freshness.until(decoded.updated)
    scope, consents, asked = scoped(
        decoded.publisher, decoded.consents, None if vendor is None else _vendor_consents(decoded, vendor)
    )
    grants, denies = covered(purposes, consents | {UNUSED_PURPOSE}, decoded.special_features)
    return Reading("tcf-ca", grants if asked else frozenset(), denies, at=decoded.updated, until=until, detail=scope)


def _vendor_consents(decoded: CanadaString, vendor: int) -> frozenset[int]:
    if not decoded.vendors.has(vendor) or (decoded.disclosed is not None and not decoded.disclosed.has(vendor)):
        return frozenset()
    return unrestricted(decoded.consents, decoded.restrictions, vendor)
