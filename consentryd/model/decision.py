"""What consent decided about an event."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Lane(StrEnum):
    """Where an event travels: as a person's, with a grant, or counted without any person."""

    CONSENTED = "consented"
    ANONYMOUS = "anonymous"


class Decision(NamedTuple):
    """An event may enter, in this lane, for this purpose, because of `ref`.

    `ref` names the evidence: a ledger entry, or the policy version, regime, signals and winning rule, in one short line without
    personal data. `visitor` asks for the daily token in the anonymous lane.
    """

    lane: Lane
    purpose: str
    ref: str
    visitor: bool = False
