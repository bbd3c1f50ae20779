"""Against the real gateway in processes of its own: what `track` accepted is stored once, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import consentry
import pytest
from consentry import Consentry, ConsentryError, event_id

from bench.gateway import Gateway
from bench.stored import count, snapshots
from consentryd.gateway.stages import shape

SOURCE = str(Path(consentry.__file__).parent.parent)
GRANT = {"analytics": True}

#: Tracks events from `start` up to each number that it reads, saying after each hundred how far it is; sends the rest at the end.
PROGRAM = """
import sys
from consentry import Consentry

url, key, spool, start = *sys.argv[1:4], int(sys.argv[4])
client = Consentry(key, url, spool=spool, consent={"analytics": True}, batch_age=0.1, retry_longest=1.0, timeout=5)
for line in sys.stdin:
    for n in range(start, int(line)):
        assert client.track("counted", {"n": n}, user_id=f"user-{n % 97}", message_id=f"m-{n}")
        if n % 100 == 99:
            print(n + 1, flush=True)
    start = int(line)
assert client.flush(200), client.stats
client.close()
"""


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    gateway = Gateway(tmp_path_factory.mktemp("sdk") / "gateway")
    gateway.start()
    yield gateway
    gateway.kill()


def url_of(gateway):
    return f"http://127.0.0.1:{gateway.port}"


def rows(gateway, event):
    query = f"SELECT * FROM events WHERE event = '{event}'"
    return [row for snapshot in snapshots(gateway.data) for row in snapshot.query(query).to_pylist()]


def test_every_call_is_stored_with_consent_and_refused_without(gateway):
    failures = []
    with Consentry(gateway.keys["server"], url_of(gateway), on_failure=failures.append) as client:
        given = {"user_id": "ann", "consent": GRANT}
        assert client.track("bought", {"revenue": 19.9, "currency": "EUR", "note": "ann@example.com"}, **given)
        assert client.identify("ann", {"plan": "pro"}, consent=GRANT)
        assert client.page("Home", **given)
        assert client.screen("Cart", **given)
        assert client.group("g", {"seats": 3}, **given)
        assert client.alias("ann", "anonymous-1", consent=GRANT)
        assert client.track("bought", user_id="bob")
        assert client.track("bought", user_id="bob", consent={"analytics": False})
        assert client.track("bought", user_id="null", consent=GRANT)
        assert client.flush(30)
        assert client.stats.delivered == 6
        assert client.stats.declined == 2
    assert [failure.reason for failure in failures] == ["invalid_id"]
    (bought,) = rows(gateway, "bought")
    assert (str(bought["revenue"]), bought["currency"], bought["lane"]) == ("19.9000", "EUR", "consented")
    assert "ann@" not in repr(bought)


def test_a_choice_comes_back_with_a_receipt_and_holds(gateway):
    with Consentry(gateway.keys["server"], url_of(gateway)) as client:
        told = client.set_consent(GRANT, user_id="carla", notice="2026-11")
        assert told["in_force"] == {"analytics": "granted"}
        assert told["receipt"]
        client.set_consent({"analytics": False}, user_id="carla")
        client.track("seen_after", user_id="carla", consent=GRANT)
        assert client.flush(30)
        assert client.stats.declined == 1
    assert [row["lane"] for row in rows(gateway, "seen_after")] in ([], ["anonymous"])
    with Consentry("csy_server_nobody", url_of(gateway)) as client:
        with pytest.raises(ConsentryError) as refused:
            client.set_consent(GRANT, user_id="carla")
        assert (refused.value.status, refused.value.code) == (401, "unknown_key")
        client.close(0)


def test_events_wait_for_a_gateway_that_is_stopped(gateway):
    with Consentry(gateway.keys["server"], url_of(gateway), consent=GRANT, batch_age=0.05, retry_longest=0.5) as client:
        client.track("around_stop", {"n": 0}, user_id="dora")
        assert client.flush(30)
        assert gateway.stop() == 0
        for n in range(1, 20):
            client.track("around_stop", {"n": n}, user_id="dora")
        assert client.flush(0.3) is False
        gateway.start()
        assert client.flush(60)
    assert len(rows(gateway, "around_stop")) == 20


class Sender:
    """A client in a process of its own; `accepted` follows what it printed."""

    def __init__(self, gateway, spool, start):
        arguments = [url_of(gateway), gateway.keys["server"], str(spool), str(start)]
        self.child = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": SOURCE},
        )
        self.accepted = start
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.child.stdout:
            self.accepted = int(line)

    def track(self, end, wait_for):
        """Lets it track up to `end`; returns when it has `wait_for`."""
        self.child.stdin.write(f"{end}\n")
        self.child.stdin.flush()
        deadline = time.monotonic() + 300
        while self.accepted < wait_for:
            assert self.child.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def kill(self):
        self.child.send_signal(signal.SIGKILL)
        self.end(-signal.SIGKILL)

    def end(self, code=0):
        self.child.stdin.close()
        assert self.child.wait(300) == code
        self._reader.join()
        self.child.stdout.close()


def play(directory, events):
    """Kills or stops the gateway three times and the client once while it tracks `events` events; then counts."""
    gateway = Gateway(directory / "gateway")
    gateway.start()
    spool = directory / "spool"
    part = events // 600 * 100  # what is printed
    try:
        first = Sender(gateway, spool, 0)
        first.track(2 * part, wait_for=part)
        gateway.kill()
        first.track(3 * part, wait_for=3 * part)
        gateway.start()
        first.track(4 * part, wait_for=3 * part + 100)
        first.kill()
        second = Sender(gateway, spool, first.accepted)
        second.track(5 * part, wait_for=5 * part - 100)
        assert gateway.stop() == 0
        second.track(events - 200, wait_for=events - 300)
        gateway.start()
        second.track(events, wait_for=events - 100)
        gateway.kill()
        gateway.start()
        second.end()
        found = count(gateway.data)
        assert (found.events, found.ids) == (events, events)
        assert [path for path in spool.rglob("*") if path.is_file()] == []
    finally:
        gateway.kill()


@pytest.mark.timeout(300)
def test_three_thousand_events_are_stored_once_through_three_restarts_and_a_killed_client(tmp_path):
    play(tmp_path, 3_000)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_events_are_stored_once_through_three_restarts_and_a_killed_client(tmp_path):
    play(tmp_path, 100_000)


@pytest.mark.parametrize(
    "text",
    [
        "m-1",
        "none-1",
        "\ud83d\ude00",
        "0a",
        "00-00",
        "a{{b}}",
        "{b}c",
        "<%= id %>",
        "\u3000",
        "\u2800",
        "%d1",
        "<nil>",
        "\xabnull\xbb",
        "$x",
    ],
)
def test_an_id_counts_as_none_where_the_gateway_counts_it_as_none(text):
    assert event_id.PLACEHOLDERS == shape.PLACEHOLDER_IDS
    assert event_id.is_placeholder(event_id.as_read(text)) is (shape.check_label(event_id.as_read(text), 200) is None)
