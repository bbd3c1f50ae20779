"""A person's export holds everything about them, in files they can read, and nothing about anybody else."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from pathlib import Path

import pytest

from consentryd.consent.receipt import is_about, verify
from consentryd.model.clock import HOUR
from consentryd.model.error import CorruptStore, NotFound
from consentryd.model.identity import Identity, IdentityKind
from consentryd.rights.consent import Statement
from consentryd.rights.demand import NamedIdentity
from consentryd.rights.desk import Caller
from consentryd.storage.choice import ChoiceState
from consentryd.storage.vault import CHUNK, VaultWriter, read_vault
from tests.rights.estate import OFFICER, Estate, opened

RULES = [{"key": "wish", "action": "encrypt"}]


def fetched(estate: Estate, request: str) -> zipfile.ZipFile:
    sink = io.BytesIO()
    estate.desk.write_export(request, sink)
    return zipfile.ZipFile(io.BytesIO(sink.getvalue()))


def events_of(archive: zipfile.ZipFile) -> list[dict]:
    return [json.loads(line) for line in archive.read("events.jsonl").splitlines()]


async def test_an_export_holds_the_events_of_all_regions_with_encrypted_values_given_back(tmp_path: Path) -> None:
    with opened(tmp_path / "data", privacy={"rules": RULES}) as estate:
        await estate.send(estate.event("ann", "phone", properties={"wish": "a red bicycle", "n": 1}), estate.event("bob"))
        estate.seal()
        await estate.send(estate.event("ann", "phone", properties={"wish": "=a blue one", "n": 2}))
        await estate.send(estate.event("ann"), region="us")
        assert b"bicycle" not in b"".join(path.read_bytes() for path in estate.path.rglob("*") if path.is_file())
        request = estate.ask("access", user_id="ann")["id"]
        assert estate.finish(request)["export"]["events"] == 3
        archive = fetched(estate, request)
        assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_DEFLATED}
        found = events_of(archive)
        assert [event["properties"].get("wish") for event in found if "properties" in event] == ["a red bicycle", "=a blue one"]
        assert {event["region"] for event in found} == {"eu", "us"}
        assert not any({"subject", "visitor"} & event.keys() for event in found)
        table = list(csv.DictReader(io.StringIO(archive.read("events.csv").decode())))
        assert [row["event_id"] for row in table] == [event["event_id"] for event in found]
        manifest = json.loads(archive.read("manifest.json"))
        for file in manifest["files"]:
            assert hashlib.sha256(archive.read(file["name"])).hexdigest() == file["sha256"]
        page = archive.read("index.html").decode()
        assert "Bought: 2" in page
        assert "<p>2 events, the first on 2026-11-21, the last on 2026-11-21.</p>" in page
        assert "<p>1 event, the first on" in page
        assert "nobody" in page


async def test_it_tells_choices_with_receipts_requests_and_who_used_the_data(estate: Estate) -> None:
    await estate.send(estate.event("ann"))
    statement = Statement("shop", "server", (Identity(IdentityKind.USER_ID, "ann"),), {"analytics": ChoiceState.GRANTED})
    await estate.house.proving.desk.record("eu", statement)
    estate.finish(estate.ask("restriction", user_id="ann")["id"])
    request = estate.ask("portability", user_id="ann", reason="moving")["id"]
    estate.finish(request)
    archive = fetched(estate, request)
    about = next(each for each in json.loads(archive.read("about-you.json")) if each["region"] == "eu")
    assert about["restricted_since"][:10] == "2026-11-21"
    assert any("authority" in right for right in about["rights"])
    page = archive.read("index.html").decode()
    assert "restricted since 2026-11-21" in page
    assert "complain to a data protection authority" in page
    assert [(choice["purpose"], choice["state"]) for choice in about["choices"]] == [("analytics", "granted")]
    keys = [key.verifier for key in estate.offices["eu"].signing.public()]
    verify(about["receipts"][0], keys)
    assert is_about(about["receipts"][0], IdentityKind.USER_ID, "ann")
    assert [(each["type"], each["status"]) for each in about["requests"]] == [("restriction", "completed")]
    assert [use["why"] for use in about["uses"]] == ["request: restriction", "request: portability"]
    assert {use["who"] for use in about["uses"]} == {"key_p"}
    assert about["profile"]["events"] == 1
    assert about["kept_days"] == {"shop": 760}
    assert [purpose["purpose"] for purpose in about["purposes"]] == ["analytics"]


async def test_a_use_of_somebody_with_many_ids_is_told_once(estate: Estate) -> None:
    await estate.send(
        estate.event("ann", "phone"), estate.event("ann", "tablet", type="identify", traits={"email": "a@example.com"})
    )
    estate.desk.note_use_of([estate.rows()[0]["subject"]], "looked at", OFFICER)
    request = estate.ask("access", user_id="ann", anonymous_id="phone")["id"]
    estate.finish(request)
    (eu, us) = json.loads(fetched(estate, request).read("about-you.json"))
    assert [use["why"] for use in eu["uses"]] == ["looked at", "request: access"]
    assert [use["why"] for use in us["uses"]] == ["request: access"]


async def test_it_tells_how_long_each_purpose_is_kept_here(tmp_path: Path) -> None:
    retention = {"consented_days": 400, "purposes": {"analytics": 90}, "regions": {"us": 30}}
    with opened(tmp_path / "data", site={"retention": retention}, rights={"recipients": ["Mail Ltd"]}) as estate:
        await estate.send(estate.event("ann"))
        statement = Statement("shop", "server", (Identity(IdentityKind.USER_ID, "ann"),), {"analytics": ChoiceState.GRANTED})
        receipt = (await estate.house.proving.desk.record("eu", statement))["receipt"]
        await estate.send(estate.event("ann"), region="us")
        request = estate.ask("access", user_id="ann")["id"]
        estate.finish(request)
        archive = fetched(estate, request)
        told = {each["region"]: each for each in json.loads(archive.read("about-you.json"))}
        assert {name: each["kept_days"] for name, each in told.items()} == {"eu": {"shop": 400}, "us": {"shop": 30}}
        assert [each["kept_days"] for name in ("eu", "us") for each in told[name]["purposes"]] == [{"shop": 90}, {"shop": 30}]
        assert "shop, for analytics: 90 days" in archive.read("index.html").decode()
        for told_again in (receipt, told["eu"]["receipts"][0]):
            [purpose] = told_again["pii_processing"]["purposes"]
            assert (purpose["retention_period"], purpose["recipient_third_parties"]) == ("P90D", ["Mail Ltd"])


async def test_a_receipt_tells_the_terms_of_the_site_where_the_choice_was_made(tmp_path: Path) -> None:
    with opened(tmp_path / "data", sites={"blog": {}, "shop": {"retention": {"purposes": {"analytics": 90}}}}) as estate:
        statement = Statement("shop", "server", (Identity(IdentityKind.USER_ID, "ann"),), {"analytics": ChoiceState.GRANTED})
        await estate.house.proving.desk.record("eu", statement)
        caller = Caller("command line", ("blog", "shop"))
        request = estate.ask("access", caller=caller, user_id="ann")["id"]
        assert estate.runner().run() == {}
        archive = fetched(estate, request)
        assert "<h1>Your data at blog, shop</h1>" in archive.read("index.html").decode()
        told = {each["region"]: each for each in json.loads(archive.read("about-you.json"))}
        [receipt] = told["eu"]["receipts"]
        assert [party["party_name"] for party in receipt["party_identification"]] == ["shop"]
        assert [purpose["retention_period"] for purpose in receipt["pii_processing"]["purposes"]] == ["P90D"]


async def test_a_choice_names_the_sites_it_was_made_for_and_is_told_once(tmp_path: Path) -> None:
    with opened(tmp_path / "data", sites={"blog": {}, "shop": {}}) as estate:
        for site, state in (("shop", ChoiceState.GRANTED), ("blog", ChoiceState.DENIED)):
            ids = (Identity(IdentityKind.USER_ID, "ann"), Identity(IdentityKind.ANONYMOUS_ID, "phone"))
            await estate.house.proving.desk.record("eu", Statement(site, "visitor", ids, {"analytics": state}))
        caller = Caller("command line", ("blog", "shop"))
        for kind, more in (("objection", {"purposes": ["marketing"]}), ("access", {})):
            request = estate.ask(kind, caller=caller, user_id="ann", **more)["id"]
            assert estate.runner().run() == {}
        archive = fetched(estate, request)
        eu = next(each for each in json.loads(archive.read("about-you.json")) if each["region"] == "eu")
        assert sorted((choice["sites"], choice["purpose"], choice["state"]) for choice in eu["choices"]) == [
            (["blog"], "analytics", "denied"),
            (["blog", "shop"], "marketing", "withdrawn"),
            (["shop"], "analytics", "granted"),
        ]
        assert "shop, analytics: granted on 2026-11-21" in archive.read("index.html").decode()


async def test_an_export_is_encrypted_until_it_is_fetched_and_gone_when_it_expires(estate: Estate) -> None:
    await estate.send(estate.event("ann", properties={"n": "distinctive-value"}))
    request = estate.ask("access", user_id="ann")["id"]
    estate.finish(request)
    vault = estate.offices["eu"].export_path(request)
    assert b"distinctive-value" not in vault.read_bytes()
    estate.clock.advance(73 * HOUR)
    with pytest.raises(NotFound):
        estate.desk.export_size(request, OFFICER)
    estate.runner().run()
    assert not vault.exists()


def test_a_vault_opens_with_its_key_only_and_notices_what_was_changed_cut_off_or_moved(tmp_path: Path) -> None:
    path, key = tmp_path / "v", b"k" * 32
    for size in (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK):
        data = bytes(range(256)) * (size // 256 + 1)
        with VaultWriter(path, key) as vault:
            vault.write(data[:size])
        assert b"".join(read_vault(path, key)) == data[:size]
    whole, part = path.read_bytes(), CHUNK + 16
    damaged = [
        whole[:part],
        whole[part:],
        whole[part : 2 * part] + whole[:part] + whole[2 * part :],
        whole[:-1],
        b"\0" + whole[1:],
        b"",
    ]
    for bad in damaged:
        path.write_bytes(bad)
        with pytest.raises(CorruptStore):
            list(read_vault(path, key))
    path.write_bytes(whole)
    with pytest.raises(CorruptStore):
        list(read_vault(path, b"x" * 32))


async def test_an_erasure_takes_an_export_that_still_waits_with_it(estate: Estate) -> None:
    await estate.send(estate.event("ann"))
    request = estate.ask("access", user_id="ann")["id"]
    estate.finish(request)
    estate.finish(estate.ask("erasure", user_id="ann")["id"])
    with pytest.raises(NotFound):
        estate.desk.export_size(request, OFFICER)
    assert list(estate.path.glob("*/exports/*")) == []


async def test_an_export_by_an_address_that_several_share_is_made_again_without_who_was_erased(estate: Estate) -> None:
    identify = {"type": "identify", "traits": {"email": "family@example.com"}}
    await estate.send(estate.event("ann", **identify), estate.event("bob", **identify))
    request = estate.ask("access", email="family@example.com")["id"]
    assert estate.finish(request)["export"]["events"] == 2
    sealed = estate.offices["eu"].export_path(request).read_bytes()
    estate.finish(estate.ask("erasure", user_id="ann")["id"])
    assert estate.desk.get(request, OFFICER)["export"]["events"] == 1
    assert [event["event_id"] for event in events_of(fetched(estate, request))] == ["m-2"]
    assert estate.offices["eu"].export_path(request).read_bytes() != sealed


async def test_with_a_token_an_address_finds_nobody_whose_user_id_is_another(estate: Estate) -> None:
    """Events may tie anybody's address to anybody's user id: people would get each other's data."""
    address = {"email": "bob@example.com"}
    await estate.send(
        estate.event("ann", type="identify", traits=address),
        estate.event("bob", type="identify", traits=address),
        estate.event(None, "phone", properties=address),
    )
    named = {"user_id": "bob", "email": "bob@example.com"}
    bob = Caller("token", ("shop",), tuple(NamedIdentity(IdentityKind(kind), value) for kind, value in named.items()))
    own = estate.ask("access", caller=bob)["id"]
    assert estate.finish(own)["export"]["events"] == 2
    assert estate.desk.export_size(own, bob) == 2
    officers = estate.ask("access", email="bob@example.com")["id"]
    told = estate.finish(officers)
    assert (told["export"]["events"], told["regions"]["eu"]["result"]) == (3, {"people": 3})
    with pytest.raises(NotFound):
        estate.desk.export_size(officers, Caller("token", ("shop",), bob.identities[1:]))
    erased = estate.finish(estate.ask("erasure", caller=bob)["id"])
    assert erased["certificates"][0]["erasure"]["stores"]["events"]["before"] == 2
    assert [row["event_id"] for row in estate.rows()] == ["m-1"]
