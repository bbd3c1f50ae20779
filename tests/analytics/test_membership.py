"""Who was in a saved cohort when: kept as it is reckoned, asked for by date, and gone with the person."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import sqlite3
import zipfile

import pytest

from consentryd.gateway.cohorts import Reckoner
from consentryd.gateway.logs import open_logger
from consentryd.model.clock import DAY, HOUR, ManualClock, SystemClock
from consentryd.storage.backup import back_up
from consentryd.storage.master import load_master
from consentryd.storage.restore import restore
from consentryd.storage.scan import forms_of
from tests.house import open_house
from tests.kit import NOW
from tests.rights.test_bytes import unpacked

YES = {"analytics": True}
BUYERS = {"name": "buyers", "definition": {"type": "did", "event": "bought", "times": 2}}
LATELY = {"name": "lately", "definition": {"type": "did", "event": "bought", "window": {"last": 2, "unit": "day"}}}
HISTORY = {"kind": "cohort_history", "cohort": "buyers", "range": {"from": "2026-11-21", "to": "2026-11-24"}}


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path / "data", ManualClock(NOW), rights=True) as opened:
        for who in ("u-1", "u-1", "u-2"):
            await opened.track(key="server", userId=who, consent=YES)
        opened.clock.advance(HOUR)
        yield opened


async def ask(house, question):
    status, answer = await house.post("/v1/query", question, key="read")
    assert status == 200, answer
    return answer


async def save(house, cohort):
    status, saved = await house.post("/v1/cohorts", cohort, key="read")
    assert status == 200, saved
    return saved


async def reckon(house, which):
    status, saved = await house.post(f"/v1/cohorts/{which}/reckon", {}, key="read")
    assert status == 200, saved
    return saved


async def members(house, cohort, as_of=None, **more):
    """How many subjects with an event are or were in it."""
    where = {"type": "cohort", "cohort": cohort, **({} if as_of is None else {"as_of": as_of}), **more}
    question = {
        "kind": "trends",
        "series": [{"math": "unique"}],
        "range": {"from": "2026-11-20", "to": "2026-11-30"},
        "where": where,
    }
    return (await ask(house, question))["series"][0]["total"]


async def erase(house, user, kind="erasure"):
    body = (
        {"type": kind, "identities": [{"type": "user_id", "value": user}], "block": "no"}
        if kind == "erasure"
        else {"type": kind, "identities": [{"type": "user_id", "value": user}]}
    )
    status, told = await house.post("/v1/privacy/requests?wait=20", body, key="privacy")
    assert (status, told["status"]) == (200, "completed"), told


async def exported(house, user):
    """What a person's own export says about them, region by region."""
    body = {"type": "access", "identities": [{"type": "user_id", "value": user}]}
    told = (await house.post("/v1/privacy/requests?wait=20", body, key="privacy"))[1]
    path = f"/v1/privacy/requests/{told['id']}/export"
    async with house.request("GET", path, headers={"Authorization": "Bearer privacy"}) as response:
        packed = zipfile.ZipFile(io.BytesIO(await response.read()))
    return json.loads(packed.read("about-you.json"))


def subject_of(house, **row):
    """The number of whoever has a spell, oldest first."""
    return [subject for (subject,) in house.house.stores["eu"].reader.execute("SELECT DISTINCT subject FROM cohort_spell")]


async def grow(house):
    """u-1 is a buyer from the 21st; u-2 from the 22nd; u-1 leaves the cohort of the last two days on the 24th."""
    await save(house, BUYERS)
    await save(house, LATELY)
    house.clock.advance(DAY)
    await house.track(key="server", userId="u-2", consent=YES)
    await reckon(house, "buyers")
    await reckon(house, "lately")
    house.clock.advance(2 * DAY)
    await reckon(house, "lately")


async def test_members_enter_and_leave_as_a_cohort_is_reckoned_and_each_day_can_be_asked_for(house):
    await grow(house)
    assert [await members(house, "buyers", f"2026-11-{day}") for day in (21, 22, 23)] == [1, 2, 2]
    assert [await members(house, "lately", f"2026-11-{day}") for day in (21, 22, 23, 24)] == [2, 2, 2, 1]
    assert await members(house, "buyers", "2026-11-21", member=False) == 1
    answer = await ask(house, HISTORY)
    assert [(each["members"], each["entered"], each["left"]) for each in answer["buckets"]] == [
        (1, 1, 0),
        (2, 1, 0),
        (2, 0, 0),
        (2, 0, 0),
    ]
    assert [each["version"] for each in answer["reckonings"]] == [1, 1]
    gone = await ask(house, {**HISTORY, "cohort": "lately"})
    assert [(each["members"], each["left"]) for each in gone["buckets"]] == [(2, 0), (2, 0), (2, 0), (1, 1)]


async def test_before_the_first_reckoning_nothing_is_on_record(house):
    await save(house, BUYERS)
    where = {"type": "cohort", "cohort": "buyers", "as_of": "2026-11-20"}
    question = {"kind": "trends", "series": [{}], "range": {"from": "today"}, "where": where}
    status, answer = await house.post("/v1/query", question, key="read")
    assert (status, answer["error"]["field"]) == (422, "as_of")
    assert (await ask(house, {**HISTORY, "range": {"from": "2026-11-19", "to": "2026-11-21"}}))["buckets"][0]["members"] is None


async def test_a_new_version_reckons_at_once_and_says_so(house):
    saved = await save(house, BUYERS)
    house.clock.advance(DAY)
    body = {"name": "buyers", "definition": {"type": "did", "event": "bought"}}
    status, second = await house.ask("PUT", f"/v1/cohorts/{saved['id']}", key="read", json=body)
    assert (status, second["version"]) == (200, 2)
    assert second["computed_at"] > saved["computed_at"]
    answer = await ask(house, HISTORY)
    assert [each["version"] for each in answer["reckonings"]] == [1, 2]
    assert [each["members"] for each in answer["buckets"]][:2] == [1, 2]


async def test_a_static_cohort_keeps_its_members_when_it_is_reckoned(house):
    await save(house, {**BUYERS, "static": True})
    await house.track(key="server", userId="u-2", consent=YES)
    await reckon(house, "buyers")
    assert await members(house, "buyers") == 1


async def test_dynamic_cohorts_are_reckoned_when_they_are_due_and_no_sooner(house):
    await save(house, BUYERS)
    reckoner = Reckoner(house.house.querying, house.clock, open_logger(house.services.settings.server, io.StringIO()))
    assert reckoner.run() == 0
    house.clock.advance(24 * HOUR)
    await house.track(key="server", userId="u-2", consent=YES)
    assert (reckoner.run(), reckoner.run()) == (1, 0)
    assert [await members(house, "buyers", f"2026-11-{day}") for day in (21, 22)] == [1, 2]


async def test_cohorts_are_reckoned_after_a_time_when_they_could_not_be_read(house, monkeypatch):
    reckoner = Reckoner(house.house.querying, house.clock, open_logger(house.services.settings.server, io.StringIO()))
    again = asyncio.Event()
    loop, looks = asyncio.get_running_loop(), 0

    def look():
        nonlocal looks
        looks += 1
        if looks == 1:
            raise sqlite3.OperationalError("database is locked")
        loop.call_soon_threadsafe(again.set)

    monkeypatch.setattr(reckoner, "run", look)
    monkeypatch.setattr("consentryd.gateway.cohorts.TICK_S", 0)
    task = asyncio.create_task(reckoner.keep())
    await asyncio.wait_for(again.wait(), 5)
    task.cancel()


async def test_an_erased_person_leaves_every_day_of_the_history_and_no_byte(house, tmp_path):
    await grow(house)
    numbers = subject_of(house)
    for number in numbers:
        await ask(house, {"kind": "person", "subject": str(number)})
    await erase(house, "u-1")
    assert [await members(house, "buyers", f"2026-11-{day}") for day in (21, 22, 23)] == [0, 1, 1]
    assert [each["members"] for each in (await ask(house, HISTORY))["buckets"]] == [0, 1, 1, 1]
    left = subject_of(house)
    (gone,) = set(numbers) - set(left)
    needles = list(forms_of(gone))
    assert [name for name, data in unpacked(tmp_path) for needle in needles if needle in data] == []


async def test_a_reckoning_that_began_before_an_erasure_does_not_bring_the_person_back(house):
    saved = await save(house, BUYERS)
    book, (number,) = house.house.querying.book.of("shop"), subject_of(house)
    kept = house.house.querying.saved.get("shop", "cohort", saved["id"])
    await erase(house, "u-1")
    book.record(kept, {"eu": [number]}, house.clock.now())
    assert subject_of(house) == []


async def test_a_persons_export_tells_the_cohorts_they_were_counted_among(house):
    await grow(house)
    about = await exported(house, "u-1")
    told = [(each["cohort"], each["entered_at"][:10], each["left_at"] and each["left_at"][:10]) for each in about[0]["cohorts"]]
    assert sorted(told) == [("buyers", "2026-11-21", None), ("lately", "2026-11-21", "2026-11-24")]


async def test_a_restricted_person_is_in_no_number_of_the_history(house):
    await grow(house)
    await erase(house, "u-1", "restriction")
    assert [await members(house, "buyers", f"2026-11-{day}") for day in (21, 22)] == [0, 1]
    assert [each["members"] for each in (await ask(house, HISTORY))["buckets"]][:2] == [0, 1]


async def test_one_who_was_two_is_counted_once_also_in_the_past(house):
    await house.track(key="server", anonymousId="a-1", consent=YES)
    await house.track(key="server", anonymousId="a-1", consent=YES)
    await save(house, BUYERS)
    assert await members(house, "buyers", "2026-11-21") == 2
    house.clock.advance(DAY)
    await house.track(key="server", anonymousId="a-1", userId="u-1", consent=YES)
    await reckon(house, "buyers")
    assert [await members(house, "buyers", f"2026-11-{day}") for day in (21, 22)] == [1, 1]
    assert [(each["members"], each["entered"]) for each in (await ask(house, HISTORY))["buckets"]][:2] == [(1, 1), (1, 0)]


async def test_a_deleted_cohort_leaves_no_members_behind(house):
    saved = await save(house, BUYERS)
    assert len(subject_of(house)) == 1
    assert (await house.ask("DELETE", f"/v1/cohorts/{saved['id']}", key="read"))[0] == 200
    assert subject_of(house) == []


async def test_a_restored_backup_keeps_the_history_but_not_of_who_was_erased_since(tmp_path):
    data = tmp_path / "data"
    async with open_house(data, ManualClock(NOW), rights=True) as house:
        for who in ("u-1", "u-1", "u-2", "u-2"):
            await house.track(key="server", userId=who, consent=YES)
        await save(house, BUYERS)
        numbers = subject_of(house)
        back_up(data, tmp_path / "backup", SystemClock())
        await erase(house, "u-1")
        (kept,) = subject_of(house)
    master = load_master(house.services.settings.keys.master, data, {})
    restore(data, tmp_path / "backup", master, ManualClock(NOW + DAY))
    shutil.rmtree(tmp_path / "data.before-restore")
    shutil.rmtree(tmp_path / "backup")
    async with open_house(data, ManualClock(NOW + DAY), rights=True) as house:
        assert subject_of(house) == [kept]
        assert await members(house, "buyers", "2026-11-21") == 1
    (gone,) = set(numbers) - {kept}
    assert [name for name, data in unpacked(tmp_path) for needle in forms_of(gone) if needle in data] == []


@pytest.mark.parametrize("named", ["both", "buyers"])
async def test_a_cohort_is_not_made_of_itself(house, named):
    saved = await save(house, BUYERS)
    await save(house, {"name": "both", "definition": {"type": "and", "conditions": [{"type": "cohort", "cohort": saved["id"]}]}})
    body = {"name": "buyers", "definition": {"type": "not", "condition": {"type": "cohort", "cohort": named}}}
    status, answer = await house.ask("PUT", f"/v1/cohorts/{saved['id']}", key="read", json=body)
    assert (status, answer["error"]["field"]) == (422, "definition")


async def test_a_cohort_behind_a_number_follows_it_as_it_is_reckoned(house):
    funnel = {"kind": "funnel", "steps": [{"event": "bought"}, {"event": "returned"}], "range": {"from": "-7d"}}
    cohort = {"name": "kept it", "behind": {"query": funnel, "point": {"step": 1, "dropped": True}}}
    await save(house, cohort)
    assert await members(house, "kept it") == 2
    await house.track("returned", key="server", userId="u-1", consent=YES)
    assert await members(house, "kept it") == 2
    house.clock.advance(HOUR)
    await reckon(house, "kept it")
    assert [await members(house, "kept it"), await members(house, "kept it", "2026-11-21T21:30")] == [1, 2]


async def test_a_report_on_one_subject_is_not_saved(house):
    body = {"name": "him", "definition": {"kind": "person", "subject": "123"}}
    status, answer = await house.post("/v1/queries", body, key="read")
    assert (status, answer["error"]["field"]) == (422, "definition.kind")
