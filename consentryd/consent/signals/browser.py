"""What browsers say in a header: `Sec-GPC: 1` (Global Privacy Control) and `DNT: 1` (Do Not Track)."""

from __future__ import annotations

from typing import Final

from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.reading import Reading

GPC: Final = "gpc"
DNT: Final = "dnt"


def is_set(value: str) -> bool:
    """Whether a header is on: exactly `1`, or one of several joined by a proxy is. Anything else is no signal (GPC, section 3)."""
    return value == "1" or ("," in value and any(part.strip(" \t") == "1" for part in value.split(",")))


def read_gpc(value: str, purposes: Purposes) -> Reading | None:
    return Reading(GPC, opt_outs=purposes.opt_out) if is_set(value) else None


def read_dnt(value: str, purposes: Purposes) -> Reading | None:
    return Reading(DNT, denies=purposes.all) if is_set(value) else None
