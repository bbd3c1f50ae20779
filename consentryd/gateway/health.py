"""Whether this process can take an event right now."""

from __future__ import annotations

from typing import NamedTuple


class Check(NamedTuple):
    """One thing that must hold before events are taken. `detail` is a short text for the operator, without personal data."""

    name: str
    ok: bool
    detail: str = ""
