"""Who is a user in one region on a device that another region knows is told to the other one, as its own: else a request by user id, which
no digest leads from region to region, would not find there what they did before they were known."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial

from consentryd.gateway.stages.person import Digests, Person, digests_of
from consentryd.model.error import Unavailable
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
            (other, digests_of(person, other, site, self._pseudonyms)): None
            for person, region in apart
            if (region, digests_of(person, region, site, self._pseudonyms)) in stored
            for other in person.apart[region]
        }
        try:
            await asyncio.gather(*(self._tie(other, digests) for other, digests in found))
        except Unavailable as error:  # it says that nothing was kept
            text = "Another region could not be told who somebody is. Send the batch again: ids tell what is there."
            raise Unavailable("partly_unavailable", text, retry_after=error.retry_after or 2) from error

    async def _tie(self, region: str, digests: Digests) -> None:
        store, (user, anonymous) = self._stores[region], digests
        if user is not None and anonymous is not None and store.standings.is_nobodys(anonymous):
            await store.log.transact(partial(_tie, (user, anonymous)))


def _tie(pair: Pair, transaction: Transaction) -> None:
    if not any(transaction.choices.is_suppressed(digest, transaction.now) for digest in pair):
        transaction.index.tie(*pair, transaction.now)
