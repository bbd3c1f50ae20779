"""Who is a user in one region on a device that another region knows is told to the other one, as its own: else a request by user id, which
no digest leads from region to region, would not find there what they did before they were known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial

from consentryd.gateway.stages.person import Person
from consentryd.model.identity import IdentityKind
from consentryd.privacy.pseudonym import Pseudonymiser
from consentryd.storage.region import RegionStore
from consentryd.storage.writer import Transaction

#: The digests of a user id and an anonymous id.
Pair = tuple[bytes, bytes]


class Ties:
    """One for a process, over the regions it serves."""

    def __init__(self, stores: Mapping[str, RegionStore], pseudonyms: Mapping[str, Pseudonymiser]) -> None:
        self._stores = stores
        self._pseudonyms = pseudonyms

    async def make(self, site: str, apart: Iterable[tuple[Person, str]], stored: AbstractSet[tuple[str, Pair]]) -> None:
        """Durable when it returns. `apart` are users and the region of their events (`Passage.apart`), `stored` the pairs of ids, by region,
        of events that are stored: nobody else's are tied. Raises `Unavailable`.
        """
        found = {
            (other, self._pair(site, person, other)): None
            for person, region in apart
            if (region, self._pair(site, person, region)) in stored
            for other in person.apart[region]
        }
        await asyncio.gather(*(self._tie(other, pair) for other, pair in found))

    async def _tie(self, region: str, pair: Pair) -> None:
        store = self._stores[region]
        if store.standings.is_nobodys(pair[1]):
            await store.log.transact(partial(_tie, pair))

    def _pair(self, site: str, person: Person, region: str) -> Pair:
        identity = self._pseudonyms[region].identity
        assert person.user_id is not None
        assert person.anonymous_id is not None
        return identity(site, IdentityKind.USER_ID, person.user_id), identity(
            site, IdentityKind.ANONYMOUS_ID, person.anonymous_id
        )


def _tie(pair: Pair, transaction: Transaction) -> None:
    if not any(transaction.choices.is_suppressed(digest, transaction.now) for digest in pair):
        transaction.index.tie(*pair, transaction.now)
