"""Facts of the operation in the ledgers: what was refused, which policy and keys were in force since when, which keys are gone.

What is noted last is kept in `meta`, so that every worker may report the same fact and the ledger holds it once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final

from consentryd.config.settings import Settings
from consentryd.consent.policy import Policy
from consentryd.storage.ledger import EntryKind, Ledger
from consentryd.storage.region import RegionStore
from consentryd.storage.signing import Signer
from consentryd.storage.writer import Transaction

#: What else decides about personal data, besides the policy.
_SECTIONS: Final = {"consent", "limits", "privacy", "regions", "site", "sites"}


class Registrar:
    """One for a process. Each method returns once its facts are durable; all raise `Unavailable`."""

    def __init__(self, stores: Mapping[str, RegionStore]) -> None:
        self._stores = stores

    async def note_region_refused(self, site: str, region: str) -> None:
        """A request was refused because its events belong to a region that is not served here. In the first ledger there is."""
        store = next(iter(self._stores.values()))
        signer = store.signing.signer()
        facts = {"site": site, "region": region}
        await store.log.transact(partial(_append, signer=signer, kind=EntryKind.REGION_REFUSED, facts=facts))

    async def note_policy(self, policy: Policy, settings: Settings) -> None:
        """The policy and settings in force, where they are other than those noted last."""
        facts = {"policy": policy.version, "policy_sha256": policy.digest, "settings_sha256": settings_digest(settings)}
        await self._note_all("policy", lambda _: (EntryKind.POLICY_CHANGED, facts))

    async def note_signing_keys(self) -> None:
        """The key in use, where it is another than the one noted last."""
        await self._note_all(
            "signing_key", lambda signer: (EntryKind.SIGNING_KEY_ROTATED, {"key": signer.id, "vkey": signer.verifier.vkey})
        )

    async def note_daily_keys(self, days: Sequence[str]) -> None:
        """The days whose key is in memory now: the ledgers learn of those made, and of those destroyed, since the last note."""
        for store in self._stores.values():
            signer = store.signing.signer()
            await store.log.transact(partial(_note_days, signer=signer, days=sorted(days)))

    async def _note_all(self, name: str, fact: Callable[[Signer], tuple[EntryKind, dict[str, Any]]]) -> None:
        for store in self._stores.values():
            signer = store.signing.signer()
            kind, facts = fact(signer)
            await store.log.transact(partial(_note, signer=signer, name=name, kind=kind, facts=facts))


def settings_digest(settings: Settings) -> str:
    """SHA-256 of the settings that decide about personal data."""
    decisive = settings.model_dump(mode="json", include=_SECTIONS)
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()


def _note(transaction: Transaction, signer: Signer, name: str, kind: EntryKind, facts: Mapping[str, Any]) -> None:
    value = json.dumps(facts, sort_keys=True)
    if _swap(transaction, name, value) != value:
        _append(transaction, signer, kind, facts)


def _note_days(transaction: Transaction, signer: Signer, days: list[str]) -> None:
    noted = json.loads(_swap(transaction, "daily_keys", json.dumps(days)) or "[]")
    for day in sorted(set(noted) - set(days)):
        _append(transaction, signer, EntryKind.DAILY_KEY_DESTROYED, {"day": day})
    for day in sorted(set(days) - set(noted)):
        _append(transaction, signer, EntryKind.DAILY_KEY_MADE, {"day": day})


def _swap(transaction: Transaction, name: str, value: str) -> str | None:
    """Put a value into `meta`; the one that was there."""
    row = transaction.connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    transaction.connection.execute(
        "INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value", (name, value)
    )
    return None if row is None else str(row[0])


def _append(transaction: Transaction, signer: Signer, kind: EntryKind, facts: Mapping[str, Any]) -> None:
    ledger = Ledger(transaction.connection)
    ledger.append(transaction.now, kind, facts)
    ledger.keep_checkpoint(ledger.checkpoint(signer), transaction.now)
