"""What the operator's guide says works as it is written there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature

from consentryd.gateway.cli import main
from consentryd.gateway.ledger import described
from tests.rights.estate import Estate

GUIDE = (Path(__file__).parents[2] / "docs" / "requests.md").read_text(encoding="utf-8")


def program(first: str) -> str:
    """The indented block of the guide that begins with this line."""
    block = GUIDE[GUIDE.index(f"    {first}") :].split("\n\n")
    taken = []
    for part in block:
        if not part.startswith("    "):
            break
        taken.append(part)
    return "\n".join(line.removeprefix("    ") for line in "\n".join(taken).splitlines())


def written(name: str, content: object) -> None:
    Path(name).write_text(json.dumps(content))


async def test_the_program_that_verifies_a_certificate_accepts_it_and_notices_a_change(
    estate: Estate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await estate.send(estate.event("ann"))
    certificate = estate.finish(estate.ask("erasure", user_id="ann")["id"])["certificates"][0]
    keys = [described("eu", key) for key in estate.offices["eu"].signing.public()]
    monkeypatch.chdir(tmp_path)
    written("keys.json", {"keys": keys})
    written("certificate.json", certificate)
    source = program("import base64, hashlib, json, rfc8785")
    assert len(source.splitlines()) < 15
    exec(source, {})
    certificate["erasure"]["subjects"] = 5
    written("certificate.json", certificate)
    with pytest.raises(InvalidSignature):
        exec(source, {})


@pytest.mark.parametrize("command", sorted(set(re.findall(r"consentry ((?:privacy )?[a-z-]+)", GUIDE))))
def test_every_command_of_the_guide_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*command.split(), "--help"]) == 0
