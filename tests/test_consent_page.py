"""The page about receipts is right: its program checks a receipt with nothing of ours, and refuses a changed one."""

import json
import re
import subprocess
import sys
from pathlib import Path

from consentryd.storage.ledger import EntryKind
from tests.house import open_house

PAGE = (Path(__file__).parent.parent / "docs" / "consent-ledger.md").read_text(encoding="utf-8")


async def test_the_program_on_the_page_verifies_a_receipt_and_nothing_else(tmp_path):
    (program,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    async with open_house(tmp_path / "data") as house:
        for number in range(6):
            answer = await house.choose(anonymousId=f"a-{number}", purposes={"analytics": True, "marketing": False})
        _, keys = await house.ask("GET", "/.well-known/consentry/keys.json", key=None)
    receipt = answer["receipt"]

    def run(told, person):
        (tmp_path / "receipt.json").write_text(json.dumps(told))
        (tmp_path / "keys.json").write_text(json.dumps(keys))
        command = [sys.executable, "-W", "ignore", "-c", program, "receipt.json", "keys.json", person]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run(receipt, "a-5")
    assert "{'analytics': 'granted', 'marketing': 'denied'}" in done.stdout, done.stderr
    assert run(receipt, "a-4").returncode == 1
    receipt["ledger"]["body"]["choices"]["marketing"] = "granted"
    assert "InvalidSignature" in run(receipt, "a-5").stderr


def test_every_kind_of_entry_is_on_the_page():
    assert [kind for kind in EntryKind if f"`{kind}`" not in PAGE] == []
