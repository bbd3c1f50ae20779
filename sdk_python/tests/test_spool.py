"""The spool directory: what was accepted outlives the gateway, the process and torn files."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import consentry
import pytest
from consentry.lane import Lane, line_of, record_of
from consentry.spool import SpoolStore
from consentry.store import MemoryStore, Record

SOURCE = str(Path(consentry.__file__).parent.parent)


def numbers(transport):
    return [event["properties"]["n"] for event in transport.events]


def files(spool):
    return sorted(path.name for path in spool.rglob("*") if path.is_file())


@pytest.mark.parametrize("fsync", ["never", "interval", "always"])
def test_events_go_through_the_spool_and_leave_nothing(make, transport, tmp_path, fsync):
    client = make(spool=tmp_path / "spool", fsync=fsync)
    for n in range(100):
        assert client.track("seen", {"n": n}, user_id="u")
    assert client.flush()
    assert numbers(transport) == list(range(100))
    client.close()
    assert files(tmp_path / "spool") == []


def test_what_waits_when_the_client_closes_is_sent_by_the_next(make, transport, tmp_path):
    transport.down = True
    failures = []
    with make(spool=tmp_path, on_failure=failures.append, close_timeout=0.1) as first:
        for n in range(50):
            first.track("seen", {"n": n}, user_id="u")
    assert first.stats.lost == 0
    assert failures == []
    transport.down = False
    second = make(spool=tmp_path)
    second.track("seen", {"n": 50}, user_id="u")
    assert second.flush()
    assert sorted(numbers(transport)) == list(range(51))


def test_what_a_process_left_is_adopted_without_a_new_event(make, transport, tmp_path, until):
    transport.down = True
    make(spool=tmp_path, close_timeout=0.0).track("seen", {"n": 1}, user_id="u")
    first = make(spool=tmp_path, close_timeout=0.0)
    first.track("seen", {"n": 2}, user_id="u")
    first.close()
    transport.down = False
    make(spool=tmp_path)
    until(lambda: sorted(numbers(transport))[-1:] == [2])


def test_a_spool_in_use_is_left_to_its_owner(make, transport, tmp_path):
    owner = make(spool=tmp_path, batch_age=3600)
    owner.track("seen", {"n": 1}, user_id="u")
    other = make(spool=tmp_path)
    other.track("seen", {"n": 2}, user_id="u")
    assert other.flush()
    assert numbers(transport) == [2]
    assert owner.flush()
    assert sorted(numbers(transport)) == [1, 2]


def test_what_is_stored_makes_room_on_the_disk(make, transport, tmp_path):
    client = make(spool=tmp_path)
    for n in range(400):
        client.track("seen", {"n": n, "text": "x" * 10_000}, user_id="u")
    assert client.flush()
    assert len(transport.events) == 400
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.events")) < 300_000


def test_an_accepted_event_survives_kill_9(make, transport, tmp_path):
    program = """
import sys
from consentry import Consentry
client = Consentry("key", "http://127.0.0.1:9", spool=sys.argv[1], fsync="never")
for n in range(200):
    assert client.track("seen", {"n": n}, user_id="u")
print("accepted", flush=True)
import time; time.sleep(60)
"""
    command = [sys.executable, "-c", program, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": SOURCE}) as child:
        assert child.stdout.readline() == b"accepted\n"
        child.send_signal(signal.SIGKILL)
    client = make(spool=tmp_path)
    assert client.flush()
    assert sorted(numbers(transport)) == list(range(200))
    client.close()
    assert files(tmp_path) == []


def test_a_forked_child_has_a_lane_of_its_own(tmp_path):
    program = """
import json, os, sys
from consentry import Consentry
from consentry.testing import MemoryTransport

transport = MemoryTransport()
client = Consentry("key", transport=transport, batch_age=3600, spool=sys.argv[1] + "/spool")
client.track("before", user_id="u")
child = os.fork()
client.track("child" if child == 0 else "parent", user_id="u")
client.close()
with open(sys.argv[1] + ("/child" if child == 0 else "/parent"), "w") as out:
    json.dump([event["event"] for event in transport.events], out)
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
"""
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, tmp_path], check=True, env={**os.environ, "PYTHONPATH": SOURCE}
    )
    assert json.loads((tmp_path / "parent").read_text()) == ["before", "parent"]
    assert json.loads((tmp_path / "child").read_text()) == ["child"]
    assert files(tmp_path / "spool") == []


def test_a_full_spool_refuses_and_takes_again_when_it_is_empty(make, transport, tmp_path):
    client = make(spool=tmp_path, spool_bytes=3000)
    transport.down = True
    answers = [client.track("seen", {"n": n, "text": "x" * 500}, user_id="u") for n in range(8)]
    assert answers[0]
    assert not answers[-1]
    transport.down = False
    assert client.flush()
    assert client.track("seen", {"n": 9}, user_id="u")
    assert client.flush()
    assert numbers(transport) == [n for n, accepted in enumerate(answers) if accepted] + [9]


def test_a_spool_that_cannot_be_written_refuses_and_tells(make, tmp_path, monkeypatch):
    failures = []
    client = make(spool=tmp_path, on_failure=failures.append)

    def full(_descriptor, _line):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("consentry.lane.os.write", full)
    assert client.track("seen", user_id="u") is False
    assert [failure.reason for failure in failures] == ["spool_error"]
    monkeypatch.undo()
    assert client.track("seen", user_id="u") is True


def test_a_track_that_cannot_be_forced_to_the_disk_is_refused_where_that_was_asked_for(make, transport, tmp_path, monkeypatch):
    client = make(spool=tmp_path, fsync="always", batch_age=3600)

    def broken(_descriptor):
        raise OSError(5, "Input/output error")

    assert client.track("seen", {"n": 0}, user_id="u")
    monkeypatch.setattr("consentry.lane.os.fsync", broken)
    assert not client.track("seen", {"n": 1}, user_id="u")
    monkeypatch.undo()
    assert client.track("seen", {"n": 2}, user_id="u")
    assert client.flush()
    assert numbers(transport) == [0, 2]
    assert client.stats == (2, 2, 0, 1, 0)


@contextmanager
def no_more_files():
    """As in a server that has run out of them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_time_without_files_costs_no_event_and_ends_no_sending(make, transport, tmp_path, until):
    transport.down = True
    client = make(spool=tmp_path, batch_events=5)
    for n in range(20):
        assert client.track("seen", {"n": n}, user_id="u")
    until(lambda: transport.requests > 1)
    with no_more_files():
        transport.fate = lambda event: ("retry", "unavailable") if event["properties"]["n"] % 2 else ("stored", None)
        transport.down = False
        until(lambda: len(transport.events) == 3)
        time.sleep(1.5)  # looking after the spool comes round every second
    transport.fate = lambda _event: ("stored", None)
    assert client.flush()
    assert sorted(numbers(transport)) == list(range(20))
    assert client.stats == (20, 20, 0, 0, 0)


def test_a_lane_that_cannot_be_counted_is_left_to_whoever_can(make, transport, tmp_path, monkeypatch):
    line = line_of(Record(int(time.time()), b'{"messageId":"m","properties":{"n":1}}'))
    lane_with(tmp_path / "0123456789abcdef", [line])
    store = SpoolStore(tmp_path, 1_000_000, on_torn=lambda _lines: None)

    def unread(_lane):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Lane, "count", unread)
    store.look_after()
    monkeypatch.undo()
    client = make(spool=tmp_path)
    assert client.flush()
    assert numbers(transport) == [1]


def lane_with(folder, lines):
    lane = Lane.make(folder)
    for line in lines:
        lane.append(line)
    lane.close()


def test_what_was_sent_counts_as_sent_although_the_full_disk_cannot_note_it(make, transport, tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("consentry.lane.os.pwrite", full)
    client = make(spool=tmp_path)
    for n in range(3):
        client.track("seen", {"n": n}, user_id="u")
        assert client.flush(5)
    assert numbers(transport) == [0, 1, 2]
    client.close()
    assert client.stats.lost == 0


def test_a_lane_that_cannot_be_made_leaves_nothing_behind(tmp_path, monkeypatch):
    descriptors, opened = len(list(Path("/proc/self/fd").iterdir())), os.open

    def out_of_files(path, *arguments, **options):
        if str(path).endswith("done"):
            raise OSError(28, "No space left on device")
        return opened(path, *arguments, **options)

    monkeypatch.setattr("consentry.lane.os.open", out_of_files)
    with pytest.raises(OSError, match="No space"):
        Lane.make(tmp_path / ("0" * 16))
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == descriptors


def test_a_torn_or_changed_line_is_left_out_and_counted(make, transport, tmp_path, until):
    good = [
        line_of(Record(4_000_000_000, b'{"messageId":"m%d","type":"track","properties":{"n":%d}}' % (n, n))) for n in range(3)
    ]
    bad = good[1].replace(b'"track"', b'"TRACK"')
    lane_with(tmp_path / ("ab" * 8), [good[0], bad, b"nonsense\n", b"\n", good[2], good[1][:30]])
    client = make(spool=tmp_path)
    until(lambda: len(transport.events) == 2)
    assert numbers(transport) == [0, 2]
    until(lambda: client.stats.waiting == 0)
    assert client.stats.lost == 4
    client.close()
    assert files(tmp_path) == []


def test_other_folders_in_the_directory_are_left_alone(make, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / ("cd" * 8)).mkdir()
    make(spool=tmp_path)
    assert files(tmp_path) == []


def test_lines_are_read_as_they_were_written():
    record = Record(5, b'{"messageId":"m"}')
    assert record_of(line_of(record)) == record
    for cut in range(len(line_of(record)) - 1):
        assert record_of(line_of(record)[:cut]) is None


def store_of(kind, tmp_path):
    if kind == "memory":
        return MemoryStore(10_000, 10**9)
    return SpoolStore(tmp_path, 10**9, "never", on_torn=lambda _lines: pytest.fail("torn"))


@pytest.mark.parametrize("kind", ["memory", "spool"])
@pytest.mark.parametrize("size", [10, 3000])
def test_every_store_gives_out_what_it_was_given_in_order_until_it_is_settled(kind, size, tmp_path):
    store = store_of(kind, tmp_path)
    records = [Record(n, b'{"n":%d,"text":"%s"}' % (n, b"x" * size)) for n in range(1500)]
    for record in records[:1000]:
        assert store.put(record)
    assert store.waiting == 1000
    batch = store.take(400, 10**9)
    assert batch == records[:400]
    assert store.waiting == 600
    store.settle(batch)
    assert store.waiting == 1000
    assert store.take(10, 10**9)[:10] == records[:10]
    store.settle(records[7:9])
    assert store.waiting == 992 if kind == "memory" else store.waiting >= 602
    for record in records[1000:]:
        assert store.put(record)
    seen = []
    while store.waiting:
        out = store.take(100, 50_000)
        seen += out
        store.settle([])
    assert [record for record in seen if record in records[7:9]] == records[7:9]
    assert seen[-1] == records[-1]
    assert (store.waiting, store.waiting_bytes) == (0, 0)
    assert store.take(10, 10) == []
    store.close()


def left_behind(directory, events=20):
    """The lane of a process that is gone."""
    lane = Lane.make(directory / "0123456789abcdef")
    for n in range(events):
        lane.append(line_of(Record(int(time.time()), b'{"messageId":"m-%d","properties":{"n":%d}}' % (n, n))))
    lane.close()
    return directory / "0123456789abcdef"


@pytest.mark.parametrize("done", [b"00000001 \0\0\0\0", b"x y", b"1 2 3"])
def test_a_spoilt_mark_of_what_is_done_costs_no_event_and_no_start(make, transport, tmp_path, done):
    (left_behind(tmp_path) / "done").write_bytes(done)
    assert make(spool=tmp_path).flush()
    assert numbers(transport) == list(range(20))


def test_other_files_in_a_lane_are_none_of_our_business(make, transport, tmp_path):
    (left_behind(tmp_path) / "00000001 (copy).events").write_bytes(b"x")
    assert make(spool=tmp_path).flush()
    assert numbers(transport) == list(range(20))


def test_returns_in_spoilt_lines_hide_no_whole_one(make, transport, tmp_path):
    segment = left_behind(tmp_path) / "00000001.events"
    first, second, *rest = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(first.replace(b" ", b"\r") + second.replace(b"e", b"\r") + b"".join(rest))
    client = make(spool=tmp_path, batch_events=7)
    assert client.flush()
    assert numbers(transport) == list(range(2, 20))
    assert (client.stats.lost, client.stats.waiting) == (2, 0)


def test_a_spool_that_somebody_deletes_is_begun_anew_and_its_events_are_counted(make, transport, tmp_path, until):
    client = make(spool=tmp_path / "spool", batch_age=3600)
    for n in range(5):
        client.track("seen", {"n": n}, user_id="u")
    shutil.rmtree(tmp_path / "spool")
    client.flush()
    assert (client.stats.lost, client.stats.waiting) == (5, 0)
    assert client.track("seen", {"n": 5}, user_id="u")
    assert client.flush()
    assert numbers(transport) == [5]
