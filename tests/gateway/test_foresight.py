"""Requests that come together ask the stores once; what each is told is what it would have found alone."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest

from consentryd.gateway.foresight import FEW, Foresight
from consentryd.gateway.stages.person import Persons
from consentryd.gateway.stages.place import Named, Place
from consentryd.model.error import Misdirected, Unavailable
from consentryd.model.event import RawEvent
from tests.stages.test_place import REGIONS, Homes, passage


class Home:
    """Knows some ids, and counts how often it is asked."""

    def __init__(self, *known: str, chosen: bool = False) -> None:
        self.known, self.chosen, self.asked = set(known), chosen, list[int]()

    def since(self, identity: Named) -> int | None:
        return 0 if identity[2] in self.known else None

    def look(self, identities: Sequence[Named]) -> tuple[Collection[Named], bool]:
        self.asked.append(len(identities))
        return [identity for identity in identities if identity[2] in self.known], self.chosen


class Locked(Home):
    def look(self, identities: Sequence[Named]) -> tuple[Collection[Named], bool]:
        raise Unavailable("store_unavailable", "The store is locked.")


def of(*devices: str) -> list[RawEvent]:
    return [RawEvent("track", "x", anonymous_id=device) for device in devices]


def foresight(**homes: Home) -> Foresight:
    persons = Persons(255)
    return Foresight(Place({name: REGIONS[name] for name in ("us", "eu")}, Homes(homes), persons), persons)


async def test_requests_that_come_together_ask_each_store_once() -> None:
    us, eu = Home("a"), Home("b", chosen=True)
    seen = foresight(us=us, eu=eu)
    ways = [passage() for _ in range(5)]
    await asyncio.gather(*(seen.foresee(of("a", "b", f"new {number}"), way) for number, way in enumerate(ways)))
    assert (us.asked, eu.asked) == ([7], [7])
    for number, way in enumerate(ways):
        assert way.looked == {"us": False, "eu": True}
        names = {identity[2] for identity in way.strangers}
        assert f"new {number}" in names
        assert names.isdisjoint("ab")


async def test_who_is_known_is_not_asked_for_again_but_what_was_chosen_is() -> None:
    us, eu = Home("a"), Home("b")
    seen = foresight(us=us, eu=eu)
    await seen.foresee(of("a", "b"), passage())
    eu.chosen = True
    way = passage()
    await seen.foresee(of("b"), way)
    assert (us.asked, eu.asked) == ([2], [2, 0])
    assert way.looked == {"eu": True}


async def test_parts_of_a_request_ask_only_for_whom_no_part_named_before() -> None:
    us, eu = Home(), Home()
    seen, way = foresight(us=us, eu=eu), passage()
    await seen.foresee(of("a", "b"), way)
    await seen.foresee(of("a"), way)
    await seen.foresee(of("b", "c"), way)
    assert us.asked == eu.asked == [2, 1]


async def test_a_declared_region_and_an_only_one_are_asked_what_was_chosen_there() -> None:
    us, eu = Home(), Home(chosen=True)
    way = passage(declared="eu")
    await foresight(us=us, eu=eu).foresee(of("a"), way)
    assert (us.asked, eu.asked, way.looked) == ([], [0], {"eu": True})
    alone, way = Home(chosen=True), passage()
    await foresight(eu=alone).foresee(of("a"), way)
    assert (alone.asked, way.looked) == ([0], {"eu": True})


async def test_a_region_that_there_is_not_is_said_at_once() -> None:
    with pytest.raises(Misdirected):
        await foresight(us=Home(), eu=Home()).foresee(of("a"), passage(declared="mars"))


@pytest.mark.parametrize("ids", ["null", "", 7, [1], {"a": 1}, None])
async def test_what_is_no_id_is_asked_of_nobody(ids: object) -> None:
    us, eu = Home(), Home()
    await foresight(us=us, eu=eu).foresee([RawEvent("track", "x", user_id=ids)], passage())
    assert us.asked + eu.asked in ([], [1, 1])
    assert (ids == 7) == bool(us.asked)


async def test_a_store_that_cannot_be_asked_is_an_error_of_each_request_and_of_no_later_one() -> None:
    homes: dict[str, Home] = {"us": Home(), "eu": Locked()}
    seen = foresight(**homes)
    told = await asyncio.gather(*(seen.foresee(of(name), passage()) for name in "abc"), return_exceptions=True)
    assert [type(each) for each in told] == [Unavailable] * 3
    homes["eu"].__class__ = Home
    way = passage()
    await seen.foresee(of("a"), way)
    assert {identity[2] for identity in way.strangers} == {"a"}


async def test_a_request_that_is_given_up_leaves_the_others_answered() -> None:
    us, eu = Home(), Home()
    seen, way = foresight(us=us, eu=eu), passage()
    gone = asyncio.ensure_future(seen.foresee(of("a"), passage()))
    stays = asyncio.ensure_future(seen.foresee(of("b"), way))
    await asyncio.sleep(0)
    gone.cancel()
    await stays
    assert "b" in {identity[2] for identity in way.strangers}


async def test_a_request_of_many_events_is_left_to_the_stages() -> None:
    us, eu = Home(), Home()
    way = passage()
    await foresight(us=us, eu=eu).foresee(of(*map(str, range(FEW + 1))), way)
    assert (us.asked, eu.asked, way.foreseen) == ([], [], False)
