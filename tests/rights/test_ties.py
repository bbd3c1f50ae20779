"""Who browsed in one region as a device and is a user in another is one person in both, for requests and for what they chose."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from consentryd.model.client import Client
from consentryd.model.clock import SECOND
from consentryd.model.error import Unavailable
from consentryd.model.identity import Identity, IdentityKind
from consentryd.rights.consent import ConsentDesk, Statement
from consentryd.storage.choice import ChoiceState
from consentryd.storage.location import DATABASE
from tests.rights.estate import Estate, opened


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    with opened(tmp_path) as estate:
        yield estate


def owners(estate: Estate, region: str = "us") -> dict[str, int | None]:
    """The subject of some ids in a region, by the id."""
    identity, subject = estate.house.pseudonyms[region].identity, estate.house.stores[region].standings.subject
    ids = [(IdentityKind.USER_ID, name) for name in ("ann", "bob")]
    ids += [(IdentityKind.ANONYMOUS_ID, name) for name in ("phone", "tablet")]
    return {value: found for kind, value in ids if (found := subject(identity("shop", kind, value))) is not None}


async def browse(estate: Estate, device: str = "phone", region: str = "us") -> None:
    assert await estate.send(estate.event(None, device), region=region) == ["stored"]


@pytest.fixture(params=["declared", "by country"])
async def ann(estate: Estate, request: Any) -> Estate:
    """A user of the European region, on whose phone somebody browsed in the American one; now she logs in there."""
    await estate.send(estate.event("ann", "desk"))
    await browse(estate)
    estate.clock.advance(SECOND)
    if request.param == "declared":
        assert await estate.send(estate.event("ann", "phone")) == ["stored"]
    else:
        assert await estate.come(estate.event("ann", "phone"), client=Client(country="US")) == ["stored"]
    return estate


async def test_a_request_by_user_id_finds_what_the_device_did_in_another_region(ann: Estate) -> None:
    assert [row["event_id"] for row in ann.rows("us")] == ["m-2"]
    told = ann.finish(ann.ask("erasure", user_id="ann")["id"])
    assert [each["status"] for each in told["regions"].values()] == ["completed", "completed"]
    assert (ann.rows("eu"), ann.rows("us")) == ([], [])


async def test_nothing_of_the_user_is_stored_in_the_other_region_but_whose_the_device_is(ann: Estate) -> None:
    found = owners(ann)
    assert found.keys() == {"ann", "phone"}
    assert found["ann"] == found["phone"]
    assert [row["event_id"] for row in ann.rows("eu")] == ["m-1", "m-3"]


async def test_the_user_stays_at_home_in_the_region_that_knew_them_first(ann: Estate) -> None:
    ann.house.place.forget()
    assert ann.house.place.region_of(None, "shop", [(IdentityKind.USER_ID, "ann")], "US") == "eu"


async def test_what_is_tied_is_not_tied_again(ann: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    async def transact(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(ann.house.stores["us"].log, "transact", transact)
    ann.house.place.forget()
    assert await ann.send(ann.event("ann", "phone")) == ["stored"]


async def test_whom_no_other_region_knows_is_told_to_none(estate: Estate) -> None:
    await estate.send(estate.event("ann", "phone"))
    assert owners(estate) == {}


async def test_events_that_are_counted_without_a_person_or_refused_tie_nobody(estate: Estate) -> None:
    await browse(estate)
    denied = {"consent": {"purposes": {"analytics": False}}}
    told = await estate.send(
        estate.event("ann", "phone", context=denied),
        estate.event("ann", "phone", event=""),
        estate.event("ann", "phone", type="page", event=None, context={}),
    )
    assert told == ["consent_denied", "invalid_event", "anonymous"]
    assert owners(estate).keys() == {"phone"}


async def test_a_duplicate_ties_what_its_first_could_not(estate: Estate, monkeypatch: pytest.MonkeyPatch) -> None:
    await browse(estate)
    event = estate.event("ann", "phone")

    async def transact(*_: Any) -> None:
        raise Unavailable("store_unavailable", "The store could not commit.")

    with monkeypatch.context() as broken:
        broken.setattr(estate.house.stores["us"].log, "transact", transact)
        with pytest.raises(Unavailable) as told:
            await estate.send(event)
    assert told.value.code == "partly_unavailable"
    assert owners(estate).keys() == {"phone"}
    assert await estate.send(event) == ["duplicate"]
    assert owners(estate).keys() == {"ann", "phone"}


async def test_a_shared_device_stays_whose_it_was(estate: Estate) -> None:
    await estate.send(estate.event("bob", "phone"), region="us")
    await estate.send(estate.event("ann", "phone"))
    assert owners(estate).keys() == {"bob", "phone"}


async def test_an_alias_ties_the_id_that_somebody_had_elsewhere(estate: Estate) -> None:
    await browse(estate)
    alias = {"type": "alias", "previousId": "phone", "event": None}
    assert await estate.send(estate.event("ann", **alias)) == ["stored"]
    assert owners(estate).keys() == {"ann", "phone"}


async def test_who_is_kept_out_of_the_other_region_is_not_brought_into_it(estate: Estate) -> None:
    await browse(estate)
    estate.finish(estate.ask("erasure", user_id="ann")["id"])
    assert await estate.send(estate.event("ann", "phone")) == ["suppressed"]
    assert owners(estate).keys() == {"phone"}


async def test_what_a_device_refused_in_another_region_binds_its_user(estate: Estate) -> None:
    await browse(estate)
    desk = ConsentDesk(estate.settings, estate.house.policy, estate.house.stores, estate.house.pseudonyms, estate.clock)
    refusal = Statement("shop", "visitor", (Identity(IdentityKind.ANONYMOUS_ID, "phone"),), {"analytics": ChoiceState.DENIED})
    await desk.record("us", refusal)
    await estate.come(estate.event("ann", "desk"), client=Client(country="DE"))
    assert await estate.come(estate.event("ann", "phone"), client=Client(country="US")) == ["withdrawn"]
    assert await estate.come(estate.event("ann", "desk"), client=Client(country="DE")) == ["stored"]


async def test_a_device_stays_where_it_refused_when_a_user_of_several_regions_comes_on_it(estate: Estate) -> None:
    await estate.send(estate.event("ann"))
    estate.clock.advance(SECOND)
    await estate.send(estate.event("ann"), estate.event(None, "phone"), region="us")
    desk = ConsentDesk(estate.settings, estate.house.policy, estate.house.stores, estate.house.pseudonyms, estate.clock)
    refusal = Statement("shop", "visitor", (Identity(IdentityKind.ANONYMOUS_ID, "phone"),), {"analytics": ChoiceState.DENIED})
    await desk.record("us", refusal)
    german = Client(country="DE")
    for user in (None, "ann", None):
        assert await estate.come(estate.event(user, "phone"), client=german) == ["withdrawn"]


async def test_what_an_id_refused_in_another_region_binds_the_call_that_joins_it(estate: Estate) -> None:
    await browse(estate)
    desk = ConsentDesk(estate.settings, estate.house.policy, estate.house.stores, estate.house.pseudonyms, estate.clock)
    refusal = Statement("shop", "visitor", (Identity(IdentityKind.ANONYMOUS_ID, "phone"),), {"analytics": ChoiceState.DENIED})
    await desk.record("us", refusal)
    alias = {"type": "alias", "previousId": "phone", "event": None}
    for device in (None, "desk"):
        assert await estate.come(estate.event("ann", device, **alias), client=Client(country="DE")) == ["withdrawn"]
    assert owners(estate, "eu") == {}


async def test_devices_of_several_regions_are_tied_in_each(tmp_path: Path) -> None:
    regions: Any = {name: {"countries": [country]} for name, country in (("eu", "*"), ("us", "US"), ("asia", "JP"))}
    with opened(tmp_path, regions=regions) as estate:
        for region in ("us", "asia"):
            await browse(estate, "phone", region)
            await browse(estate, "tablet", region)
        await asyncio.gather(estate.send(estate.event("ann", "phone"), estate.event("ann", "tablet")))
        for region in ("us", "asia"):
            assert len(set(owners(estate, region).values())) == 1


async def test_two_people_of_one_request_are_not_mixed(estate: Estate) -> None:
    await browse(estate)
    await browse(estate, "tablet")
    await estate.send(estate.event("ann", "phone"), estate.event("bob", "tablet"))
    found = owners(estate)
    assert (found["ann"], found["bob"]) == (found["phone"], found["tablet"])
    assert found["ann"] != found["bob"]
    with closing(sqlite3.connect(estate.path / "us" / DATABASE)) as database:
        assert database.execute("SELECT count(*) FROM identity").fetchone() == (4,)


async def test_who_is_at_home_elsewhere_than_their_device_makes_nobody_of_their_request_forgotten(estate: Estate) -> None:
    await estate.send(estate.event("bob", "desk"), estate.event("ann"))
    estate.clock.advance(SECOND)
    await estate.send(estate.event("ann"), estate.event(None, "phone"), estate.event(None, "tablet"), region="us")
    estate.house.place.forget()
    both = estate.event("bob", "tablet"), estate.event("ann", "phone")
    assert await estate.come(*both, client=Client(country="US")) == ["stored", "stored"]
    found = owners(estate)
    assert (found["bob"], found["ann"]) == (found["tablet"], found["phone"])


async def test_who_comes_and_logs_in_within_one_request_is_tied_at_once(estate: Estate) -> None:
    await estate.send(estate.event("ann", "desk"))
    estate.clock.advance(SECOND)
    visit = estate.event(None, "phone"), estate.event("ann", "phone")
    assert await estate.come(*visit, client=Client(country="US")) == ["stored", "stored"]
    assert [row["event_id"] for row in estate.rows("us")] == ["m-2"]
    assert owners(estate).keys() == {"ann", "phone"}


async def test_a_device_that_is_declared_elsewhere_meanwhile_is_tied_there(estate: Estate) -> None:
    await estate.send(estate.event("ann"), estate.event(None, "phone"))
    await estate.come(estate.event(None, "phone"), client=Client(country="DE"))
    await browse(estate)
    assert await estate.come(estate.event("ann", "phone"), client=Client(country="DE")) == ["stored"]
    assert owners(estate).keys() == {"ann", "phone"}


async def test_a_device_that_its_user_was_seen_with_is_tied_where_it_is_declared_later(estate: Estate) -> None:
    german = Client(country="DE")
    for _ in range(2):
        await estate.come(estate.event("ann", "phone"), client=german)
    await browse(estate)
    assert owners(estate).keys() == {"phone"}
    assert await estate.come(estate.event("ann", "phone"), client=german) == ["stored"]
    assert owners(estate).keys() == {"ann", "phone"}
