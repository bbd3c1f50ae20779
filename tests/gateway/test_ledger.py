"""The ledger over HTTP and on the command line: anyone can check it, and what the operator did is in it."""

import base64
import json
import subprocess
import sys

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
def installation(tmp_path):
    assert main(["init", str(tmp_path), "--json"]) == 0
    return tmp_path


async def filled(root):
    async with open_house(root / "data", regions={"eu": {"countries": ["*"]}, "us": {"countries": ["US"]}}) as house:
        answers = [await house.choose(anonymousId=f"a-{number}", **GRANT) for number in range(3)]
        _, keys = await house.ask("GET", "/.well-known/consentry/keys.json", key=None)
    (root / "receipt.json").write_text(json.dumps(answers[1]))
    (root / "keys.json").write_text(json.dumps(keys))


def consentry(root, *arguments):
    return main([*arguments, "--config", str(root / "consentry.toml")])


async def test_the_commands_check_what_the_gateway_wrote(installation, capsys):
    await filled(installation)
    assert consentry(installation, "ledger", "verify") == 0
    assert "eu: 3 entries, 1 checkpoints, nothing was changed" in capsys.readouterr().out
    receipt, keys = str(installation / "receipt.json"), str(installation / "keys.json")
    assert consentry(installation, "consent", "verify", receipt, "--anonymous-id", "a-1") == 0
    assert consentry(installation, "consent", "verify", receipt, "--keys", keys) == 0
    assert "Genuine: record consentry/eu/" in capsys.readouterr().out
    assert consentry(installation, "consent", "verify", receipt, "--anonymous-id", "a-2") == 1
    assert "somebody else's" in capsys.readouterr().err


def cli(root, *arguments):
    """In a process of its own: `rotate-signing` runs a loop."""
    command = [sys.executable, "-m", "consentryd", *arguments, "--config", str(root / "consentry.toml")]
    return subprocess.run(command, capture_output=True, text=True, check=False)


async def test_rotation_retires_a_key_and_keeps_its_receipts(installation):
    await filled(installation)
    rotated = json.loads(cli(installation, "keys", "rotate-signing", "--region", "eu", "--json").stdout)
    assert rotated[0]["old"] != rotated[0]["new"]
    assert cli(installation, "consent", "verify", str(installation / "receipt.json")).returncode == 0
    found = json.loads(cli(installation, "ledger", "verify", "--json").stdout)
    assert [(each["region"], each["entries"], each["problem"]) for each in found] == [("eu", 4, None), ("us", 0, None)]


async def test_a_flipped_byte_is_named_by_the_command(installation):
    await filled(installation)
    connection = open_database(installation / "data" / "eu" / "region.db", "region")
    connection.execute("UPDATE ledger SET body = replace(body, 'granted', 'gRanted') WHERE entry = 1")
    connection.close()
    done = cli(installation, "ledger", "verify")
    assert done.returncode == 1
    assert "eu: entry 1 is bad: its text is not what its leaf hash says" in done.stderr


async def test_the_command_line_s_proofs_fit(installation):
    await filled(installation)
    keys = [Verifier.parse(key["vkey"]) for key in json.loads((installation / "keys.json").read_text())["keys"]]
    head = open_checkpoint(cli(installation, "ledger", "checkpoint", "--region", "eu").stdout, keys)
    proof = json.loads(cli(installation, "ledger", "inclusion", "2", "--region", "eu", "--json").stdout)
    assert verify_inclusion(base64.b64decode(proof["leaf"]), 2, head.size, decoded(proof["inclusion"]), head.root)
    proof = json.loads(cli(installation, "ledger", "consistency", "3", "--region", "eu", "--json").stdout)
    assert verify_consistency(3, head.root, head.size, head.root, decoded(proof["consistency"]))
    assert cli(installation, "ledger", "inclusion", "3", "--region", "eu").returncode == 1
