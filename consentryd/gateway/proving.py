"""What the endpoints of consent and ledger need of the house."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consentryd.consent.policy import Policy
from consentryd.gateway.stages.place import Place
from consentryd.rights.consent import ConsentDesk
from consentryd.rights.registrar import Registrar
from consentryd.storage.region import RegionStore


@dataclass(frozen=True, slots=True)
class Proving:
    """The desk that records choices, the registrar of other facts, and the stores of the regions served, whose ledgers prove them."""

    desk: ConsentDesk
    registrar: Registrar
    policy: Policy
    place: Place
    stores: Mapping[str, RegionStore]
