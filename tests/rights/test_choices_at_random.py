"""Whatever people choose and do wherever, in whatever order: nothing is stored of an id that refused, until it is lifted."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import pytest

from consentryd.model.client import Client
from consentryd.model.clock import SECOND
from consentryd.model.identity import Identity, IdentityKind
from consentryd.rights.consent import ConsentDesk, Statement
from consentryd.storage.choice import ChoiceState
from tests.rights.estate import Estate, opened

USERS: Final = ("ann", "bob")
DEVICES: Final = ("phone", "desk")
#: The one that nobody refuses lets who is who change all the same.
PURPOSES: Final = {"Bought": "analytics", "Ad Seen": "marketing"}
GRANTS: Final = {"consent": {"purposes": dict.fromkeys(PURPOSES.values(), True)}}


class Visits:
    """What happens at random, and which ids have refused marketing by now."""

    def __init__(self, estate: Estate, chance: random.Random) -> None:
        self.estate = estate
        self.chance = chance
        self.refused: set[str] = set()
        self.log: list[object] = []

    def where(self) -> tuple[str, str | None]:
        """The visitor's country and the region that is declared, if one is."""
        return self.chance.choice(["DE", "US"]), self.chance.choice([None, None, None, "eu", "us"])

    async def visit(self) -> None:
        country, region = self.where()
        user, device = self.chance.choice([None, *USERS]), self.chance.choice(DEVICES)
        named = [each for each in (user, device) if each is not None and self.chance.random() < 0.9] or [device]
        fields = {"user": user if user in named else None, "anonymous": device if device in named else None}
        name = self.chance.choice(list(PURPOSES))
        alias = {}
        if fields["user"] and self.chance.random() < 0.15:
            previous = self.chance.choice(DEVICES)
            alias, named, name = {"type": "alias", "previousId": previous}, [*named, previous], "alias"
        event = self.estate.event(**fields, event=name, context=GRANTS, **alias)
        (outcome,) = await self.estate.come(event, client=Client(country=country), region=region)
        self.log.append((fields, alias, name, country, region, outcome))
        marketing = PURPOSES.get(name) != "analytics"
        assert outcome != "stored" or not marketing or self.refused.isdisjoint(named), self.log

    async def choose(self) -> None:
        """A visitor for their device, or a server that refuses for a user."""
        country, declared = self.where()
        if self.chance.random() < 0.7:
            by, named = "visitor", [Identity(IdentityKind.ANONYMOUS_ID, self.chance.choice(DEVICES))]
        else:
            by, named = "server", [Identity(IdentityKind.USER_ID, self.chance.choice(USERS))]
            if self.chance.random() < 0.4:
                named.append(Identity(IdentityKind.ANONYMOUS_ID, self.chance.choice(DEVICES)))
        state = self.chance.choice([ChoiceState.GRANTED, ChoiceState.DENIED]) if by == "visitor" else ChoiceState.WITHDRAWN
        house = self.estate.house
        desk = ConsentDesk(self.estate.settings, house.policy, house.stores, house.pseudonyms, self.estate.clock)
        region = house.place.region_of(declared, "shop", named, country)
        await desk.record(region, Statement("shop", by, tuple(named), {"marketing": state}, country=country))
        self.log.append((named, state, region))
        values = {each.value for each in named}
        self.refused = self.refused - values if state is ChoiceState.GRANTED else self.refused | values


@pytest.mark.parametrize("seed", [10, 13, 20, 41])
async def test_nothing_is_stored_of_an_id_that_refused(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    events = {"Ad Seen": "marketing", "alias": "marketing"}
    with opened(tmp_path, consent={"events": events}) as estate:
        visits = Visits(estate, chance)
        for _ in range(40):
            estate.clock.advance(SECOND)
            if chance.random() < 0.15:
                estate.house.place.forget()
            await (visits.choose() if chance.random() < 0.25 else visits.visit())
