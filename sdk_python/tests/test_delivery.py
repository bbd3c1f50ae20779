"""Batches, retries, losses, and the ends of a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from uuid import UUID

import consentry
import pytest
from consentry import Consentry, ConsentryError, delivery
from consentry.testing import MemoryTransport
from consentry.transport import Answer

SOURCE = str(Path(consentry.__file__).parent.parent)


def numbers(transport):
    return [event["properties"]["n"] for event in transport.events]


def test_a_batch_goes_when_it_is_full(make, transport, until):
    client = make(batch_events=10, batch_age=3600)
    for n in range(25):
        client.track("seen", {"n": n}, user_id="u")
    until(lambda: len(transport.events) == 20)
    assert transport.requests == 2
    client.flush()
    assert numbers(transport) == list(range(25))


def test_a_batch_goes_when_it_is_big(make, transport, until):
    client = make(batch_bytes=10_000, batch_age=3600)
    for n in range(25):
        client.track("seen", {"n": n, "text": "x" * 1000}, user_id="u")
    until(lambda: len(transport.events) >= 9)
    assert transport.requests >= 1


def test_a_batch_goes_when_it_is_old(make, transport, until):
    client = make(batch_age=0.05)
    client.track("seen", user_id="u")
    until(lambda: transport.events)


def test_large_batches_are_gzipped_and_small_ones_are_not(make, transport):
    client = make(batch_age=3600)
    client.track("seen", user_id="u")
    client.flush()
    for _ in range(100):
        client.track("seen", user_id="u")
    client.flush()
    assert [headers.get("Content-Encoding") for headers in transport.headers] == [None, "gzip"]
    assert transport.headers[0]["Authorization"] == "Bearer csy_server_test"
    assert transport.headers[0]["User-Agent"].startswith("consentry-python/")


@pytest.mark.parametrize("trouble", ["down", 301, 308, 401, 403, 404, 405, 408, 429, 500, 503])
def test_events_wait_while_the_gateway_cannot_take_them(client, transport, until, trouble):
    if trouble == "down":
        transport.down = True
    else:
        transport.status = trouble
    for n in range(5):
        client.track("seen", {"n": n}, user_id="u")
    until(lambda: transport.requests >= 3)
    assert client.stats.waiting == 5
    transport.down, transport.status = False, 200
    assert client.flush()
    assert numbers(transport) == list(range(5))
    assert client.stats == (5, 5, 0, 0, 0)


@pytest.mark.parametrize("status", [400, 413, 421, 422])
def test_a_refused_batch_is_lost_told_and_reported_with_the_next(make, transport, status):
    failures = []
    client = make(on_failure=failures.append)
    transport.status = status
    client.track("seen", {"n": 1}, user_id="u")
    client.flush()
    assert [(failure.reason, failure.status, failure.event["properties"]) for failure in failures] == [
        ("refused", status, {"n": 1})
    ]
    transport.status = 200
    client.track("seen", {"n": 2}, user_id="u")
    client.flush()
    client.track("seen", {"n": 3}, user_id="u")
    client.flush()
    assert transport.dropped == 1
    assert client.stats == (3, 2, 0, 1, 0)


def test_a_batch_that_is_too_large_is_halved(make):
    class Narrow(MemoryTransport):
        def send(self, path, body, headers, *, keep=True):
            return super().send(path, body, headers, keep=keep) if self.most(body, headers) <= 3 else Answer(413)

        def most(self, body, headers):
            probe = MemoryTransport()
            probe.send("/v1/batch", body, headers)
            return len(probe.events)

    transport = Narrow()
    client = make(transport=transport, batch_age=3600)
    for n in range(10):
        client.track("seen", {"n": n}, user_id="u")
    assert client.flush()
    assert sorted(numbers(transport)) == list(range(10))
    assert client.stats.lost == 0


def test_the_gateways_retry_after_is_obeyed(make, transport, until):
    client = make()
    transport.status, transport.retry_after = 429, 3600.0
    client.track("seen", user_id="u")
    until(lambda: transport.requests == 1)
    assert client.flush(0.2) is False
    client.close(0.1)
    assert transport.requests == 1
    assert client.stats.lost == 1


def test_of_an_absurd_retry_after_an_hour_counts_at_most(make, transport, until, monkeypatch):
    assert delivery._HOLD_S == 3600
    monkeypatch.setattr(delivery, "_HOLD_S", 0.05)
    client = make()
    transport.status, transport.retry_after = 503, float("inf")
    client.track("seen", user_id="u")
    until(lambda: transport.requests == 1)
    transport.status = 200
    assert client.flush()


def test_each_event_has_the_fate_that_the_answer_gives_it(make, transport, until):
    failures = []
    client = make(on_failure=failures.append, batch_age=3600)
    retries = iter([("retry", "unavailable")] * 3)
    fates = {
        0: lambda: ("stored", None),
        1: lambda: ("anonymous", None),
        2: lambda: ("dropped", "no_consent"),
        3: lambda: ("rejected", "invalid_time"),
        4: lambda: next(retries, ("stored", None)),
    }
    asked = []
    transport.fate = lambda event: asked.append(event["properties"]["n"]) or fates[asked[-1]]()
    for n in range(5):
        client.track("seen", {"n": n}, user_id="u")
    assert client.flush()
    assert numbers(transport) == [0, 1, 4]
    assert asked == [0, 1, 2, 3, 4, 4, 4, 4]
    assert [(failure.reason, failure.event["properties"]["n"]) for failure in failures] == [("invalid_time", 3)]
    assert client.stats == (5, 3, 1, 1, 0)
    assert transport.dropped == 0


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>please log in</html>",
        b"",
        b"{}",
        b"null",
        b"[]",
        b'{"results": {}}',
        b'{"results": ""}',
        b'{"results": []}',
        b'{"accepted": 2, "results": {}, "success": tr',
        b'{"accepted": null, "results": []}',
        b'{"accepted": "2", "results": []}',
        b'{"accepted": 1, "results": []}',
        b'{"accepted": 3, "results": []}',
        b'{"accepted": 2, "results": [{"id": "x", "outcome": "rejected"}]}',
        b'{"accepted": 1, "results": [{"id": ["x"], "outcome": "rejected"}]}',
        b'{"accepted": 1, "results": [{"id": "x", "outcome": ["rejected"]}]}',
        b'{"accepted": 1, "results": ["rejected"]}',
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("status", [200, 204])
def test_an_answer_that_is_not_the_gateways_counts_for_nothing(make, transport, caplog, answer, status):
    caplog.set_level("INFO", "consentry")
    send, portal = transport.send, [Answer(status, answer)] * 3

    def pass_by(*args, **named):
        return portal.pop() if portal else send(*args, **named)

    transport.send = pass_by
    client = make(batch_age=3600)
    client.track("seen", {"n": 0, "value": object()}, user_id="u")
    for n in range(2):
        client.track("seen", {"n": n}, user_id="u")
    assert client.flush()
    assert numbers(transport) == [0, 1]
    assert client.stats == (2, 2, 0, 1, 0)
    assert transport.dropped == 1, "what was told to nobody is told again"
    told = [record.getMessage() for record in caplog.records]
    assert told[1:] == ["events cannot be sent at the moment (unreadable answer)", "events are sent again"]


def test_a_transport_that_breaks_in_a_way_nobody_foresaw_is_tried_again(make, caplog):
    class Broken(MemoryTransport):
        def send(self, path, body, headers, *, keep=True):
            if self.requests < 2:
                self.requests += 1
                raise RuntimeError("unforeseen")
            return super().send(path, body, headers, keep=keep)

    transport = Broken()
    client = make(transport=transport)
    client.track("seen", {"n": 1}, user_id="u")
    assert client.flush()
    assert numbers(transport) == [1]
    assert "sending failed" in caplog.text


def test_what_does_not_fit_is_refused_counted_and_reported(make, transport):
    failures = []
    client = make(queue_events=3, on_failure=failures.append)
    transport.down = True
    answers = [client.track("seen", {"n": n}, user_id="u") for n in range(5)]
    assert answers == [True, True, True, False, False]
    assert [failure.reason for failure in failures] == ["queue_full"] * 2
    transport.down = False
    client.flush()
    client.track("seen", {"n": 9}, user_id="u")
    client.flush()
    assert numbers(transport) == [0, 1, 2, 9]
    assert transport.dropped == 2


def test_the_queue_is_bounded_in_bytes_too(make, transport):
    client = make(queue_bytes=5000)
    transport.down = True
    answers = [client.track("seen", {"text": "x" * 1000}, user_id="u") for _ in range(10)]
    assert answers == [True] * 4 + [False] * 6


def test_closing_sends_what_waits_and_refuses_what_comes(make, transport):
    failures = []
    client = make(batch_age=3600, on_failure=failures.append)
    client.track("seen", {"n": 1}, user_id="u")
    client.close()
    assert numbers(transport) == [1]
    assert client.track("seen", {"n": 2}, user_id="u") is False
    assert [failure.reason for failure in failures] == ["closed"]
    client.close()


def test_what_cannot_be_sent_until_the_close_is_told(make, transport):
    failures = []
    transport.down = True
    with make(batch_age=3600, close_timeout=0.1, on_failure=failures.append) as client:
        for n in range(3):
            client.track("seen", {"n": n}, user_id="u")
    assert [(failure.reason, failure.event["properties"]["n"]) for failure in failures] == [("closed", n) for n in range(3)]
    assert transport.requests >= 1


def test_a_callback_that_fails_breaks_nothing(make, transport, caplog):
    def explode(_failure):
        raise RuntimeError("mine")

    client = make(on_failure=explode)
    transport.fate = lambda event: ("rejected", "invalid_id") if event["properties"]["n"] == 0 else ("stored", None)
    for n in range(3):
        client.track("seen", {"n": n}, user_id="u")
    assert client.flush()
    assert numbers(transport) == [1, 2]
    assert "on_failure failed" in caplog.text


def test_a_callback_whose_own_event_is_lost_is_not_called_for_that(make, transport, caplog):
    transport.down = True
    told = []

    def on_failure(failure):
        told.append(failure.event["event"])
        assert not client.track("event_lost", user_id="u")

    client = make(queue_events=1, on_failure=on_failure)
    for event in ("kept", "first", "second"):
        client.track(event, user_id="u")
    assert told == ["first", "second"]
    assert client.stats.lost == 4
    assert "on_failure failed" not in caplog.text


def test_many_threads_lose_and_double_nothing(make, transport):
    client = make(batch_events=50)

    def work(start):
        for n in range(start, start + 500):
            client.track("seen", {"n": n}, user_id="u")

    threads = [threading.Thread(target=work, args=(500 * number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.flush()
    assert sorted(numbers(transport)) == list(range(4000))


def test_a_choice_is_recorded_at_once_or_the_caller_learns_it(client, transport):
    answer = client.set_consent({"analytics": True, "marketing": False}, user_id="u", notice="2026-11")
    assert answer["in_force"] == {"analytics": "granted", "marketing": "refused"}
    assert transport.choices == [{"purposes": {"analytics": True, "marketing": False}, "userId": "u", "notice": "2026-11"}]
    transport.status = 422
    with pytest.raises(ConsentryError) as refused:
        client.set_consent({"analytics": True}, user_id="u")
    assert (refused.value.status, refused.value.code) == (422, "refused")
    transport.down = True
    with pytest.raises(ConsentryError, match="reached"):
        client.set_consent({"analytics": True}, user_id="u")


@pytest.mark.parametrize(
    "answer", [b"{}", b"[]", b"<html>", b'{"error": "bad gateway"}', b'{"receipt": null}', b'{"error": null}']
)
@pytest.mark.parametrize("status", [200, 204, 502])
def test_a_choice_that_something_else_has_answered_is_not_recorded(client, transport, answer, status):
    transport.send = lambda *_args, **_named: Answer(status, answer)
    with pytest.raises(ConsentryError) as refused:
        client.set_consent({"analytics": True}, user_id="u")
    assert (refused.value.status, refused.value.code) == (status, None)


def test_whose_choice_it_is_is_named_as_in_events(client, transport):
    ids = {"user_id": UUID(int=5), "anonymous_id": 42}
    client.set_consent({"analytics": True}, **ids)
    client.track("seen", **ids)
    client.flush()
    for said in (transport.choices[0], transport.events[0]):
        assert (said["userId"], said["anonymousId"]) == ("00000000-0000-0000-0000-000000000005", "42")


def test_neither_logs_nor_errors_tell_events_or_ids(make, transport, caplog, until):
    client = make()
    transport.status = 401
    client.track("canary", {"text": "canary"}, user_id="canary")
    until(lambda: transport.requests >= 2)
    transport.status = 400
    client.flush()
    assert "refuses the key" in caplog.text
    assert "the gateway refuses events (400), which are lost" in caplog.text
    assert "at the moment" not in caplog.text
    assert "canary" not in caplog.text
    assert "csy_server_test" not in caplog.text


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_after_a_fork_parent_and_child_send_their_own_events_once(tmp_path):
    program = """
import json, os, sys
from consentry import Consentry
from consentry.testing import MemoryTransport

transport = MemoryTransport()
client = Consentry("key", transport=transport, batch_age=3600)
client.track("before", user_id="u")
child = os.fork()
client.track("child" if child == 0 else "parent", user_id="u")
client.close()
with open(sys.argv[1] + ("/child" if child == 0 else "/parent"), "w") as out:
    json.dump([(event["event"], event["messageId"]) for event in transport.events], out)
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, tmp_path], check=True, env={**os.environ, "PYTHONPATH": SOURCE}
    )
    parent, child = (json.loads((tmp_path / name).read_text()) for name in ("parent", "child"))
    assert [event for event, _ in parent] == ["before", "parent"]
    assert [event for event, _ in child] == ["child"]
    assert len({message for _, message in parent + child}) == 3


@pytest.mark.parametrize(
    "ending", ["pass", "import threading; threading.Thread(target=client.track, args=('late',)).start()", "sys.exit(3)"]
)
def test_what_waits_at_the_end_of_a_program_is_sent(tmp_path, ending):
    program = f"""
import sys
from consentry import Consentry
from consentry.testing import MemoryTransport

class Told(MemoryTransport):
    def close(self):
        with open(sys.argv[1], "w") as out:
            out.write(" ".join(event["event"] for event in self.events))

def main():
    client = Consentry("key", transport=Told(), batch_age=3600)
    client.track("last", user_id="u")
    {ending}

main()
"""
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "out"], check=False, env={**os.environ, "PYTHONPATH": SOURCE}, timeout=60
    )
    assert done.returncode == (3 if "exit" in ending else 0)
    assert (tmp_path / "out").read_text().startswith("last")


def test_events_older_than_the_gateways_memory_are_given_up(make, transport, monkeypatch):
    failures = []
    client = make(on_failure=failures.append)
    transport.down = True
    client.track("seen", {"n": 1}, user_id="u")
    now = client._delivery._clock
    client._delivery._clock = lambda: now() + 8 * 86_400
    transport.down = False
    client.flush()
    assert [failure.reason for failure in failures] == ["expired"]
    assert transport.events == []


def test_a_client_needs_no_gateway_to_be_made_and_thrown_away():
    Consentry("key", "http://127.0.0.1:9").close()


@pytest.mark.parametrize("source", ["signal", "finaliser"])
def test_a_call_that_interrupts_another_in_the_same_thread_waits_for_nobody(make, transport, source):
    client = make(batch_age=3600)
    put = client._delivery._store.put

    def interrupted(record):
        if b'"outer"' in record.raw:
            if source == "signal":
                signal.raise_signal(signal.SIGUSR1)
            else:
                Finalised(client)
        return put(record)

    before = signal.signal(signal.SIGUSR1, lambda *_: (client.track("inner", user_id="u"), client.flush(), client.stats))
    client._delivery._store.put = interrupted
    try:
        assert client.track("outer", user_id="u")
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert client.flush()
    assert [event["event"] for event in transport.events] == ["outer", "inner"]
    assert client.stats == (2, 2, 0, 0, 0)


class Finalised:
    """As asyncio's tasks report an exception that nobody has seen, wherever the collector finds them."""

    def __init__(self, client):
        self.client = client

    def __del__(self):
        self.client.track("inner", user_id="u")


def test_an_error_nobody_expected_is_logged_once_by_its_place_and_not_by_its_text(make, transport, caplog):
    def send(_path, _body, headers, **_named):
        transport.requests += 1
        raise ValueError(headers["Authorization"])

    client = make(transport=(broken := MemoryTransport()))
    transport, broken.send = broken, send
    client.track("seen", user_id="u")
    assert not client.flush(0.3)
    assert transport.requests > 1
    assert len([record for record in caplog.records if "sending failed" in record.getMessage()]) == 1
    assert "csy_server_test" not in caplog.text


def test_the_first_loss_of_a_kind_is_logged(client, caplog):
    for _ in range(3):
        client.track("seen", {"value": object()}, user_id="u")
    assert [record.getMessage().partition(";")[0] for record in caplog.records] == ["an event is lost (not_json)"]
