"""Looking at single people leaves a trace: in the ledger, in the operator's list, in the person's own export."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from consentryd.rights.usage import commitment
from tests.house import open_house
from tests.kit import KEYS

YES = {"analytics": True}
FUNNEL = {"kind": "funnel", "steps": [{"event": "bought"}, {"event": "returned"}], "range": {"from": "today"}}
WAYS = [
    ({"kind": "trends", "series": [{"math": "unique"}], "range": {"from": "today"}}, {"series": "A"}, 3),
    (FUNNEL, {"step": 1, "dropped": True}, 3),
    ({"kind": "lifecycle", "range": {"from": "today"}}, {"bucket": 0, "status": "new"}, 3),
    ({"kind": "retention", "periods": 1, "range": {"from": "today"}}, {"cohort": 0, "period": 0}, 3),
]


@pytest.fixture
async def house(tmp_path):
    async with open_house(tmp_path / "data", rights=True) as opened:
        for user in ("u-1", "u-2", "u-3"):
            await opened.track(key="server", userId=user, consent=YES)
        yield opened


async def behind(house, question=WAYS[0][0], point=WAYS[0][1]):
    """The subjects behind a number."""
    status, answer = await house.post("/v1/query", question, key="read")
    assert status == 200, answer
    status, found = await house.post(f"/v1/query/{answer['query_id']}/subjects", point, key="privacy")
    assert status == 200, found
    return found["subjects"]


async def uses(house, query=""):
    status, page = await house.ask("GET", f"/v1/privacy/uses{query}", key="privacy")
    assert status == 200, page
    return page


@pytest.mark.parametrize(("question", "point", "people"), WAYS, ids=[way[0]["kind"] for way in WAYS])
async def test_each_list_of_subjects_is_on_record_before_it_is_shown(house, question, point, people):
    found = await behind(house, question, point)
    assert len(found) == people
    (use,) = (await uses(house))["uses"]
    assert (use["who"], use["why"], use["sites"]) == ("key_p", "subjects behind a number", ["shop"])
    assert len(use["commitments"]) == people


async def test_a_report_on_one_subject_is_on_record_and_in_that_persons_export_alone(house):
    subjects = await behind(house)
    index = house.house.stores["eu"].reader
    mine = await who_is(house, "u-1")
    assert (await house.post("/v1/query", {"kind": "person", "subject": str(mine)}, key="read"))[0] == 200
    newest, first = (await uses(house))["uses"]
    assert (newest["who"], newest["why"]) == ("key_r", "report on one subject")
    (nonce,) = index.execute("SELECT DISTINCT nonce FROM personal_use WHERE entry = ?", (newest["entry"],)).fetchone()
    assert newest["commitments"] == [commitment(nonce, "shop", mine)]
    assert not any(subject in json.dumps([newest, first]) for subject in subjects)
    assert [each["why"] for each in await export(house, "u-1")] == [
        "subjects behind a number",
        "report on one subject",
        "request: access",
    ]
    assert [each["why"] for each in await export(house, "u-2")] == ["subjects behind a number", "request: access"]


async def who_is(house, user):
    digest = house.house.pseudonyms["eu"].identity("shop", "user_id", user)
    return house.house.stores["eu"].reader.execute("SELECT subject FROM identity WHERE digest = ?", (digest,)).fetchone()[0]


async def export(house, user):
    """The uses that a person's own export lists."""
    body = {"type": "access", "identities": [{"type": "user_id", "value": user}]}
    status, told = await house.post("/v1/privacy/requests?wait=20", body, key="privacy")
    assert (status, told["status"]) == (200, "completed"), told
    headers = {"Authorization": "Bearer privacy"}
    async with house.request("GET", f"/v1/privacy/requests/{told['id']}/export", headers=headers) as response:
        packed = zipfile.ZipFile(io.BytesIO(await response.read()))
    regions = json.loads(packed.read("about-you.json"))
    return [use for region in regions for use in region["uses"]]


async def test_pages_go_from_the_newest_to_the_oldest_and_end(house):
    for _ in range(5):
        await behind(house)
    first = await uses(house, "?limit=2")
    second = await uses(house, f"?limit=2&before={first['next']}")
    third = await uses(house, f"?limit=2&before={second['next']}")
    numbers = [use["entry"] for page in (first, second, third) for use in page["uses"]]
    assert numbers == sorted(numbers, reverse=True)
    assert (len(numbers), third["next"]) == (5, None)


async def test_only_the_sites_own_privacy_key_sees_them(house):
    await behind(house)
    house.keys.keys["other"] = KEYS["privacy"]._replace(id="key_o", site="blog")
    assert (await house.ask("GET", "/v1/privacy/uses", key="other"))[1]["uses"] == []
    assert (await house.ask("GET", "/v1/privacy/uses", key="read"))[0] == 403
    assert (await house.ask("GET", "/v1/privacy/uses?before=nowhere:1", key="privacy"))[0] == 400


async def test_a_subject_that_is_not_there_leaves_no_entry(house):
    for number, status in ((12345, 200), (2**63 - 1, 200), (2**63, 422)):
        assert (await house.post("/v1/query", {"kind": "person", "subject": str(number)}, key="read"))[0] == status
    assert (await uses(house))["uses"] == []


async def test_one_persons_nonce_does_not_open_anothers_commitment(house):
    found = await behind(house)
    (use,) = (await uses(house))["uses"]
    nonces = (
        house.house.stores["eu"]
        .reader.execute("SELECT DISTINCT nonce FROM personal_use WHERE entry = ?", (use["entry"],))
        .fetchall()
    )
    opened = [
        (nonce, subject)
        for (nonce,) in nonces
        for subject in found
        if commitment(nonce, "shop", int(subject)) in use["commitments"]
    ]
    assert (len(nonces), len(opened)) == (3, 3)
    assert len({subject for _, subject in opened}) == 3


async def test_an_erased_persons_uses_name_nobody_any_more(house):
    mine = await who_is(house, "u-1")
    await house.post("/v1/query", {"kind": "person", "subject": str(mine)}, key="read")
    (use,) = (await uses(house))["uses"]
    body = {"type": "erasure", "identities": [{"type": "user_id", "value": "u-1"}]}
    assert (await house.post("/v1/privacy/requests?wait=20", body, key="privacy"))[1]["status"] == "completed"
    index = house.house.stores["eu"].reader
    assert index.execute("SELECT count(*) FROM personal_use WHERE entry = ?", (use["entry"],)).fetchone() == (0,)
