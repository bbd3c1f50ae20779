"""Whatever comes from wherever in whatever order: who is who in each region is what the rules of identity say, told plainly."""

from __future__ import annotations

import itertools
import random
from pathlib import Path
from typing import Any, Final

import pytest

from consentryd.model.client import Client
from consentryd.model.clock import SECOND
from consentryd.model.identity import IdentityKind
from consentryd.storage.index import MemoryIdentityTable, SubjectIndex
from tests.rights.estate import Estate, opened

USERS: Final = ("ann", "bob", "carl")
DEVICES: Final = ("phone", "tablet", "desk", "kiosk")
REGIONS: Final = ("eu", "us")

#: User, device, and the device of an alias call.
Ids = tuple[str | None, str | None, str | None]


class Model:
    """One region's people, as the rules say."""

    def __init__(self) -> None:
        self.table = MemoryIdentityTable()
        self.index = SubjectIndex(self.table, itertools.count(1).__next__)

    def store(self, user: str | None, device: str | None) -> None:
        self.index.forget()
        self.index.resolve(user and user.encode(), device and device.encode(), 0)

    def hear(self, user: str, device: str) -> None:
        """Elsewhere the user came on the device."""
        owner = self.table.find(device.encode())
        if owner is not None and not owner.known:
            self.store(user, device)

    def people(self) -> set[frozenset[str]]:
        return _people({digest.decode(): subject for digest, subject in self.table.identities.items()})


def _people(subjects: dict[str, int]) -> set[frozenset[str]]:
    return {frozenset(name for name, subject in subjects.items() if subject == each) for each in subjects.values()}


def _stored_people(estate: Estate, region: str) -> set[frozenset[str]]:
    identity, subject = estate.house.pseudonyms[region].identity, estate.house.stores[region].standings.subject
    ids = [(IdentityKind.USER_ID, name) for name in USERS] + [(IdentityKind.ANONYMOUS_ID, name) for name in DEVICES]
    found = {name: subject(identity("shop", kind, name)) for kind, name in ids}
    return _people({name: each for name, each in found.items() if each is not None})


def _ids(chance: random.Random) -> Ids:
    user = chance.choice([None, *USERS])
    device = chance.choice([None, *DEVICES]) if user else chance.choice(DEVICES)
    return user, device, chance.choice(DEVICES) if user and chance.random() < 0.15 else None


def _event(estate: Estate, ids: Ids) -> dict[str, Any]:
    user, device, previous = ids
    alias = {} if previous is None else {"type": "alias", "previousId": previous, "event": None}
    return estate.event(user, device, **alias)


@pytest.mark.parametrize("seed", range(8))
async def test_people_are_who_the_rules_say_in_every_region(tmp_path: Path, seed: int) -> None:
    chance, models = random.Random(seed), {region: Model() for region in REGIONS}
    with opened(tmp_path) as estate:
        for _ in range(chance.randint(4, 12)):
            estate.clock.advance(SECOND)
            if chance.random() < 0.3:
                estate.house.place.forget()
            named = [_ids(chance) for _ in range(chance.choice([1, 1, 2, 5, 20]))]
            events = [_event(estate, ids) for ids in named]
            client, declared = Client(country=chance.choice(["DE", "US"])), chance.choice([None, None, *REGIONS])
            assert set(await estate.come(*events, client=client, region=declared)) == {"stored"}
            homes = {row["event_id"]: region for region in REGIONS for row in estate.rows(region)}
            told = [(homes[event["messageId"]], *ids) for event, ids in zip(events, named, strict=True)]
            for region, user, device, previous in told:
                models[region].store(user, previous or device)
            for region, user, device, previous in told:
                for other in (other for other in REGIONS if other != region and user is not None):
                    for each in (device, previous):
                        if each is not None:
                            models[other].hear(str(user), each)
            for region, model in models.items():
                assert _stored_people(estate, region) == model.people()
