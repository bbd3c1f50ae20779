"""The US Privacy string, four characters such as `1YNN`: version, notice, opt-out of sale, LSPA. Retired in 2024, still sent."""

from __future__ import annotations

import re

from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.reading import Invalid, InvalidSignal, Reading

SOURCE = "us_privacy"
_FORMAT = re.compile(r"1([YN-])([YN-])([YN-])")


def decode_us_privacy(text: str) -> tuple[str, str, str]:
    """Notice given, opted out of sale, covered by the LSPA: each `Y`, `N` or `-`."""
    found = _FORMAT.fullmatch(text)
    if found is None:
        raise InvalidSignal(Invalid.MALFORMED, "not of the form 1 and three of Y, N, -")
    return found[1], found[2], found[3]


def read_us_privacy(text: str, purposes: Purposes) -> Reading:
    opted_out = decode_us_privacy(text)[1] == "Y"
    return Reading(SOURCE, opt_outs=purposes.opt_out if opted_out else frozenset())
