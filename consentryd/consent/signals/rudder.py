"""RudderStack's signal: `context.consentManagement = {"allowedConsentIds": [...], "deniedConsentIds": [...], "provider": "oneTrust"}`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.choice import MAX_NAMES, sorted_out
from consentryd.consent.signals.reading import Invalid, InvalidSignal, Reading

SOURCE = "rudder"
_ALLOWED, _DENIED = "allowedConsentIds", "deniedConsentIds"
_KNOWN: Final = frozenset({_ALLOWED, _DENIED, "provider", "resolutionStrategy"})


def read_rudder(management: Any, purposes: Purposes) -> Reading:
    """Read the allowed and denied ids. `resolutionStrategy` is about destinations; here a denied id always denies."""
    if not isinstance(management, dict):
        raise InvalidSignal(Invalid.MALFORMED, "consentManagement is not an object")
    if management and _KNOWN.isdisjoint(management):
        raise InvalidSignal(Invalid.MALFORMED, "consentManagement holds nothing that is known")
    grants, denies = sorted_out(_chosen(management), purposes)
    return Reading(SOURCE, grants, denies)


def _chosen(management: dict[str, Any]) -> Iterator[tuple[str, bool]]:
    for key, yes in ((_ALLOWED, True), (_DENIED, False)):
        # older SDKs send an empty object where a newer one sends an empty list
        ids = management.get(key) or []
        if not isinstance(ids, list) or len(ids) > MAX_NAMES or not all(isinstance(name, str) for name in ids):
            raise InvalidSignal(Invalid.MALFORMED, f"{key} is not a list of ids")
        yield from ((name, yes) for name in ids)
