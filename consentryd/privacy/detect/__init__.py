"""The detectors of personal data in free text, one family a file, in the order in which they claim a span."""

from __future__ import annotations

from typing import Final

from consentryd.privacy.detect import (
    card,
    crypto,
    device,
    email,
    iban,
    location,
    named,
    national_id,
    network,
    phone,
    secret,
    user_agent,
)
from consentryd.privacy.detect.detector import Detector, Finding, Gate

__all__ = ["DETECTORS", "FOR_GOODS", "FOR_IDS", "Detector", "Finding", "Gate"]

DETECTORS: Final[tuple[Detector, ...]] = (
    *secret.DETECTORS,
    *user_agent.DETECTORS,
    *location.DETECTORS,
    *email.DETECTORS,
    *crypto.DETECTORS,
    *iban.DETECTORS,
    *device.DETECTORS,
    *card.DETECTORS,
    *phone.DETECTORS,
    *national_id.DETECTORS,
    *network.DETECTORS,
    *named.DETECTORS,
)

#: In the place of those detectors that take any number of the right length and check digit, where a key says that it is an id.
FOR_IDS: Final[tuple[Detector, ...]] = (
    *(detector for detector in DETECTORS if not detector.id_like),
    *national_id.FOR_IDS,
)

#: For numbers of goods that are not of digits only: part numbers have the forms of national ones.
FOR_GOODS: Final[tuple[Detector, ...]] = tuple(detector for detector in DETECTORS if detector not in national_id.DETECTORS)
