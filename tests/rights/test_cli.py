"""The operator's commands for people's requests, typed as the manual says."""

from __future__ import annotations

import asyncio
import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from consentryd.config.load import load_settings
from consentryd.gateway.cli import main, rights
from consentryd.gateway.compose import House, open_stores
from consentryd.gateway.intake import Intake
from consentryd.gateway.protocols.segment import read_event
from consentryd.model.client import Client
from consentryd.model.clock import SystemClock
from consentryd.model.key import ApiKey, KeyKind
from consentryd.rights.desk import Desk
from consentryd.rights.runner import Runner

KEY = ApiKey("key_w", KeyKind.WRITE, "default", "", None, (), 0, None)
GRANT = {"consent": {"purposes": {"analytics": True}}}


@dataclass(frozen=True)
class Told:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)

    def _run(*arguments: str) -> Told:
        capsys.readouterr()
        code = main(list(arguments))
        captured = capsys.readouterr()
        return Told(code, captured.out, captured.err)

    assert _run("init").code == 0
    return _run


def fill(*events: dict[str, Any], key: ApiKey = KEY) -> None:
    """Store events in the installation at hand."""
    settings, clock = load_settings(Path("consentry.toml"), {"CONSENTRY_STORAGE_MIN_FREE_BYTES": "0"}), SystemClock()
    stores = open_stores(settings, None, clock)
    try:
        house = House(settings, stores, clock)
        items = [read_event({"type": "track", "event": "Bought", "context": GRANT, **event}, None) for event in events]
        results = asyncio.run(house.collector.collect(Intake(key, clock.now(), Client(country="DE")), items))
        assert {str(result.outcome) for result in results} == {"stored"}
        house.close()
    finally:
        for store in stores.values():
            store.close()


def test_erase_prints_proof_that_verify_accepts_and_anybody_elses_id_does_not_fit(run) -> None:
    fill({"userId": "42"}, {"userId": "43"})
    told = run("privacy", "erase", "--user-id", "42", "--json", "-o", "proof.json")
    assert told.code == 0, told.err
    assert sum(each["erasure"]["stores"]["events"]["before"] for each in told.json["certificates"]) == 1
    nonce = told.json["commitment_nonce"]
    assert run("privacy", "verify", "proof.json").code == 0
    assert run("privacy", "verify", "proof.json", "--nonce", nonce, "--user-id", "42").code == 0
    assert run("privacy", "verify", "proof.json", "--nonce", nonce, "--user-id", "43").code == 1
    mistyped = run("privacy", "verify", "proof.json", "--nonce", nonce[1:], "--user-id", "42")
    assert (mistyped.code, "--nonce is not the one" in mistyped.err) == (1, True)
    Path("proof.json").write_text(Path("proof.json").read_text().replace('"subjects": 1', '"subjects": 2'))
    refused = run("privacy", "verify", "proof.json")
    assert (refused.code, "Not genuine" in refused.err) == (1, True)


def test_all_sites_are_those_without_a_key_too_and_a_misspelt_one_is_refused(run) -> None:
    fill({"userId": "42"})
    fill({"userId": "42"}, key=KEY._replace(site="blog"))
    refused = run("privacy", "erase", "--user-id", "42", "--site", "blgo")
    assert (refused.code, "there are blog, default" in refused.err) == (1, True), refused
    assert run("seal").code == 0
    fill({"userId": "42"}, key=KEY._replace(site="forum"))
    told = run("privacy", "erase", "--user-id", "42", "--json").json
    assert told["sites"] == ["default", "blog", "forum"]
    assert sum(each["erasure"]["stores"]["events"]["before"] for each in told["certificates"]) == 3
    assert run("events", "--json").json == []
    assert [each["sites"] for each in run("privacy", "requests", "--json").json] == [["default", "blog", "forum"]]


@pytest.mark.parametrize("as_json", [True, False])
def test_an_erasure_that_is_handed_in_as_a_request_shows_its_nonce_too(run, as_json: bool) -> None:
    fill({"userId": "42"})
    told = run("privacy", "request", "erasure", "--user-id", "42", *(["--json"] if as_json else []))
    nonce = told.json["commitment_nonce"] if as_json else told.out.split()[-1]
    request = run("privacy", "requests", "--json").json[0]["id"]
    Path("proof.json").write_text(run("privacy", "requests", request).out)
    assert run("privacy", "verify", "proof.json", "--nonce", nonce, "--user-id", "42").code == 0


def test_what_could_not_be_written_down_is_not_done(run) -> None:
    fill({"userId": "42"})
    Path("there.zip").write_bytes(b"another's")
    for command, path in (("erase", "nowhere/proof.json"), ("export", "nowhere/person.zip"), ("export", "there.zip")):
        told = run("privacy", command, "--user-id", "42", "-o", path)
        assert (told.code, told.out, path in told.err) == (1, "", True)
    assert run("privacy", "requests", "--json").json == []
    assert len(run("events", "--json").json) == 1
    assert Path("there.zip").read_bytes() == b"another's"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["erase", "--user-id", " "], "identities.0.value: "),
        (["erase", "--user-id", "42", "--hashed"], "a SHA-256 has 64 hex digits"),
        (["hold", "--user-id", "42", "--hashed", "--reason", "case 1"], "a SHA-256 has 64 hex digits"),
        (["request", "rectification", "--user-id", "42"], "corrections go with a rectification"),
        (["request", "objection", "--user-id", "42", "--purpose", "analitics"], "analytics"),
    ],
)
def test_a_refused_request_says_why(run, arguments: list[str], why: str) -> None:
    fill({"userId": "42"})
    told = run("privacy", *arguments)
    assert (told.code, told.out, why in told.err) == (1, "", True), told.err
    assert "Value error" not in told.err


@pytest.mark.parametrize(
    ("written", "why"),
    [(f"42\n\n{'x' * 3000}\n".encode(), "line 3: "), ("42\nZoë\n".encode("latin-1"), "is not UTF-8 text")],
)
def test_of_a_file_with_a_line_that_cannot_be_nobody_is_erased(run, written: bytes, why: str) -> None:
    fill({"userId": "42"})
    Path("ids.txt").write_bytes(written)
    told = run("privacy", "erase", "--file", "ids.txt")
    assert (told.code, told.out, why in told.err, told.err.count("\n")) == (1, "", True, 1), told.err
    assert run("privacy", "requests", "--json").json == []


def test_a_file_may_hold_hashes(run) -> None:
    fill({"userId": "42"}, {"userId": "43"})
    Path("ids.txt").write_text(f"{hashlib.sha256(b'42').hexdigest()}\n")
    told = run("privacy", "erase", "--file", "ids.txt", "--hashed", "--json")
    assert sum(each["erasure"]["stores"]["events"]["before"] for each in told.json[0]["certificates"]) == 1
    Path("ids.txt").write_text("43\n")
    assert "a SHA-256 has 64 hex digits" in run("privacy", "erase", "--file", "ids.txt", "--hashed").err


def test_an_erasure_that_cannot_be_finished_now_shows_its_nonce_all_the_same(run, monkeypatch: pytest.MonkeyPatch) -> None:
    fill({"userId": "42"})
    with monkeypatch.context() as broken:
        broken.setattr(Runner, "run", lambda _self, **_options: {"eu": "the disk is full"})
        told = run("privacy", "erase", "--user-id", "42", "--json", "-o", "asked.json")
    assert (told.code, told.json["status"], "the disk is full" in told.err) == (1, "pending", True)
    nonce = json.loads(Path("asked.json").read_text())[0]["commitment_nonce"]
    assert nonce == told.json["commitment_nonce"]
    assert run("privacy", "erase", "--user-id", "43").code == 0
    Path("proof.json").write_text(run("privacy", "requests", told.json["id"]).out)
    assert run("privacy", "verify", "proof.json", "--nonce", nonce, "--user-id", "42").code == 0


def test_a_list_that_is_cut_off_says_so(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rights, "MOST_LISTED", 2)
    fill({"userId": "42"})
    for count in (1, 2, 3):
        assert run("privacy", "request", "restriction", "--user-id", "42").code == 0
        told = run("privacy", "requests", "--json")
        assert (told.code, len(told.json), "more than" in told.err) == (0, min(count, 2), count > 2)


def test_export_writes_a_zip_and_leaves_nothing_of_it_behind(run) -> None:
    fill({"userId": "42"}, {"anonymousId": "a-1"})
    told = run("privacy", "export", "--user-id", "42", "-o", "person.zip")
    assert (told.code, "1 event and what" in told.out) == (0, True), told.err
    with zipfile.ZipFile("person.zip") as archive:
        assert set(archive.namelist()) == {"events.jsonl", "events.csv", "about-you.json", "index.html", "manifest.json"}
    assert list(Path("data").glob("*/exports/*")) == []
    assert run("privacy", "export", "--anonymous-id", "a-1", "-o", "person.zip").code == 1, "an existing file is not overwritten"


def test_an_export_over_several_sites_waits_for_the_command_line(run) -> None:
    fill({"userId": "42"})
    fill({"userId": "42"}, key=KEY._replace(site="blog"))
    asked = run("privacy", "request", "access", "--user-id", "42", "--json").json
    assert asked["sites"] == ["default", "blog"]
    assert "consentry privacy requests" in run("privacy", "request", "portability", "--user-id", "42").out
    Path("there.zip").write_bytes(b"another's")
    assert run("privacy", "requests", asked["id"], "-o", "there.zip").code == 1
    told = run("privacy", "requests", asked["id"], "-o", "person.zip", "--json")
    assert (told.code, told.json["events"], told.json["file"]) == (0, 2, "person.zip"), told.err
    with zipfile.ZipFile("person.zip") as archive:
        assert archive.read("events.jsonl").count(b"\n") == 2
    again = run("privacy", "requests", asked["id"], "-o", "again.zip")
    assert (again.code, "was fetched before" in again.err, Path("again.zip").exists()) == (1, True, False)
    assert run("privacy", "requests", "-o", "again.zip").code == 1
    assert Path("there.zip").read_bytes() == b"another's"


def test_an_export_that_cannot_be_written_to_its_end_leaves_no_part_of_it_and_waits(run, monkeypatch: pytest.MonkeyPatch) -> None:
    fill({"userId": "42"})

    def fails(_desk: Desk, _request: str, sink: IO[bytes]) -> None:
        sink.write(b"a part")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(Desk, "write_export", fails)
        assert run("privacy", "export", "--user-id", "42", "-o", "person.zip").code == 1
    assert not Path("person.zip").exists()
    waits = run("privacy", "requests", "--type", "access", "--json").json[0]["id"]
    assert run("privacy", "requests", waits, "-o", "person.zip").code == 0


def test_who_may_change_their_mind_yet_is_told_when_it_begins(run) -> None:
    fill({"userId": "42"})
    with Path("consentry.toml").open("r+") as file:
        text = file.read().replace("# grace_s = 0.0", "grace_s = 3600")
        file.seek(0)
        file.write(text)
    told = run("privacy", "erase", "--user-id", "42", "--json")
    assert (told.code, told.json["status"], told.json["begins_at"][:10] >= told.json["received_at"][:10]) == (1, "pending", True)
    told = run("privacy", "export", "--user-id", "42", "-o", "person.zip")
    request = run("privacy", "requests", "--type", "access", "--json").json[0]
    assert (told.code, told.out) == (1, "")
    assert f"begins at {request['begins_at'][:16]}" in told.err
    assert f"consentry privacy requests {request['id']} -o person.zip" in told.err
    told = run("privacy", "request", "restriction", "--user-id", "42")
    assert (told.code, "begins at" in told.out) == (0, True)
    assert "begins_at" not in run("privacy", "requests", request["id"], "--cancel").json


def test_a_region_that_is_not_here_is_complained_of(run) -> None:
    fill({"userId": "42"})
    assert run("privacy", "erase", "--user-id", "42").err == ""
    Path("data/us").rename("data/uk")
    assert "us/region.db is gone" in run("privacy", "erase", "--user-id", "42").err
    assert run("repair", "us", "--yes").code == 0
    told = run("privacy", "erase", "--user-id", "42", "--json")
    assert (told.code, told.json["regions_not_covered"], "region us, uk" in told.err) == (0, ["us", "uk"], True), told.err


def test_requests_are_listed_shown_and_cannot_be_cancelled_when_done(run) -> None:
    fill({"userId": "42"})
    assert "no requests" in run("privacy", "requests").out
    request = run("privacy", "request", "restriction", "--user-id", "42", "--json").json
    assert request["status"] == "completed"
    listed = run("privacy", "requests", "--type", "restriction", "--json").json
    assert [each["id"] for each in listed] == [request["id"]]
    assert run("privacy", "requests", request["id"]).json["type"] == "restriction"
    assert "being carried out" in run("privacy", "requests", request["id"], "--cancel").err
    assert run("privacy", "requests", "unknown-id").code == 1


def test_many_people_are_erased_in_one_go_from_a_file(run) -> None:
    fill(*({"userId": str(number)} for number in range(1000, 1030)))
    Path("ids.txt").write_text("\n".join(str(number) for number in range(1000, 1020)), encoding="utf-8-sig")
    told = run("privacy", "erase", "--file", "ids.txt", "--json")
    assert {each["status"] for each in told.json} == {"completed"}
    assert [sum(each["erasure"]["stores"]["events"]["before"] for each in one["certificates"]) for one in told.json] == [1] * 20


def test_a_person_may_be_named_by_a_hash(run) -> None:
    fill({"userId": "42", "type": "identify", "traits": {"email": "ann@example.com"}})
    hashed = hashlib.sha256(b"ann@example.com").hexdigest()
    told = run("privacy", "export", "--email", hashed, "--hashed", "-o", "person.zip", "--json")
    assert (told.code, told.json["events"]) == (0, 1)
    assert run("privacy", "export", "--email", "ann@example.com", "--hashed", "-o", "other.zip").code == 1


def test_a_held_person_is_not_erased_until_the_hold_is_lifted(run) -> None:
    fill({"userId": "42"})
    assert run("privacy", "hold", "--user-id", "42", "--reason", "case 7").code == 0
    told = run("privacy", "erase", "--user-id", "42")
    assert (told.code, "on hold" in told.out, "because: case 7" in told.out) == (1, True, True)
    nonce = told.out.split()[-1]
    assert [(each["reason"], each["identities"]) for each in run("privacy", "holds", "--json").json][:1] == [("case 7", 1)]
    assert run("privacy", "hold", "--user-id", "42", "--reason", "case 7", "--lift").code == 0
    lines = [line.split()[3:-2] for line in run("privacy", "uses").out.splitlines() if "case" in line]
    assert lines[0] == ["legal", "hold", "lifted:", "case", "7"]
    assert lines[-1] == ["legal", "hold:", "case", "7"], "the people of a hold are told by no entry, which is not nobody"
    assert run("privacy", "erase", "--user-id", "42").code == 0
    assert {each["status"] for each in run("privacy", "requests", "--json").json} == {"completed"}
    Path("proof.json").write_text(json.dumps(run("privacy", "requests", "--json").json[-1]))
    assert run("privacy", "verify", "proof.json", "--nonce", nonce, "--user-id", "42").code == 0


def test_who_was_erased_is_let_in_again(run) -> None:
    fill({"userId": "42"})
    assert run("privacy", "erase", "--user-id", "42").code == 0
    told = run("privacy", "readmit", "--user-id", "42", "--email", "ann@example.com", "--reason", "new account")
    assert (told.code, told.out) == (0, "Let in again: 1 of 2 identities.\n")
    assert "readmitted: new account" in run("privacy", "uses").out
    again = run("privacy", "readmit", "--user-id", "42", "--reason", "new account")
    assert (again.code, again.err) == (1, "No erasure that is done keeps them out.\n")


@pytest.mark.parametrize(
    "arguments", [("erase",), ("export", "-o", "x.zip"), ("requests", "--cancel"), ("verify", "consentry.toml")]
)
def test_wrong_use_is_a_line_and_an_exit_code(run, arguments: tuple[str, ...]) -> None:
    fill({"userId": "42"})
    told = run("privacy", *arguments)
    assert told.code == 1
    assert told.err.count("\n") == 1
