"""Two worker processes, senders on many connections, a withdrawal in the middle: nothing of the purpose is stored after its answer."""

import asyncio
import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

import consentryd
from consentryd.gateway.cli.app import main
from consentryd.model.event import POSITION
from consentryd.storage import block
from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.ledger import Ledger, verify_ledger
from consentryd.storage.reader import Reader
from consentryd.storage.signing import path_of, public_keys

SENDERS = 6
AFTER = 3
GRANTED = {"consent": {"purposes": {"analytics": True}}}


class Serving:
    """`consentry serve` with two workers over `root`."""

    def __init__(self, root):
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(consentryd.__file__).parent.parent),
            "CONSENTRY_SERVER_WORKERS": "2",
            "CONSENTRY_LIMITS_REQUESTS_PER_SECOND_PER_NETWORK": "1e9",
            "CONSENTRY_LIMITS_REQUESTS_PER_SECOND_PER_KEY": "1e9",
            "CONSENTRY_STORAGE_MIN_FREE_BYTES": "0",
            "CONSENTRY_STORAGE_SEAL_INTERVAL_S": "1e6",
            "CONSENTRY_CONSENT_PURPOSES_FILE": str(root / "purposes.toml"),
        }
        self.log = (root / "log").open("ab")
        self.child = subprocess.Popen(
            [sys.executable, "-m", "consentryd", "serve", "--port", "0", "--config", str(root / "consentry.toml")],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
            start_new_session=True,
        )
        for line in self.child.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                self.url = found[0]
            if line.startswith("Health, numbers:"):
                return
        raise AssertionError("the gateway did not start")

    def stop(self, number):
        """SIGTERM, or SIGKILL to all of its processes at once."""
        with contextlib.suppress(ProcessLookupError):
            if number == signal.SIGKILL:
                os.killpg(self.child.pid, number)
            else:
                self.child.send_signal(number)
        self.child.wait(30)
        self.child.stdout.close()
        self.log.close()


@pytest.fixture
def installation(tmp_path, capsys):
    assert main(["init", str(tmp_path), "--json"]) == 0
    # what is kept can be looked at afterwards
    (tmp_path / "purposes.toml").write_text('version = 1\n[purpose.analytics]\ntext = "Counting"\non_withdrawal = "keep"\n')
    return tmp_path, json.loads(capsys.readouterr().out)["write_key"]


class Client:
    """A sender with a connection of its own."""

    def __init__(self, url, key):
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1), headers={"X-Write-Key": key})
        self.url = url

    async def post(self, path, body):
        async with self.session.post(self.url + path, json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def send(self, person, event):
        answer = await self.post("/v1/track?verbose=1", {"event": event, "anonymousId": person, "context": GRANTED})
        (result,) = answer["results"]
        return result["reason"] or result["outcome"]


async def race(url, key, seed, clients):
    """One round: outcomes of events whose sending began before and after the withdrawal was answered."""
    chance, person = random.Random(seed), f"person-{seed}"
    before, after = [], []
    answered = asyncio.Event()

    async def sender(client):
        left = AFTER
        await asyncio.sleep(chance.random() * 0.003)
        while left:
            into = after if answered.is_set() else before
            left -= answered.is_set()
            into.append(await client.send(person, chance.choice(["bought", "page_viewed"])))

    async def withdraw(client):
        await asyncio.sleep(chance.random() * 0.03)
        action = chance.choice(["withdraw", "deny"])
        answer = await client.post("/v1/consent", {"anonymousId": person, "action": action, "purposes": ["analytics"]})
        answered.set()
        assert answer["in_force"] == {"analytics": "refused"}

    await asyncio.gather(withdraw(clients[0]), *map(sender, clients[1:]))
    return before, after


async def rounds(url, key, seeds):
    """Each with connections of its own: which worker has one is the system's choice, and both are to have some."""
    stored = 0
    for seed in seeds:
        clients = [Client(url, key) for _ in range(SENDERS + 1)]
        before, after = await race(url, key, seed, clients)
        assert set(before) <= {"stored", "withdrawn", "anonymous"}, seed
        assert len(after) == SENDERS * AFTER
        assert set(after) <= {"withdrawn", "anonymous"}, seed
        stored += before.count("stored")
        for client in clients:
            await client.session.close()
    return stored, await workers_of(url)


async def workers_of(url):
    """The workers that took events."""
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            async with session.get(f"{url}/metrics") as response:
                page = await response.text()
            found = set(re.findall(r'consentry_events_total\{outcome="stored",reason="",worker="(\d)"\} [1-9]', page))
            if len(found) == 2:
                break
            await asyncio.sleep(0.1)
    return found


async def again(url, key, seeds):
    """What the same people's events meet later."""
    client = Client(url, key)
    found = {await client.send(f"person-{seed}", event) for seed in seeds for event in ("bought", "page_viewed")}
    await client.session.close()
    return found


def consented(root):
    """Stored events of persons: when each was committed, and when its person refused."""
    connection = open_database(root / "data" / "eu" / "region.db", "region", readonly=True)
    refused_at = dict(connection.execute("SELECT subject, decided_at FROM choice"))
    blocks = [(at, block.decode(body)) for at, body in connection.execute("SELECT committed_at, body FROM log")]
    connection.close()
    subjects = [(at, subject) for at, columns in blocks for subject in columns[POSITION["subject"]] if subject is not None]
    return [(at, refused_at[subject]) for at, subject in subjects]


def visible(root):
    """Consented events that queries see."""
    reader = Reader(root / "data" / "eu", DeltaLake(root / "data" / "eu"))
    with reader.snapshot() as snapshot:
        found = snapshot.query("SELECT count(*) AS found FROM events WHERE lane = 'consented'")["found"][0].as_py()
    reader.close()
    return found


def play(installation, seeds, stops):
    root, key = installation
    serving = Serving(root)
    try:
        stored, workers = asyncio.run(rounds(serving.url, key, seeds))
        assert stored > 0
        assert workers == {"0", "1"}
        for number in stops:
            serving.stop(number)
            serving = Serving(root)
            assert asyncio.run(again(serving.url, key, seeds)) == {"withdrawn", "anonymous"}
    finally:
        serving.stop(signal.SIGTERM)
    rows = consented(root)
    assert len(rows) == stored
    assert [row for row in rows if row[0] > row[1]] == []
    assert visible(root) == 0
    connection = open_database(root / "data" / "eu" / "region.db", "region", readonly=True)
    keys = [key.verifier for key in public_keys(path_of(root / "data", "eu"))]
    assert verify_ledger(Ledger(connection), keys) is None
    connection.close()


def test_nothing_is_stored_after_a_withdrawal_was_answered_by_either_worker_or_after_a_restart(installation):
    play(installation, range(6), [signal.SIGKILL])


@pytest.mark.slow
def test_nothing_is_stored_after_a_withdrawal_was_answered_in_two_hundred_rounds(installation):
    play(installation, range(1000, 1200), [signal.SIGKILL, signal.SIGTERM])
