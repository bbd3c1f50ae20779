"""The lines of curl in the documentation do what they say on a gateway that was just set up."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.gateway import Gateway

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: A command begins its line and ends where its last quote does.
CURL = re.compile(r"^ *(curl (?:'[^']*'|\"[^\"]*\"|[^'\"\n])*)", re.MULTILINE)

COMMANDS = [
    pytest.param(command, id=f"{page.stem} {n}") for page in PAGES for n, command in enumerate(CURL.findall(page.read_text()))
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    made = Gateway(tmp_path_factory.mktemp("pasted") / "gateway")
    made.start()
    yield made
    made.kill()


def test_there_are_some() -> None:
    assert len(COMMANDS) > 8


@pytest.mark.parametrize("command", COMMANDS)
def test_a_line_of_curl_works_as_pasted(gateway: Gateway, command: str) -> None:
    keys = {f"{name.upper()}_KEY": secret for name, secret in gateway.keys.items()}
    pasted = command.replace("http://127.0.0.1:8088", f"http://127.0.0.1:{gateway.port}")
    assert pasted != command
    ran = subprocess.run(
        ["sh", "-c", f"{pasted} --silent --show-error --fail-with-body"],
        env={**os.environ, **keys},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    assert "error" not in json.loads(ran.stdout)
