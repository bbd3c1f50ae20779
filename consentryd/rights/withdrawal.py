"""What becomes of stored events when their purpose is refused: `on_withdrawal = keep | anonymise | erase`, done in the background.

From the refusal on no query shows them; this makes it true on the disk. A run that was interrupted is done again: what waits is forgotten
last.
"""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from functools import partial
from typing import Final

from consentryd.config.settings import Settings
from consentryd.consent.purposes import Purposes
from consentryd.storage.alias import load_aliases
from consentryd.storage.database import open_database
from consentryd.storage.erasure import empty_wal
from consentryd.storage.hold import held_subjects
from consentryd.storage.lake import Lake
from consentryd.storage.ledger import EntryKind, Ledger
from consentryd.storage.location import DATABASE
from consentryd.storage.region import RegionStore
from consentryd.storage.seal import Sealer
from consentryd.storage.signing import Signer
from consentryd.storage.sweep import Swept, Targets, sweep
from consentryd.storage.withdrawal import Withdrawal, forget_withdrawals, load_withdrawals
from consentryd.storage.writer import Transaction

_DELETION_WAIT_S: Final = 60.0
_WAL_WAIT_S: Final = 2.0


class Sweeper:
    """For one region. `run` is called now and then; several processes may, one at a time works."""

    def __init__(self, store: RegionStore, lake: Lake, purposes: Purposes, settings: Settings) -> None:
        self._store = store
        self._lake = lake
        self._purposes = purposes
        self._settings = settings

    def due(self) -> list[Withdrawal]:
        """Refusals whose events still have to go, and may."""
        return self._free([each for each in load_withdrawals(self._store.reader) if self._fate(each) != "keep"])

    def _free(self, withdrawals: list[Withdrawal]) -> list[Withdrawal]:
        """Those of people whom no law holds."""
        held = set(held_subjects(self._store.reader))
        return [each for each in withdrawals if each.subject not in held]

    def take(self, due: list[Withdrawal], *, wait_s: float = 0.0) -> tuple[list[Withdrawal], Swept]:
        """Take the events of `due` out of every file, but of nobody who is held by now: what was taken. Not for the event loop.

        Raises `Busy`, `CorruptStore`, `OSError`.
        """
        Sealer(self._store.root, self._lake).run(wait_s=wait_s)
        with closing(open_database(self._store.root / DATABASE, "region")) as connection:
            empty_wal(connection, _WAL_WAIT_S)
        with self._lake.writing(wait_s):
            taken, aliases = self._free(due), load_aliases(self._store.reader)
            erase, anonymise = (
                Targets([each for each in taken if self._fate(each) == fate], aliases) for fate in ("erase", "anonymise")
            )
            swept = sweep(self._lake, erase, anonymise, self._may_count)
            self._lake.vacuum(_DELETION_WAIT_S)
        return taken, swept

    async def settle(self, taken: list[Withdrawal], swept: Swept) -> None:
        """Forget what waited, and tell the ledger how much went: not whose. Raises `Unavailable`."""
        signer = self._store.signing.signer()
        await self._store.log.transact(partial(_settle, taken=taken, swept=swept, signer=signer))

    def _fate(self, withdrawal: Withdrawal) -> str:
        purpose = self._purposes.by_name.get(withdrawal.purpose)
        return "erase" if purpose is None else purpose.on_withdrawal

    def _may_count(self, site: str, event: str) -> bool:
        """Whether the anonymous lane would have kept the event of somebody who objected."""
        own = self._settings.site_of(site)
        if own.anonymous_lane == "off" or self._settings.consent.anonymous_after_denial == "nothing":
            return False
        return event in own.anonymous_events and not self._purposes.of_event(event).sensitive


def _settle(transaction: Transaction, taken: list[Withdrawal], swept: Swept, signer: Signer) -> None:
    forget_withdrawals(transaction.connection, taken)
    if swept.files:
        ledger = Ledger(transaction.connection)
        purposes = dict(sorted(Counter(each.purpose for each in taken).items()))
        facts = {"withdrawals": purposes, "events_erased": swept.erased, "events_anonymised": swept.anonymised}
        ledger.append(transaction.now, EntryKind.WITHDRAWAL_APPLIED, facts)
        ledger.keep_checkpoint(ledger.checkpoint(signer), transaction.now)
