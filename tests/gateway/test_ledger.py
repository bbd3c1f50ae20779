"""The ledger over HTTP and on the command line: anyone can check it, and what the operator did is in it."""

import asyncio
import base64
import json
from pathlib import Path

import pytest

from consentryd.gateway.cli.app import main
from consentryd.storage.database import open_database
from consentryd.storage.merkle import verify_consistency, verify_inclusion
from consentryd.storage.note import Verifier, open_checkpoint
from tests.house import open_house

GRANT = {"action": "grant", "purposes": ["analytics"]}


def decoded(steps):
    return [base64.b64decode(step) for step in steps]


def kinds(house, region="eu"):
    return [kind for (kind,) in house.house.stores[region].reader.execute("SELECT kind FROM ledger ORDER BY entry")]


async def checkpoint_of(house, keys):
    async with house.request("GET", "/v1/ledger/eu/checkpoint") as response:
        assert (response.status, response.content_type) == (200, "text/plain")
        return open_checkpoint(await response.text(), keys)


async def test_checkpoints_and_proofs_fit_each_other_and_need_no_key(tmp_path):
    async with open_house(tmp_path) as house:
        _, found = await house.ask("GET", "/.well-known/consentry/keys.json", key=None)
        keys = [Verifier.parse(key["vkey"]) for key in found["keys"]]
        heads = []
        for number in range(5):
            await house.choose(anonymousId=f"a-{number}", **GRANT)
            heads.append(await checkpoint_of(house, keys))
        last = heads[-1]
        for head in heads:
            _, proof = await house.ask("GET", f"/v1/ledger/eu/consistency?first={head.size}", key=None)
            assert verify_consistency(head.size, head.root, last.size, last.root, decoded(proof["consistency"]))
            _, proof = await house.ask("GET", f"/v1/ledger/eu/inclusion?entry={head.size - 1}&size={last.size}", key=None)
            leaf = base64.b64decode(proof["leaf"])
            assert verify_inclusion(leaf, head.size - 1, last.size, decoded(proof["inclusion"]), last.root)


async def test_entries_need_a_secret_key(tmp_path):
    async with open_house(tmp_path) as house:
        receipt = (await house.choose(anonymousId="a-1", **GRANT))["receipt"]
        status, answer = await house.ask("GET", "/v1/ledger/eu/entries/0", key="read")
        assert (status, answer["body"]) == (200, receipt["ledger"]["body"])
        assert [(await house.ask("GET", "/v1/ledger/eu/entries/0", key=key))[0] for key in ("write", "server", None)] == [
            403,
            403,
            401,
        ]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/ledger/eu/inclusion", 400),
        ("/v1/ledger/eu/inclusion?entry=1", 400),
        ("/v1/ledger/eu/inclusion?entry=0&size=9", 400),
        ("/v1/ledger/eu/inclusion?entry=-1", 400),
        ("/v1/ledger/eu/inclusion?entry=%C2%B2", 400),
        ("/v1/ledger/eu/consistency?first=0", 400),
        ("/v1/ledger/eu/consistency?first=1&second=2", 400),
        ("/v1/ledger/us/checkpoint", 404),
        ("/v1/ledger/eu/entries/1", 404),
        ("/v1/ledger/eu/entries/x", 400),
        ("/v1/ledger/eu/entries/99999999999999999999", 400),
    ],
)
async def test_what_is_not_there_cannot_be_proven(tmp_path, path, status):
    async with open_house(tmp_path) as house:
        await house.choose(anonymousId="a-1", **GRANT)
        assert (await house.ask("GET", path, key="read"))[0] == status


async def test_a_refused_region_is_one_line_without_a_person(tmp_path):
    regions = {"eu": {"countries": ["*"]}, "us": {"countries": ["US"]}}
    async with open_house(tmp_path, regions=regions) as both:
        assert await both.track(anonymousId="a-1", consent={"analytics": True}) == "stored"
    async with open_house(tmp_path, regions=regions, served=["eu"]) as house:
        batch = {"batch": [{"type": "track", "event": "x", "anonymousId": "a-very-own"}] * 3, "region": "us"}
        assert (await house.post("/v1/batch", batch))[0] == 421
        assert (await house.post("/v1/consent", {"anonymousId": "a-very-own", "region": "us", **GRANT}))[0] == 421
        assert kinds(house) == ["region_refused"] * 2
        _, answer = await house.ask("GET", "/v1/ledger/eu/entries/0", key="read")
        assert {**answer["body"], "at": ""} == {"at": "", "kind": "region_refused", "region": "us", "site": "shop"}


async def test_a_region_that_there_is_not_is_refused_and_never_guessed(tmp_path):
    async with open_house(tmp_path, regions={"eu": {"countries": ["*"]}, "us": {"countries": ["US"]}}) as house:
        event = {"event": "x", "anonymousId": "a-1", "context": {"consent": {"purposes": {"analytics": True}}}}
        for declared in ("usa", ["us"], "jo@example.org"):
            status, answer = await house.post("/v1/track", {**event, "region": declared})
            assert (status, answer["error"]["code"], answer["error"]["regions"]) == (421, "unknown_region", ["eu", "us"])
        assert (await house.post("/v1/track", event, headers={"X-Consentry-Region": "usa"}))[0] == 421
        assert (await house.post("/v1/consent", {"anonymousId": "a-1", "region": "usa", **GRANT}))[0] == 421
        assert kinds(house) == ["region_refused"] * 5
        _, answer = await house.ask("GET", "/v1/ledger/eu/entries/2", key="read")
        assert answer["body"]["region"] == "(unknown)"
        assert (await house.post("/v1/track", {**event, "region": "US"}))[0] == 200


async def test_policy_and_keys_are_noted_when_they_change_and_only_then(tmp_path):
    for notices in (["v1"], ["v1"], ["v2"]):
        async with open_house(tmp_path, consent={"notices": notices}) as house:
            for _worker in range(2):
                await house.house.registrar.note_policy(house.house.policy, house.services.settings)
                await house.house.registrar.note_signing_keys()
    async with open_house(tmp_path, consent={"notices": ["v2"]}) as house:
        house.house.stores["eu"].signing.rotate()
        await house.house.registrar.note_signing_keys()
        assert kinds(house) == ["policy_changed", "signing_key_rotated", "policy_changed", "signing_key_rotated"]


@pytest.fixture
def installation(tmp_path, capsys):
    """Where a gateway has kept three choices: `consentry ARGUMENTS` gives exit code, output and errors of a command there."""
    assert main(["init", str(tmp_path), "--json"]) == 0
    asyncio.run(fill(tmp_path))
    return Installation(tmp_path, capsys)


async def fill(root):
    async with open_house(root / "data", regions={"eu": {"countries": ["*"]}, "us": {"countries": ["US"]}}) as house:
        answers = [await house.choose(anonymousId=f"a-{number}", **GRANT) for number in range(3)]
        _, keys = await house.ask("GET", "/.well-known/consentry/keys.json", key=None)
    (root / "receipt.json").write_text(json.dumps(answers[1]))
    (root / "keys.json").write_text(json.dumps(keys))


class Installation:
    def __init__(self, root, capsys):
        self.root = root
        self.capsys = capsys
        self.receipt, self.keys = str(root / "receipt.json"), str(root / "keys.json")

    def consentry(self, *arguments):
        self.capsys.readouterr()
        code = main([*arguments, "--config", str(self.root / "consentry.toml")])
        return code, *self.capsys.readouterr()


def test_the_commands_check_what_the_gateway_wrote(installation):
    code, out, _ = installation.consentry("ledger", "verify")
    assert (code, "eu: 3 entries, 1 checkpoint, nothing was changed" in out) == (0, True)
    code, out, _ = installation.consentry("consent", "verify", installation.receipt, "--anonymous-id", "a-1")
    assert (code, "Genuine: record consentry/eu/" in out) == (0, True)
    assert installation.consentry("consent", "verify", installation.receipt, "--keys", installation.keys)[0] == 0
    code, _, error = installation.consentry("consent", "verify", installation.receipt, "--anonymous-id", "a-2")
    assert (code, "somebody else's" in error) == (1, True)


def test_files_that_an_editor_began_with_a_byte_order_mark_are_read(installation):
    for file in (Path(installation.receipt), Path(installation.keys)):
        file.write_text(file.read_text(), encoding="utf-8-sig")
    assert installation.consentry("consent", "verify", installation.receipt, "--keys", installation.keys)[0] == 0


def test_rotation_retires_a_key_and_keeps_its_receipts(installation):
    rotated = json.loads(installation.consentry("keys", "rotate-signing", "--region", "eu", "--json")[1])
    assert rotated[0]["old"] != rotated[0]["new"]
    assert installation.consentry("consent", "verify", installation.receipt)[0] == 0
    found = json.loads(installation.consentry("ledger", "verify", "--json")[1])
    assert [(each["region"], each["entries"], each["problem"]) for each in found] == [("eu", 4, None), ("us", 0, None)]


def test_a_flipped_byte_is_named_by_the_command(installation):
    connection = open_database(installation.root / "data" / "eu" / "region.db", "region")
    connection.execute("UPDATE ledger SET body = replace(body, 'granted', 'gRanted') WHERE entry = 1")
    connection.close()
    code, _, error = installation.consentry("ledger", "verify")
    assert (code, "eu: entry 1 is bad: its text is not what its leaf hash says" in error) == (1, True)


def test_the_command_line_s_proofs_fit(installation):
    keys = [Verifier.parse(key["vkey"]) for key in json.loads(Path(installation.keys).read_text())["keys"]]
    head = open_checkpoint(installation.consentry("ledger", "checkpoint", "--region", "eu")[1], keys)
    proof = json.loads(installation.consentry("ledger", "inclusion", "2", "--region", "eu", "--json")[1])
    assert verify_inclusion(base64.b64decode(proof["leaf"]), 2, head.size, decoded(proof["inclusion"]), head.root)
    proof = json.loads(installation.consentry("ledger", "consistency", "3", "--region", "eu", "--json")[1])
    assert verify_consistency(3, head.root, head.size, head.root, decoded(proof["consistency"]))
    assert installation.consentry("ledger", "inclusion", "3", "--region", "eu")[0] == 1
