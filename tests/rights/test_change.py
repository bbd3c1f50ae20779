"""Restriction, objection, rectification, cancelling, holding: the quieter rights."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from consentryd.model.clock import SECOND
from consentryd.model.error import Conflict, Unprocessable
from consentryd.model.identity import IdentityKind
from consentryd.rights.demand import NamedIdentity
from consentryd.rights.desk import Caller
from tests.rights.estate import OFFICER, Estate, opened


async def test_a_restricted_person_is_kept_seen_by_nobody_else_and_seen_again_when_it_is_lifted(estate: Estate) -> None:
    await estate.send(estate.event("ann"), estate.event("bob"))
    estate.finish(estate.ask("restriction", user_id="ann")["id"])
    assert [row["event_id"] for row in estate.rows()] == ["m-2"]
    await estate.send(estate.event("ann"))
    assert [row["event_id"] for row in estate.rows()] == ["m-2"]
    request = estate.ask("access", user_id="ann")["id"]
    assert estate.finish(request)["export"]["events"] == 2
    estate.finish(estate.ask("restriction", user_id="ann", lift=True)["id"])
    assert len(estate.rows()) == 3


async def test_who_was_restricted_stays_so_when_they_turn_out_to_be_somebody_known(estate: Estate) -> None:
    await estate.send(estate.event(None, "phone"), estate.event("ann"), estate.event("bob"))
    estate.finish(estate.ask("restriction", anonymous_id="phone")["id"])
    await estate.send(estate.event("ann", "phone"))
    assert [row["event_id"] for row in estate.rows()] == ["m-3"]
    estate.seal()
    assert [row["event_id"] for row in estate.rows()] == ["m-3"]
    estate.finish(estate.ask("restriction", user_id="ann", lift=True)["id"])
    assert len(estate.rows()) == 4


async def test_what_somebody_asks_for_everywhere_makes_no_region_their_home(estate: Estate) -> None:
    place = estate.house.place
    await estate.send(estate.event("ann"), region="us")
    estate.clock.advance(SECOND)
    for name in ("ann", "new"):
        estate.finish(estate.ask("objection", user_id=name, purposes=["marketing"])["id"])
    place.forget()
    for name, country, home in (("ann", "DE", "us"), ("new", "US", "us"), ("new", "DE", "eu")):
        place.forget()
        assert place.region_of(None, "shop", [(IdentityKind.USER_ID, name)], country) == home


async def test_an_objection_stops_the_purposes_it_names_and_all_if_it_names_none(estate: Estate) -> None:
    await estate.send(estate.event("ann"), estate.event("bob"))
    estate.finish(estate.ask("objection", user_id="ann", purposes=["marketing"])["id"])
    assert await estate.send(estate.event("ann")) == ["stored"]
    estate.finish(estate.ask("objection", user_id="ann")["id"])
    assert await estate.send(estate.event("ann"), estate.event("bob")) == ["withdrawn", "stored"]
    assert {row["event_id"] for row in estate.rows()} == {"m-2", "m-5"}


async def test_an_objection_of_somebody_unknown_holds_when_they_come(estate: Estate) -> None:
    estate.finish(estate.ask("objection", user_id="ann", anonymous_id="phone")["id"])
    assert await estate.send(estate.event("ann"), estate.event(None, "phone"), estate.event("bob")) == [
        "withdrawn",
        "withdrawn",
        "stored",
    ]


async def test_what_somebody_asks_for_holds_for_ids_of_theirs_that_were_not_seen_yet(estate: Estate) -> None:
    await estate.send(estate.event("ann"), estate.event("bob"))
    estate.finish(estate.ask("objection", user_id="ann", anonymous_id="phone")["id"])
    assert await estate.send(estate.event(None, "phone"), estate.event("ann", "phone")) == ["withdrawn", "withdrawn"]
    estate.finish(estate.ask("restriction", user_id="bob", anonymous_id="tablet")["id"])
    assert await estate.send(estate.event(None, "tablet"), estate.event("carl", "desk")) == ["stored", "stored"]
    assert [row["event_id"] for row in estate.rows()] == ["m-6"]
    assert await estate.send(estate.event("bob", "tablet")) == ["stored"]
    estate.finish(estate.ask("restriction", user_id="bob", lift=True)["id"])
    assert [row["event_id"] for row in estate.rows()] == ["m-2", "m-5", "m-6", "m-7"]


async def test_an_objection_by_an_address_that_nobody_named_says_that_it_reaches_nobody(estate: Estate) -> None:
    told = estate.finish(estate.ask("objection", email="ann@example.com", purposes=["marketing"])["id"])
    assert {region["result"]["subjects"] for region in told["regions"].values()} == {0}


async def test_a_rectification_replaces_a_value_everywhere_and_leaves_no_byte_of_the_old_one(estate: Estate) -> None:
    wrong = {"plan": "wrong-plan-771", "n": 1}
    await estate.send(estate.event("ann", properties=wrong), estate.event("bob", properties={"plan": "bobs"}))
    estate.seal()
    await estate.send(estate.event("ann", properties={**wrong, "drop": "unwanted"}))
    request = estate.ask("rectification", user_id="ann", corrections={"plan": "right", "drop": None, "absent": 1})["id"]
    done = estate.finish(request)
    assert done["regions"]["eu"]["result"] == {"events": 2}
    told = [json.loads(row["properties"]) for row in estate.rows()]
    assert told == [{"plan": "right", "n": 1}, {"plan": "bobs"}, {"plan": "right", "n": 1}]
    with opened(estate.path) as again:
        assert again.bytes_with(b"wrong-plan-771") == []


@pytest.mark.parametrize(("corrections", "plans"), [({"plan": "pro"}, ["pro"]), ({"paln": "pro"}, ["free"])])
async def test_an_export_that_waits_is_made_again_when_what_is_in_it_was_corrected(
    estate: Estate, corrections: dict, plans: list[str]
) -> None:
    await estate.send(estate.event("ann", properties={"plan": "free"}), estate.event("bob", properties={"plan": "free"}))
    exports = {user: estate.ask("access", user_id=user)["id"] for user in ("ann", "bob")}
    estate.finish(exports["ann"])
    before = estate.offices["eu"].export_path(exports["bob"]).read_bytes(), estate.desk.get(exports["bob"], OFFICER)
    estate.finish(estate.ask("rectification", user_id="ann", corrections=corrections)["id"])
    assert estate.desk.get(exports["ann"], OFFICER)["status"] == "completed"
    sink = io.BytesIO()
    estate.desk.write_export(exports["ann"], sink)
    lines = zipfile.ZipFile(sink).read("events.jsonl").splitlines()
    assert [json.loads(line)["properties"]["plan"] for line in lines] == plans
    assert before == (estate.offices["eu"].export_path(exports["bob"]).read_bytes(), estate.desk.get(exports["bob"], OFFICER))


@pytest.mark.parametrize(("corrections", "events"), [({"paln": "pro"}, 0), ({"plan": "pro"}, 2), ({"n": None, "plan": "x"}, 3)])
async def test_a_rectification_tells_how_many_events_held_what_it_corrects(
    estate: Estate, corrections: dict, events: int
) -> None:
    await estate.send(*(estate.event("ann", properties=held) for held in ({"plan": "free"}, {"plan": "free", "n": 1}, {"n": 2})))
    await estate.send(estate.event("ann"), estate.event("bob", properties={"plan": "free", "n": 3}))
    done = estate.finish(estate.ask("rectification", user_id="ann", corrections=corrections)["id"])
    assert done["regions"]["eu"]["result"] == {"events": events}


async def test_the_ids_that_a_rectification_names_its_person_by_are_in_none_of_its_values(estate: Estate) -> None:
    wrong = {"nick": "wrong", "note": "wrong", "n": 1}
    await estate.send(
        estate.event("ann-smith-42", properties=wrong), estate.event("ann-smith-42", properties={"nick": "ann-smith-42"})
    )
    corrections = {"nick": "ann-smith-42", "note": "it is ann-smith-42 who"}
    estate.finish(estate.ask("rectification", user_id="ann-smith-42", corrections=corrections)["id"])
    told, same = [json.loads(row["properties"]) for row in estate.rows()]
    assert told == {"nick": same["nick"], "note": "it is [user_id] who", "n": 1}
    assert "ann-smith-42" not in str(same)


async def test_what_rules_encrypt_is_corrected_encrypted_and_what_they_drop_by_now_goes(tmp_path) -> None:
    wrong = {"wish": "wrong-771", "nick": "wrong-772", "n": 1}
    encrypting = {"key": "wish", "action": "encrypt"}
    with opened(tmp_path / "data", privacy={"rules": [encrypting]}) as estate:
        await estate.send(estate.event(None, "phone", properties=wrong), estate.event("bob", properties=wrong))
        await estate.send(estate.event("ann", "phone", properties={"n": 2}), estate.event("ann", properties=wrong))
    with opened(tmp_path / "data", privacy={"rules": [encrypting, {"key": "nick", "action": "drop"}]}) as estate:
        estate.finish(estate.ask("rectification", user_id="ann", corrections={"wish": "right-773", "nick": "right"})["id"])
        assert estate.bytes_with(b"right-773") == []
        for user, told in (("ann", [{"wish": "right-773", "n": 1}, {"n": 2}, {"wish": "right-773", "n": 1}]), ("bob", [wrong])):
            request = estate.ask("access", user_id=user)["id"]
            estate.finish(request)
            sink = io.BytesIO()
            estate.desk.write_export(request, sink)
            lines = zipfile.ZipFile(sink).read("events.jsonl").splitlines()
            assert sorted((json.loads(line)["properties"] for line in lines), key=str) == sorted(told, key=str)


async def test_a_correction_is_scrubbed_as_each_event_that_holds_it_is(tmp_path) -> None:
    rules = [{"key": "wish", "action": "encrypt", "event": "Signed*"}, {"key": "nick", "action": "drop", "site": "shop"}]
    allow = {"blog": {"*": ["page"]}, "shop": {"*": ["wish", "size", "nick"], "Rated": ["stars"]}}
    wrong = {"wish": "wrong", "size": "L", "stars": 4}
    with opened(tmp_path / "data", privacy={"rules": rules, "allow": allow}) as estate:
        await estate.send(*(estate.event("ann", event=name, properties=wrong) for name in ("Bought", "Rated", "Signed up")))
        corrections = {"wish": "right-774", "size": "XL", "stars": 5, "nick": "right-775"}
        request = estate.ask("rectification", caller=Caller("key_p", ("blog", "shop")), user_id="ann", corrections=corrections)
        assert estate.runner().run() == {}, request
        bought, rated, signed = [json.loads(row["properties"]) for row in estate.rows()]
        assert (bought, rated) == ({"wish": "right-774", "size": "XL"}, {"stars": 5})
        assert (signed["size"], signed["wish"][:5]) == ("XL", "[enc:")


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize(
    ("corrections", "money"),
    [({"revenue": 5}, ("5.0000", "EUR")), ({"currency": "usd"}, ("129.9000", "USD")), ({"revenue": None}, (None, None))],
)
async def test_what_is_rectified_of_an_amount_is_so_in_the_columns_of_money(
    estate: Estate, corrections: dict, money: tuple, sealed: bool
) -> None:
    paid = {"revenue": 129.9, "currency": "EUR"}
    told = estate.event("ann", type="identify", traits=paid)
    await estate.send(estate.event("ann", properties=paid), estate.event("bob", properties=paid), told)
    if sealed:
        estate.seal()
    estate.finish(estate.ask("rectification", user_id="ann", corrections=corrections)["id"])
    stored = [(row["revenue"] and str(row["revenue"]), row["currency"]) for row in estate.rows()]
    assert sorted(stored, key=str) == sorted([money, ("129.9000", "EUR"), (None, None)], key=str)
    estate.offices["eu"].lake.verify(estate.offices["eu"].lake.state().files)


async def test_after_a_rectified_e_mail_address_only_the_right_one_finds_the_person(estate: Estate) -> None:
    await estate.send(estate.event("ann", type="identify", traits={"email": "wrong@example.com"}))
    request = estate.ask("rectification", user_id="ann", corrections={"email": "Right@example.com"})["id"]
    assert estate.finish(request)["status"] == "completed"
    for address, events in (("wrong@example.com", 0), ("right@example.com", 1)):
        assert estate.finish(estate.ask("access", email=address)["id"])["export"]["events"] == events


async def test_a_pending_request_can_be_cancelled_and_its_suppression_goes_with_it(tmp_path) -> None:
    with opened(tmp_path / "data", rights={"grace_s": 60}) as estate:
        await estate.send(estate.event("ann"))
        request = estate.ask("erasure", user_id="ann")["id"]
        assert estate.finish(request)["status"] == "pending"
        assert await estate.send(estate.event("ann")) == ["suppressed"]
        assert estate.desk.cancel(request, OFFICER)["status"] == "cancelled"
        assert await estate.send(estate.event("ann")) == ["stored"]
        again = estate.ask("erasure", user_id="ann")["id"]
        estate.clock.advance(61 * SECOND)
        assert estate.finish(again)["status"] == "completed"
        assert len(estate.rows()) == 0
        with pytest.raises(Conflict):
            estate.desk.cancel(again, OFFICER)


async def test_taking_one_of_two_erasures_back_keeps_out_whom_the_other_is_about(tmp_path) -> None:
    with opened(tmp_path / "data", rights={"grace_s": 3600}) as estate:
        await estate.send(estate.event("ann"))
        for first, second in ((0, 1), (1, 0)):
            requests = [
                estate.ask("erasure", user_id="ann", block="until", block_until="2027-01-01T00:00:00Z")["id"],
                estate.ask("erasure", user_id="ann")["id"],
            ]
            estate.desk.cancel(requests[first], OFFICER)
            assert await estate.send(estate.event("ann")) == ["suppressed"]
            estate.desk.cancel(requests[second], OFFICER)
            assert await estate.send(estate.event("ann")) == ["stored"]


async def test_taking_an_erasure_back_lets_nobody_in_whom_another_one_keeps_out(tmp_path) -> None:
    with opened(tmp_path / "data", rights={"grace_s": 60}) as estate:
        await estate.send(estate.event("ann", "phone"))
        done = estate.ask("erasure", user_id="ann")["id"]
        estate.clock.advance(30 * SECOND)
        open_still = estate.ask("erasure", anonymous_id="phone")["id"]
        estate.clock.advance(31 * SECOND)
        assert estate.finish(done)["status"] == "completed"
        estate.desk.cancel(open_still, OFFICER)
        assert await estate.send(estate.event("ann"), estate.event(None, "phone")) == ["suppressed", "suppressed"]


async def test_an_open_request_is_listed_however_many_came_after_it(tmp_path) -> None:
    with opened(tmp_path / "data", rights={"grace_s": 3600}) as estate:
        old = estate.ask("erasure", user_id="ann")["id"]
        for number in range(12):
            estate.clock.advance(SECOND)
            estate.desk.cancel(estate.ask("access", user_id=f"u-{number}")["id"], OFFICER)
        assert [each["id"] for each in estate.desk.select(OFFICER, statuses=["pending"], limit=1)] == [old]
        ann = Caller("token", ("shop",), (NamedIdentity(IdentityKind.USER_ID, "ann"),))
        assert [each["id"] for each in estate.desk.select(ann, limit=1)] == [old]


async def test_whom_a_request_names_is_found_without_reading_all_the_others(estate: Estate) -> None:
    with estate.offices["eu"].casebook() as book:
        looked: list[str] = []
        book.connection.set_trace_callback(looked.append)
        book.digests("request")
        book.connection.set_trace_callback(None)
        [(*_, plan)] = book.connection.execute(f"EXPLAIN QUERY PLAN {looked[0]}").fetchall()
    assert plan.startswith("SEARCH"), plan


async def test_a_block_that_is_over_before_it_begins_is_refused(estate: Estate) -> None:
    with pytest.raises(Unprocessable):
        estate.ask("erasure", user_id="ann", block="until", block_until="2026-01-01T00:00:00Z")


async def test_requests_done_in_one_go_rewrite_each_file_once(estate: Estate) -> None:
    await estate.send(*(estate.event(f"u-{number}") for number in range(200)))
    estate.seal()
    files = len(estate.offices["eu"].lake.state().files)
    version = estate.offices["eu"].lake.state().version
    requests = [estate.ask("erasure", user_id=f"u-{number}")["id"] for number in range(0, 200, 2)]
    estate.finish(requests[0])
    assert {estate.desk.get(request, OFFICER)["status"] for request in requests} == {"completed"}
    assert estate.offices["eu"].lake.state().version == version + 1
    assert files <= 16
    assert len(estate.rows()) == 100
