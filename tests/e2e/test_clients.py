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


class Client:
    """A client in a process of its own, told when to send."""

    def __init__(self, name: str, gateway: Gateway) -> None:
        command = [*COMMANDS[name], f"http://127.0.0.1:{gateway.port}", gateway.keys["server"]]
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
        _, errors = self._process.communicate(timeout=100)
        assert self._process.returncode == 0, errors

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(params=COMMANDS)
def client(request: pytest.FixtureRequest, gateway: Gateway):
    if request.param.startswith("@") and (shutil.which("node") is None or not (CLIENTS / "node_modules").is_dir()):
        reason = "the Node clients are not installed: `npm ci` in tests/clients, or `make test`, does it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    started = Client(request.param, gateway)
    yield started
    started.kill()


def stored(gateway: Gateway) -> list[dict]:
    return [row for snapshot in snapshots(gateway.data) for row in snapshot.query("SELECT * FROM events").to_pylist()]


def numbered(rows: list[dict]) -> Counter:
    """How often each call's event of each number is there; alias calls carry no number."""
    return Counter((row["type"], row["event"], json.loads(row["properties"] or "{}").get("n")) for row in rows)


def expected(*numbers: int) -> Counter:
    counts = Counter((kind, event, number) for kind, event in CALLS - {("alias", "alias")} for number in numbers)
    counts["alias", "alias", None] = len(numbers)
    return counts


def test_each_call_of_each_client_is_stored_once_with_one_subject_and_no_raw_identifier(client: Client, gateway: Gateway) -> None:
    client.send(1)
    client.finish()
    rows = stored(gateway)
    assert numbered(rows) == expected(1)
    assert len({row["subject"] for row in rows}) == 1
    assert {row["lane"] for row in rows} == {"consented"}
    order = next(row for row in rows if row["type"] == "track")
    assert (str(order["revenue"]), order["currency"], order["browser"]) == ("19.9900", "EUR", "Firefox")
    assert "canary" not in repr(rows)
    assert "203.0.113" not in repr(rows)


def test_what_a_client_sends_while_the_gateway_is_away_arrives_once_when_it_is_back(client: Client, gateway: Gateway) -> None:
    client.send(1)
    assert gateway.stop() == 0
    client.send(2)
    gateway.start()
    client.send(3)
    client.finish()
    assert numbered(stored(gateway)) == expected(1, 2, 3)


def test_a_gateway_killed_in_the_middle_stores_what_the_client_repeats_once(client: Client, gateway: Gateway) -> None:
    client.send(1)
    client.send(2)
    gateway.kill()
    gateway.start()
    client.send(3)
    client.finish()
    assert numbered(stored(gateway)) == expected(1, 2, 3)
