"""An answer says in which regions nothing was done, so that nobody believes it was done everywhere."""

from __future__ import annotations

import asyncio
import io
import json
import zipfile
from pathlib import Path

from consentryd.rights.demand import read_demand
from consentryd.rights.desk import Desk
from consentryd.rights.runner import Runner
from tests.house import open_house
from tests.rights.estate import OFFICER, Estate, opened
from tests.rights.receiver import receiving
from tests.rights.test_opendsr import DOMAIN, certified, request

ANN = [{"type": "user_id", "value": "ann"}]
REGIONS = {"eu": {"countries": ["*"]}, "us": {"countries": ["US"]}}


def of_eu(estate: Estate) -> tuple[Desk, Runner]:
    """What a gateway has that serves one region only."""
    offices = {"eu": estate.offices["eu"]}
    runner = Runner(estate.settings, estate.house.policy, offices, estate.house.scrubbers, estate.clock)
    return Desk(estate.settings, estate.house.policy, offices, estate.clock), runner


async def test_a_request_names_the_regions_in_which_it_was_not_worked_on(estate: Estate) -> None:
    body = {"type": "erasure", "request_id": "letter-of-3-may", "identities": ANN}
    desk, runner = of_eu(estate)
    assert desk.accept(read_demand(body), OFFICER)["regions_not_covered"] == ["us"]
    assert runner.run() == {}
    told = estate.desk.get("letter-of-3-may", OFFICER)
    assert (told["status"], told["regions_not_covered"]) == ("completed", ["us"]), (
        "also where us is served: nothing was done in it"
    )
    assert desk.select(OFFICER)[0]["regions_not_covered"] == ["us"]
    estate.desk.accept(read_demand(body), OFFICER)
    told = estate.finish("letter-of-3-may")
    assert (told["status"], len(told["certificates"]), "regions_not_covered" in told) == ("completed", 2, False)


async def test_an_export_says_which_regions_are_not_in_it_and_can_be_fetched_where_all_are_served(estate: Estate) -> None:
    await estate.send(estate.event("ann"))
    desk, runner = of_eu(estate)
    request = desk.accept(read_demand({"type": "access", "identities": ANN}), OFFICER)["id"]
    assert runner.run() == {}
    for each in (desk, estate.desk):
        sink = io.BytesIO()
        each.claim_export(request).close()
        each.write_export(request, sink)
        with zipfile.ZipFile(sink) as archive:
            assert json.loads(archive.read("manifest.json"))["regions_not_covered"] == ["us"]
            assert "What may be stored in region us is not in these files" in archive.read("index.html").decode()
    assert estate.desk.get(request, OFFICER)["export"]["events"] == 1
    whole = estate.ask("access", user_id="ann")["id"]
    estate.finish(whole)
    sink = io.BytesIO()
    estate.desk.write_export(whole, sink)
    assert json.loads(zipfile.ZipFile(sink).read("manifest.json"))["regions_not_covered"] == []


async def test_a_callback_is_told_too(tmp_path: Path) -> None:
    with receiving() as receiver, opened(tmp_path / "data", rights={"callbacks": [f"{receiver.url}/status"]}) as estate:
        desk, runner = of_eu(estate)
        desk.accept(read_demand({"type": "restriction", "identities": ANN, "callbacks": [f"{receiver.url}/status"]}), OFFICER)
        runner.run()
        assert {(*json.loads(body)["regions_not_covered"],) for body in receiver.bodies("/status")} == {("us",)}


async def test_opendsr_answers_and_callbacks_tell_it_under_the_processors_domain(tmp_path: Path) -> None:
    certificate, key = certified(tmp_path)
    settings = {"opendsr_domain": DOMAIN, "opendsr_certificate": certificate, "opendsr_key": key, "grace_s": 60}
    told, body = {DOMAIN: {"regions_not_covered": ["us"]}}, request("erasure")
    own = f"/opendsr/requests/{body['subject_request_id']}"
    with receiving() as receiver:
        body["status_callback_urls"] = callbacks = [f"{receiver.url}/callback"]
        rights = {**settings, "callbacks": callbacks}
        async with open_house(tmp_path / "data", regions=REGIONS, served=["eu"], rights=rights) as house:
            for method, path, sent, expected in (
                ("POST", "/opendsr/requests", body, 201),
                ("GET", own, None, 200),
                ("DELETE", own, None, 202),
            ):
                status, answer = await house.ask(method, path, key="privacy", **({"json": sent} if sent else {}))
                assert (status, answer["extensions"]) == (expected, told), (method, path)
            await asyncio.to_thread(Runner.run, house.services.require_rights()._runner)
        assert {json.dumps(json.loads(each)["extensions"]) for each in receiver.bodies("/callback")} == {json.dumps(told)}


async def test_what_is_stored_of_a_region_that_is_not_configured_any_more_is_not_covered(tmp_path: Path) -> None:
    with opened(tmp_path / "data", regions=REGIONS):
        pass
    with opened(tmp_path / "data", regions={"eu": REGIONS["eu"]}) as estate:
        assert estate.ask("erasure", user_id="ann")["regions_not_covered"] == ["us"]


async def test_a_gateway_of_some_regions_says_so_of_requests_holds_and_uses(tmp_path: Path) -> None:
    async with open_house(tmp_path, regions=REGIONS, served=["eu"], rights=True) as house:
        for method, path, body in (
            ("POST", "requests", {"type": "restriction", "identities": ANN}),
            ("POST", "holds", {"identities": ANN, "reason": "case 7"}),
            ("GET", "holds", None),
            ("GET", "uses", None),
        ):
            status, told = await house.ask(method, f"/v1/privacy/{path}", key="privacy", **({"json": body} if body else {}))
            assert (status, told["regions_not_covered"]) == (200, ["us"]), (method, path, told)
