"""IAB TCF strings, version 2.2 and 2.3: `core.disclosedVendors.publisherTC`, base64url, read strictly.

Specification: IAB Tech Lab, Consent string and vendor list formats v2 (TCF 2.3). Strings are not signed: a changed string that is
again a valid one says what it says. What is guaranteed is that damage is refused and never read as consent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.bits import MAX_CHARS, PADDINGS, Bits, Ids
from consentryd.consent.signals.freshness import Freshness
from consentryd.consent.signals.reading import Invalid, InvalidSignal, Reading

SOURCE: Final = "tcf"
DECISECOND: Final = 100_000
CONSENT_ONLY: Final = frozenset({3, 4, 5, 6})
LEAST_POLICY: Final = 4
DISCLOSED, ALLOWED, PUBLISHER = 1, 2, 3
REQUIRE_CONSENT, REQUIRE_INTEREST = 1, 2


class Restriction(NamedTuple):
    """The publisher forbids a purpose to vendors (type 0), or binds them to consent (1) or legitimate interest (2)."""

    purpose: int
    type: int
    vendors: Ids


class Publisher(NamedTuple):
    """The publisher's own processing (segment 3)."""

    consents: frozenset[int]
    interests: frozenset[int]
    custom_consents: frozenset[int]
    custom_interests: frozenset[int]


class TcfString(NamedTuple):
    """A decoded string. Times in UTC microseconds; purposes, features and vendors by number."""

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
    interests: frozenset[int]
    purpose_one_treatment: bool
    country: str
    vendors: Ids
    vendor_interests: Ids
    restrictions: tuple[Restriction, ...]
    disclosed: Ids | None = None
    publisher: Publisher | None = None


def decode_tcf(text: str) -> TcfString:
    """Decode a TCF string. Raises `InvalidSignal`; says nothing about its age."""
    if len(text) > MAX_CHARS:
        raise InvalidSignal(Invalid.TOO_LONG, "the string is too long")
    core, *others = text.split(".")
    bits = Bits(core)
    decoded = _core(bits)
    paddings = PADDINGS & bits.end()
    seen: set[int] = set()
    for segment in others:
        bits = Bits(segment)
        kind = bits.number(3)
        if kind in seen:
            raise InvalidSignal(Invalid.MALFORMED, "a segment comes twice")
        seen.add(kind)
        decoded = _segment(decoded, kind, bits)
        paddings &= bits.end()
    if not paddings:
        raise InvalidSignal(Invalid.MALFORMED, "segments are padded in different ways")
    return decoded


def _core(bits: Bits) -> TcfString:
    if bits.number(6) != 2:
        raise InvalidSignal(Invalid.UNSUPPORTED_VERSION, "only version 2 is known")
    created, updated = bits.number(36) * DECISECOND, bits.number(36) * DECISECOND
    head = (bits.number(12), bits.number(12), bits.number(6), bits.letters(2), bits.number(12))
    policy, service_specific, custom_texts = bits.number(6), bits.flag(), bits.flag()
    features, consents, interests = bits.members(12), bits.members(24), bits.members(24)
    tail = (bits.flag(), bits.letters(2), bits.ids(), bits.ids(), _restrictions(bits))
    if updated < created:
        raise InvalidSignal(Invalid.MALFORMED, "the string was updated before it was created")
    if not service_specific:
        raise InvalidSignal(Invalid.WRONG_SCOPE, "the string is not service specific")
    if policy < LEAST_POLICY:
        raise InvalidSignal(Invalid.OLD_POLICY, "the string is older than policy version 4")
    if interests & CONSENT_ONLY:
        raise InvalidSignal(Invalid.FORBIDDEN_INTEREST, "legitimate interest is claimed for purposes 3 to 6")
    return TcfString(created, updated, *head, policy, custom_texts, features, consents, interests, *tail)


def _restrictions(bits: Bits) -> tuple[Restriction, ...]:
    return read_restrictions(bits, lambda: Ids(ranges=bits.ranges()))


def read_restrictions(bits: Bits, read_vendors: Callable[[], Ids]) -> tuple[Restriction, ...]:
    found = tuple(Restriction(bits.number(6), bits.number(2), read_vendors()) for _ in range(bits.number(12)))
    if any(not 1 <= each.purpose <= 24 or each.type > REQUIRE_INTEREST for each in found):
        raise InvalidSignal(Invalid.MALFORMED, "a publisher restriction is not one")
    return found


def _segment(decoded: TcfString, kind: int, bits: Bits) -> TcfString:
    if kind == DISCLOSED:
        return decoded._replace(disclosed=bits.ids())
    if kind == ALLOWED:
        bits.ids()
        return decoded
    if kind == PUBLISHER:
        return decoded._replace(publisher=read_publisher(bits))
    raise InvalidSignal(Invalid.MALFORMED, "a segment is of no known kind")


def read_publisher(bits: Bits) -> Publisher:
    consents, interests, custom = bits.members(24), bits.members(24), bits.number(6)
    return Publisher(consents, interests, bits.members(custom), bits.members(custom))


def read_tcf(text: str, purposes: Purposes, vendor: int | None, freshness: Freshness) -> Reading:
    """What a TCF string says of our purposes: for the publisher itself, or for a vendor's id. Raises `InvalidSignal`."""
    return reading_of(decode_tcf(text), purposes, vendor, freshness)


def reading_of(decoded: TcfString, purposes: Purposes, vendor: int | None, freshness: Freshness) -> Reading:
    """A decoded string in our purposes. Raises `InvalidSignal` when its choice is out of its time.

    A string without a publisher segment grants nothing to the publisher; what its core refuses it refuses all the same. An empty
    segment counts as none: the reference library writes one for every banner that does not ask for the publisher.
    """
    until = freshness.until(decoded.updated)
    scope, consents, asked = scoped(
        decoded.publisher, decoded.consents, None if vendor is None else vendor_consents(decoded, vendor)
    )
    grants, denies = covered(purposes, consents, decoded.special_features)
    return Reading(SOURCE, grants if asked else frozenset(), denies, at=decoded.updated, until=until, detail=scope)


def scoped(publisher: Publisher | None, core: frozenset[int], vendor: frozenset[int] | None) -> tuple[str, frozenset[int], bool]:
    """Whose consents count, which they are, and whether the person was asked for them."""
    if vendor is not None:
        return "vendor", vendor, True
    if publisher is not None and any(publisher):
        return "publisher segment", publisher.consents, True
    return "nothing asked for the publisher", core, False


def vendor_consents(decoded: TcfString, vendor: int) -> frozenset[int]:
    """The purposes for which this vendor has consent: disclosed, consented to, and not restricted otherwise."""
    if decoded.disclosed is None or not decoded.disclosed.has(vendor) or not decoded.vendors.has(vendor):
        return frozenset()
    return unrestricted(decoded.consents, decoded.restrictions, vendor)


def unrestricted(consents: frozenset[int], restrictions: Iterable[Restriction], vendor: int) -> frozenset[int]:
    """The consents that the publisher lets the vendor act on."""
    return consents - {each.purpose for each in restrictions if each.type != REQUIRE_CONSENT and each.vendors.has(vendor)}


def covered(purposes: Purposes, consents: frozenset[int], features: frozenset[int]) -> tuple[frozenset[str], frozenset[str]]:
    """Split the purposes that TCF can speak of into those wholly consented to and the others."""
    spoken = [purpose for purpose in purposes.by_name.values() if purpose.tcf]
    granted = {
        purpose.name for purpose in spoken if consents.issuperset(purpose.tcf) and features.issuperset(purpose.special_features)
    }
    return frozenset(granted), frozenset(purpose.name for purpose in spoken) - granted
