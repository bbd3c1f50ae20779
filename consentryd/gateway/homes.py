"""The indexes of the regions served, asked by raw identity."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet

from consentryd.gateway.stages.place import Named, Told
from consentryd.privacy.pseudonym import Pseudonymiser
from consentryd.storage.location import DATABASE
from consentryd.storage.outlook import Outlook
from consentryd.storage.region import RegionStore


class Homes:
    """By the names of their regions. Belongs to the event loop; close it before the stores."""

    def __init__(self, stores: Mapping[str, RegionStore], pseudonyms: Mapping[str, Pseudonymiser]) -> None:
        self._stores = stores
        self._pseudonyms = pseudonyms
        standings = {name: store.standings for name, store in stores.items()}
        self._outlook = Outlook(standings, {name: store.root / DATABASE for name, store in stores.items()})

    @property
    def regions(self) -> AbstractSet[str]:
        return self._stores.keys()

    def since(self, region: str, identity: Named) -> int | None:
        return self._stores[region].since(self._pseudonyms[region].identity(*identity))

    def look(self, regions: Collection[str], identities: Sequence[Named]) -> dict[str, Told]:
        digest = {name: self._pseudonyms[name].identity for name in regions}
        named = {name: {digest[name](*identity): identity for identity in identities} for name in regions}
        found = self._outlook.look({name: list(digests) for name, digests in named.items()})
        return {
            name: ([digests[each] for each in found[name]], self._stores[name].standings.any) for name, digests in named.items()
        }

    def close(self) -> None:
        self._outlook.close()
