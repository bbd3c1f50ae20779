"""Client libraries that no one here wrote, as published, pointed at a real gateway by their public options."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from bench.gateway import Gateway
from bench.stored import snapshots

CLIENTS = Path(__file__).resolve().parent.parent / "clients"
PYTHON = (sys.executable, str(CLIENTS / "python_client.py"))
COMMANDS = {
    "segment-analytics-python": (*PYTHON, "segment"),
    "rudder-sdk-python": (*PYTHON, "rudder"),
    "@segment/analytics-node": ("node", str(CLIENTS / "segment.mjs")),
    "@rudderstack/rudder-sdk-node": ("node", str(CLIENTS / "rudder.mjs")),
}
CALLS = {
    ("identify", "identify"),
    ("track", "Order Completed"),
    ("page", "page_viewed"),
    ("screen", "screen_viewed"),
    ("group", "group"),
    ("alias", "alias"),
}
ALIAS = ("alias", "alias")


class Client:
    """A client in a process of its own, told when to send."""

    def __init__(self, name: str, gateway: Gateway) -> None:
        command = [*COMMANDS[name], f"http://127.0.0.1:{gateway.port}", gateway.keys["server"], name]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def send(self, number: int) -> None:
        """One event of each call; returns when the library has taken them."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == f"sent {number}\n"

    def finish(self) -> None:
        _, errors = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, errors

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def available(name: str) -> bool:
    return not name.startswith("@") or (shutil.which("node") is not None and (CLIENTS / "node_modules").is_dir())


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """What is stored after all clients sent 1, the gateway stopped, they sent 2, it came back, they sent 3, it was killed, they sent 4."""
    gateway = Gateway(tmp_path_factory.mktemp("clients") / "gateway")
    gateway.start()
    clients = [Client(name, gateway) for name in COMMANDS if available(name)]
    try:
        send_all(clients, 1)
        assert gateway.stop() == 0
        send_all(clients, 2)
        gateway.start()
        send_all(clients, 3)
        gateway.kill()
        send_all(clients, 4)
        gateway.start()
        for client in clients:
            client.finish()
        return [row for snapshot in snapshots(gateway.data) for row in snapshot.query("SELECT * FROM events").to_pylist()]
    finally:
        for client in clients:
            client.kill()
        gateway.kill()


def send_all(clients: list[Client], number: int) -> None:
    for client in clients:
        client.send(number)


@pytest.fixture(params=COMMANDS)
def sent(request: pytest.FixtureRequest, rows: list[dict]) -> list[dict]:
    """The rows of one client's person: those of the subject that its identify calls, which name the client, belong to."""
    if not available(request.param):
        reason = "the Node clients are not installed: `npm install --no-save` in tests/clients, or `make test`, does it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    subjects = {row["subject"] for row in rows if row["type"] == "identify" and request.param in row["properties"]}
    assert len(subjects) == 1
    return [row for row in rows if row["subject"] in subjects]


def test_every_call_is_stored_once_for_one_subject_although_the_gateway_was_stopped_and_killed_meanwhile(
    sent: list[dict],
) -> None:
    numbered = Counter((row["type"], row["event"], json.loads(row["properties"] or "{}").get("n")) for row in sent)
    numbers = range(1, 5)
    expected = Counter({(kind, event, number): 1 for kind, event in CALLS - {ALIAS} for number in numbers})
    assert numbered == expected + Counter({(*ALIAS, None): len(numbers)})
    assert {row["lane"] for row in sent} == {"consented"}


def test_an_order_keeps_its_money_and_its_browser(sent: list[dict]) -> None:
    order = next(row for row in sent if row["type"] == "track")
    assert (str(order["revenue"]), order["currency"], order["browser"]) == ("19.9900", "EUR", "Firefox")


def test_no_identifier_or_address_that_a_client_sent_is_stored(rows: list[dict]) -> None:
    assert rows
    assert "canary" not in repr(rows)
    assert "203.0.113" not in repr(rows)
