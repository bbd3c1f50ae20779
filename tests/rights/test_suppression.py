"""Whoever asks to be erased is kept out from the answer on, with every id that the index knows of theirs, and let in as they were before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from consentryd.model.clock import SECOND
from consentryd.model.error import Conflict
from consentryd.model.identity import Identity, IdentityKind
from consentryd.rights.consent import Statement
from consentryd.rights.demand import NamedIdentity
from consentryd.rights.desk import Caller
from consentryd.storage.choice import ChoiceState
from tests.rights.estate import CLIENTS, OFFICER, Estate, opened

ANN, BOB = (NamedIdentity(IdentityKind.USER_ID, name) for name in ("ann", "bob"))
ANN_HERSELF, PHONE = Identity(IdentityKind.USER_ID, "ann"), Identity(IdentityKind.ANONYMOUS_ID, "phone")


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    """People have a minute to change their mind."""
    with opened(tmp_path / "data", rights={"grace_s": 60}) as estate:
        yield estate


async def come(estate: Estate, *ids: str) -> list[str]:
    """What becomes of events of devices."""
    return await estate.send(*(estate.event(None, anonymous) for anonymous in ids))


async def test_an_erasure_that_waits_keeps_out_every_device_of_its_person(estate: Estate) -> None:
    await estate.send(estate.event(None, "phone"), estate.event("ann", "laptop"), estate.event("bob", "tablet"))
    await estate.send(estate.event("ann", "phone"))
    request = estate.ask("erasure", anonymous_id="laptop")["id"]
    assert await come(estate, "phone", "laptop", "tablet") == ["suppressed", "suppressed", "stored"]
    assert await estate.send(estate.event("ann", "new"), estate.event("bob", "phone")) == ["suppressed", "stored"]
    estate.clock.advance(61 * SECOND)
    assert estate.finish(request)["status"] == "completed"


async def test_an_erasure_on_hold_keeps_its_persons_devices_out(estate: Estate) -> None:
    await estate.send(estate.event("ann", "phone"))
    estate.desk.hold([ANN], "case 7", OFFICER)
    request = estate.ask("erasure", user_id="ann")["id"]
    estate.clock.advance(61 * SECOND)
    assert estate.finish(request)["status"] == "on_hold"
    assert await come(estate, "phone") == ["suppressed"]


@pytest.mark.parametrize("ids", [(PHONE,), (ANN_HERSELF, PHONE)])
async def test_whose_erasure_waits_may_refuse_and_not_grant(estate: Estate, ids: tuple[Identity, ...]) -> None:
    await estate.send(estate.event("ann", "phone"))
    estate.desk.hold([ANN], "case 7", OFFICER)
    request = estate.ask("erasure", user_id="ann")["id"]
    desk, choices = estate.house.proving.desk, {"analytics": ChoiceState.WITHDRAWN, "marketing": ChoiceState.GRANTED}
    told = await desk.record("eu", Statement("shop", "visitor", ids, choices))
    assert told["in_force"] == {"analytics": "refused"}
    assert estate.rows() == []
    with pytest.raises(Conflict):
        await desk.record("eu", Statement("shop", "visitor", ids, {"marketing": ChoiceState.GRANTED}))
    estate.desk.cancel(request, OFFICER)
    assert await estate.send(estate.event("ann", "phone")) == ["withdrawn"]
    estate.desk.hold([ANN], "case 7", OFFICER, lift=True)
    request = estate.ask("erasure", user_id="ann")["id"]
    estate.clock.advance(61 * SECOND)
    assert estate.finish(request)["status"] == "completed"
    with pytest.raises(Conflict):
        await desk.record("eu", Statement("shop", "visitor", ids, choices))


async def test_an_address_that_others_have_named_too_is_not_kept_out(estate: Estate) -> None:
    identify = {"type": "identify", "traits": {"email": "family@example.com"}}
    await estate.send(estate.event("ann", **identify), estate.event("bob", **identify))
    estate.ask("erasure", user_id="ann")
    assert await estate.send(estate.event("bob", **identify), estate.event("ann")) == ["stored", "suppressed"]


async def test_a_person_who_asks_by_an_address_keeps_nobody_elses_devices_out(estate: Estate) -> None:
    identify = {"type": "identify", "traits": {"email": "bob@example.com"}}
    await estate.send(estate.event("ann", "phone", **identify))
    bob = Caller("token", ("shop",), (NamedIdentity(IdentityKind.EMAIL, "bob@example.com"),))
    estate.ask("erasure", caller=bob)
    assert await come(estate, "phone") == ["stored"]


async def test_taking_it_back_lets_the_devices_in_unless_another_request_keeps_them_out(estate: Estate) -> None:
    await estate.send(estate.event("ann", "phone"), estate.event("ann", "laptop"))
    for first, second in ((0, 1), (1, 0)):
        requests = [estate.ask("erasure", user_id="ann")["id"], estate.ask("erasure", anonymous_id="phone")["id"]]
        estate.desk.cancel(requests[first], OFFICER)
        assert await come(estate, "phone", "laptop") == ["suppressed", "suppressed"]
        estate.desk.cancel(requests[second], OFFICER)
        assert await come(estate, "phone", "laptop") == ["stored", "stored"]


@pytest.mark.parametrize("taken_back", [True, False])
async def test_of_ids_that_it_did_not_name_a_request_that_is_over_keeps_nothing(estate: Estate, taken_back: bool) -> None:
    await estate.send(estate.event("ann", "phone"))
    request = estate.ask("erasure", user_id="ann")["id"]
    with estate.offices["eu"].casebook() as book:
        phone = estate.offices["eu"].digest("shop", NamedIdentity(IdentityKind.ANONYMOUS_ID, "phone"))
        row = book.get(request)
        assert (row is not None and phone.hex() in str(row.terms), book.concerning(phone)) == (True, [request])
        if taken_back:
            estate.desk.cancel(request, OFFICER)
        else:
            estate.clock.advance(61 * SECOND)
            estate.finish(request)
        row = book.get(request)
        assert (row is not None and phone.hex() in str(row.terms), book.concerning(phone)) == (False, [])


async def test_a_device_that_is_somebody_elses_when_its_person_is_erased_is_let_in(estate: Estate) -> None:
    await estate.send(estate.event("ann", "phone"), estate.event("ann", "laptop"))
    request = estate.ask("erasure", user_id="ann")["id"]
    assert await estate.send(estate.event("bob", "phone")) == ["stored"]
    estate.clock.advance(61 * SECOND)
    assert estate.finish(request)["status"] == "completed"
    assert await come(estate, "phone", "laptop") == ["stored", "suppressed"]


async def test_taking_back_what_reached_an_erased_person_lets_them_in_no_more(estate: Estate) -> None:
    await estate.send(estate.event("ann", "phone"), estate.event("ann", "laptop"))
    done = estate.ask("erasure", user_id="ann")["id"]
    estate.clock.advance(30 * SECOND)
    waits = estate.ask("erasure", anonymous_id="phone")["id"]
    assert await estate.send(estate.event("bob", "phone")) == ["stored"]
    estate.clock.advance(31 * SECOND)
    assert estate.finish(done)["status"] == "completed"
    assert await come(estate, "phone") == ["suppressed"], "the other request names it"
    estate.desk.cancel(waits, OFFICER)
    assert await come(estate, "phone", "laptop") == ["stored", "suppressed"]
    assert await estate.send(estate.event("ann")) == ["suppressed"]


async def test_an_erasure_that_lets_its_person_come_again_leaves_another_ones_block_to_be_taken_back(estate: Estate) -> None:
    await estate.send(estate.event("ann", "phone"))
    done = estate.ask("erasure", user_id="ann", block="no")["id"]
    estate.clock.advance(30 * SECOND)
    waits = estate.ask("erasure", user_id="ann")["id"]
    estate.clock.advance(31 * SECOND)
    assert estate.finish(done)["status"] == "completed"
    assert await come(estate, "phone") == ["suppressed"]
    estate.desk.cancel(waits, OFFICER)
    assert await estate.send(estate.event("ann", "phone")) == ["stored"]


async def test_who_was_erased_and_comes_again_is_let_in_with_the_ids_that_are_named(estate: Estate) -> None:
    await estate.send(estate.event("ann", "phone"))
    request = estate.ask("erasure", user_id="ann")["id"]
    with pytest.raises(Conflict):
        estate.desk.readmit([ANN], "new account", OFFICER)
    estate.clock.advance(61 * SECOND)
    assert estate.finish(request)["status"] == "completed"
    assert estate.desk.readmit([ANN, BOB], "new account", OFFICER) == 1
    assert await estate.send(estate.event("ann"), estate.event(None, "phone")) == ["stored", "suppressed"]
    assert estate.desk.readmit([ANN], "new account", OFFICER) == 0
    uses = estate.desk.uses(OFFICER, 10)["uses"]
    assert [
        (use["region"], use["sites"], len(use["commitments"])) for use in uses if use["why"] == "readmitted: new account"
    ] == [
        ("eu", ["shop"], 2),
        ("us", ["shop"], 2),
    ]


async def test_who_was_let_in_again_stays_so_when_another_erasure_is_taken_back(estate: Estate) -> None:
    request = estate.ask("erasure", user_id="ann", anonymous_id="phone")["id"]
    estate.clock.advance(61 * SECOND)
    estate.finish(request)
    estate.desk.readmit([ANN], "new account", OFFICER)
    estate.desk.cancel(estate.ask("erasure", user_id="ann", anonymous_id="phone")["id"], OFFICER)
    assert await estate.send(estate.event("ann"), estate.event(None, "phone")) == ["stored", "suppressed"]


async def test_a_key_lets_in_who_was_erased_at_its_own_site_only(estate: Estate) -> None:
    request = estate.ask("erasure", user_id="ann")["id"]
    estate.clock.advance(61 * SECOND)
    estate.finish(request)
    assert estate.desk.readmit([ANN], "new account", Caller("key_q", ("blog",))) == 0
    assert await estate.send(estate.event("ann")) == ["suppressed"]


async def test_a_region_that_is_added_after_an_erasure_keeps_its_person_out_once_it_is_handed_in_again(tmp_path: Path) -> None:
    body = {"user_id": "ann", "request_id": "letter-of-3-may"}
    with opened(tmp_path / "data", regions={"eu": {"countries": ["*"]}}) as estate:
        estate.finish(estate.ask("erasure", **body)["id"])
    with opened(tmp_path / "data", regions={"eu": {"countries": ["*"]}, "us": {"countries": ["US"]}}) as estate:
        assert estate.desk.get("letter-of-3-may", OFFICER)["regions_not_covered"] == ["us"]
        assert await estate.come(estate.event("ann"), client=CLIENTS["us"]) == ["stored"]
        estate.ask("erasure", **body)
        told = estate.finish("letter-of-3-may")
        assert (told["status"], len(told["certificates"]), estate.rows("us")) == ("completed", 2, [])
        assert await estate.come(estate.event("ann"), client=CLIENTS["us"]) == ["suppressed"]
