"""A legal hold keeps a person's data from erasure and from withdrawal, where the operator can see it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consentryd.model.error import NotFound
from consentryd.model.identity import IdentityKind
from consentryd.rights.demand import NamedIdentity
from consentryd.rights.desk import Caller
from consentryd.storage.hold import held_subjects
from consentryd.storage.seal import Sealer, SealReport
from tests.rights.estate import OFFICER, Estate, opened

ANN = NamedIdentity(IdentityKind.USER_ID, "ann")


async def test_an_erasure_on_hold_says_why_to_the_operator_and_not_to_the_person(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as estate:
        await estate.send(estate.event("ann"), estate.event("bob"))
        estate.desk.hold([ANN], "case 7", OFFICER)
        request = estate.ask("erasure", user_id="ann")["id"]
        told = estate.finish(request)
        assert (told["status"], told["regions"]["eu"]["result"]) == ("on_hold", {"held": "case 7"})
        own = estate.desk.get(request, Caller("ann's token", ("shop",), (ANN,)))
        assert (own["status"], own["regions"]["eu"].get("result")) == ("on_hold", {})
        assert len(estate.rows(restricted=False)) == 2
        estate.desk.hold([ANN], "case 7", OFFICER, lift=True)
        assert "result" not in estate.desk.get(request, OFFICER)["regions"]["eu"]
        assert estate.finish(request)["status"] == "completed"
        assert [row["event_id"] for row in estate.rows()] == ["m-2"]


async def test_what_is_kept_for_the_law_is_in_no_query_once_its_person_asked_for_erasure(estate: Estate) -> None:
    await estate.send(estate.event("ann", "phone"), estate.event("bob"), estate.event(None, "tablet"))
    estate.desk.hold([ANN], "case 7", OFFICER)
    assert len(estate.rows()) == 3
    request = estate.ask("erasure", user_id="ann")["id"]
    assert estate.finish(request)["status"] == "on_hold"
    assert [row["event_id"] for row in estate.rows()] == ["m-2", "m-3"]
    assert estate.finish(estate.ask("access", user_id="ann")["id"])["export"]["events"] == 1
    assert estate.desk.cancel(request, OFFICER)["status"] == "cancelled"
    assert len(estate.rows()) == 3


@pytest.mark.parametrize("before", [True, False])
async def test_taking_back_an_erasure_that_was_on_hold_leaves_a_restriction_that_was_asked_for(
    estate: Estate, before: bool
) -> None:
    await estate.send(estate.event("ann"), estate.event("bob"))
    estate.desk.hold([ANN], "case 7", OFFICER)
    if before:
        estate.finish(estate.ask("restriction", user_id="ann")["id"])
    request = estate.ask("erasure", user_id="ann")["id"]
    assert estate.finish(request)["status"] == "on_hold"
    estate.clock.advance(1)
    if not before:
        estate.finish(estate.ask("restriction", user_id="ann")["id"])
    estate.desk.cancel(request, OFFICER)
    assert [row["event_id"] for row in estate.rows()] == ["m-2"]
    estate.finish(estate.ask("restriction", user_id="ann", lift=True)["id"])
    assert len(estate.rows()) == 2


async def test_of_two_erasures_on_hold_each_keeps_its_person_out_of_queries(estate: Estate) -> None:
    await estate.send(estate.event("ann"), estate.event("bob"))
    estate.desk.hold([ANN], "case 7", OFFICER)
    requests = [estate.ask("erasure", user_id="ann")["id"] for _ in range(2)]
    estate.finish(requests[0])
    for request, seen in zip(requests, (1, 2), strict=True):
        estate.desk.cancel(request, OFFICER)
        assert len(estate.rows()) == seen


async def test_an_erasure_that_is_taken_back_where_it_is_held_is_not_completed(estate: Estate) -> None:
    await estate.send(estate.event("ann", "phone"))
    await estate.send(estate.event("ann"), region="us")
    estate.desk.hold([NamedIdentity(IdentityKind.ANONYMOUS_ID, "phone")], "case 7", OFFICER)
    request = estate.ask("erasure", user_id="ann")["id"]
    assert estate.finish(request)["status"] == "on_hold"
    told = estate.desk.cancel(request, OFFICER)
    assert (told["status"], "completed_at" in told) == ("cancelled", False)
    assert [each["erasure"]["region"] for each in told["certificates"]] == ["us"]
    assert [len(estate.desk.select(OFFICER, statuses=[status])) for status in ("completed", "cancelled")] == [0, 1]
    assert [row["event_id"] for row in estate.rows()] == ["m-1"]


async def test_holds_are_listed_to_their_sites_officers_without_saying_of_whom(estate: Estate) -> None:
    phone = NamedIdentity(IdentityKind.ANONYMOUS_ID, "phone")
    estate.desk.hold([ANN, phone], "case 7", OFFICER)
    estate.desk.hold([ANN], "case 8", Caller("other", ("blog",)))
    told = estate.desk.holds(OFFICER)
    assert {each["region"] for each in told} == set(estate.offices)
    assert {(each["site"], each["reason"], each["identities"], each["since"][:10]) for each in told} == {
        ("shop", "case 7", 2, "2026-11-21")
    }
    assert estate.desk.holds(Caller("third", ("third",))) == []
    estate.desk.hold([ANN, phone], "case 7", OFFICER, lift=True)
    assert estate.desk.holds(OFFICER) == []
    assert len(estate.desk.holds(Caller("other", ("blog",)))) == len(estate.offices)


async def test_everything_that_was_merged_into_a_held_person_is_held(estate: Estate) -> None:
    await estate.send(estate.event(None, "phone"), estate.event("ann", "laptop"), estate.event("bob"))
    before = {row["event_id"]: row["subject"] for row in estate.rows()}
    await estate.send(estate.event("ann", "phone"))
    estate.desk.hold([NamedIdentity(IdentityKind.ANONYMOUS_ID, "phone")], "case 7", OFFICER)
    with estate.offices["eu"].casebook() as book:
        assert sorted(held_subjects(book.connection)) == sorted((before["m-1"], before["m-2"]))


async def test_each_matter_holds_for_itself(estate: Estate) -> None:
    await estate.send(estate.event("ann"))
    for reason in ("case 7", "case 8"):
        estate.desk.hold([ANN], reason, OFFICER)
    estate.desk.hold([ANN], "case 7", OFFICER, lift=True)
    assert {each["reason"] for each in estate.desk.holds(OFFICER)} == {"case 8"}
    request = estate.ask("erasure", user_id="ann")["id"]
    assert estate.finish(request)["regions"]["eu"]["result"] == {"held": "case 8"}
    with pytest.raises(NotFound):
        estate.desk.hold([ANN], "case 7", OFFICER, lift=True)
    assert estate.finish(request)["status"] == "on_hold"


async def test_what_is_held_is_not_corrected_until_the_hold_is_lifted(estate: Estate) -> None:
    await estate.send(estate.event("ann", properties={"plan": "wrong"}))
    estate.desk.hold([ANN], "case 7", OFFICER)
    request = estate.ask("rectification", user_id="ann", corrections={"plan": "right"})["id"]
    assert estate.finish(request)["status"] == "on_hold"
    assert [row["properties"] for row in estate.rows()] == ['{"plan":"wrong"}']
    estate.desk.hold([ANN], "case 7", OFFICER, lift=True)
    assert estate.finish(request)["status"] == "completed"
    assert [row["properties"] for row in estate.rows()] == ['{"plan":"right"}']


async def test_a_hold_is_answered_when_nothing_rewrites_files_that_did_not_know_of_it(estate: Estate) -> None:
    await estate.send(estate.event("ann"))
    with ThreadPoolExecutor(1) as pool:
        with estate.offices["us"].lake.writing():
            setting = pool.submit(estate.desk.hold, [ANN], "case 7", OFFICER)
            with pytest.raises(TimeoutError):
                setting.result(0.3)
        setting.result(10)
    assert [each["region"] for each in estate.desk.holds(OFFICER)] == ["eu", "us"]


async def test_a_hold_set_before_the_files_are_rewritten_keeps_them_from_a_correction(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    await estate.send(estate.event("ann", properties={"plan": "free"}))
    seal = Sealer.run

    def hold_first(sealer: Sealer, **options: float) -> SealReport:
        estate.desk.hold([ANN], "case 7", OFFICER)
        return seal(sealer, **options)

    monkeypatch.setattr(Sealer, "run", hold_first)
    request = estate.ask("rectification", user_id="ann", corrections={"plan": "pro"})["id"]
    assert estate.finish(request)["status"] == "on_hold"
    assert [row["properties"] for row in estate.rows()] == ['{"plan":"free"}']
