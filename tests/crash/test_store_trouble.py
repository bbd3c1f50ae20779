"""A store that cannot be written: 503 with Retry-After, nothing half-kept, and recovery without a restart."""

from __future__ import annotations

import http.client
import json
import os
import re
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from itertools import count
from pathlib import Path

import pytest

from bench.gateway import Gateway
from tests.crash.sender import CONTEXT, stored

MIB = 1 << 20
#: Looked at ten times a second; far above what recovery takes.
PATIENCE = 300
_numbers = count()


def batch(events: int = 3, padding: int = 0) -> list[dict]:
    """Events that were never sent before; `padding` bytes each that do not compress."""
    return [
        {
            "type": "track", "event": "troubled", "messageId": f"trouble-{number}", "userId": f"user-{number}",
            "properties": {"filler": os.urandom(padding // 2).hex()}, "context": CONTEXT,
        }
        for number in (next(_numbers) for _ in range(events))
    ]  # fmt: skip


def post(gateway: Gateway, events: list[dict]) -> tuple[int, str | None, dict]:
    """Status, Retry-After and answer, with every event's result."""
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=60)
    headers = {"Authorization": f"Bearer {gateway.keys['server']}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/batch?verbose=1", json.dumps({"batch": events}), headers)
    response = connection.getresponse()
    answer = json.loads(response.read())
    connection.close()
    return response.status, response.getheader("Retry-After"), answer


@contextmanager
def full(gateway: Gateway) -> Iterator[None]:
    """Not a byte is left on the disk."""
    filler = gateway.directory / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 4096) == 4096:
                pass
        except OSError:
            pass
    yield
    filler.unlink()


@contextmanager
def nearly_full(gateway: Gateway) -> Iterator[None]:
    """A little is left, but less than `storage.min_free_bytes`."""
    filler = gateway.directory / "filler"
    free = os.statvfs(gateway.directory).f_bavail * os.statvfs(gateway.directory).f_bsize
    filler.write_bytes(b"\0" * (free - 4 * MIB))
    yield
    filler.unlink()


@contextmanager
def read_only(gateway: Gateway) -> Iterator[None]:
    """The files of each region's database refuse every write, as after a remount of a failing disk.

    All but the `-shm`, which is mapped memory: the kernel would answer a write to it with SIGBUS.
    """
    files = [str(path) for path in gateway.data.glob("*/region.db*") if not path.name.endswith("-shm")]
    if subprocess.run(["chattr", "+i", *files], check=False, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("making files immutable needs root and a file system that knows it")
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", *files], check=True)


@contextmanager
def locked(gateway: Gateway) -> Iterator[None]:
    """Somebody else holds the write lock of each region's database."""
    with ExitStack() as stack:
        for path in gateway.data.glob("*/region.db"):
            other = sqlite3.connect(path, isolation_level=None, timeout=30)
            stack.callback(other.close)
            other.execute("BEGIN EXCLUSIVE")
        yield


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MiB."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", mounted], check=False, stderr=subprocess.DEVNULL
    ).returncode:
        pytest.skip("mounting a small file system needs root")
    yield mounted
    subprocess.run(["umount", "--lazy", mounted], check=True)


@pytest.fixture
def small(disk: Path) -> Iterator[Callable[[int], Gateway]]:
    """Starts a gateway on the small disk, with that many bytes for `storage.min_free_bytes`."""
    made: list[Gateway] = []

    def start(min_free: int) -> Gateway:
        gateway = Gateway(disk / "gateway", environ={"CONSENTRY_STORAGE_MIN_FREE_BYTES": str(min_free)})
        gateway.log = disk.with_name("gateway.log")
        made.append(gateway)
        gateway.start()
        return gateway

    yield start
    for gateway in made:
        gateway.kill()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(tmp_path_factory.mktemp("trouble") / "gateway")
    made.start()
    yield made
    made.kill()


def check_recovery(gateway: Gateway, trouble: AbstractContextManager[None], *, padding: int = 0) -> None:
    """Send before, through and after the trouble, which readiness sees too; what was refused is then taken as new, once."""
    assert gateway.process is not None
    before = batch()
    assert post(gateway, before)[0] == 200
    kept = [event["messageId"] for event in before]
    with trouble:
        refused = send_until_refused(gateway, kept, padding)
        assert gateway.status("/readyz") == 503
        assert gateway.status("/livez") == 200
    wait_until_ready(gateway)
    status, _, answer = post(gateway, refused)
    assert status == 200
    assert {result["outcome"] for result in answer["results"]} == {"stored"}, "something of the refused batch was kept"
    kept += [event["messageId"] for event in refused]
    assert gateway.process.poll() is None
    found = stored(gateway)
    assert {event: found[event] for event in kept} == dict.fromkeys(kept, 1)


def send_until_refused(gateway: Gateway, kept: list[str], padding: int) -> list[dict]:
    """The batch that was refused; ids of those before it are added to `kept`.

    A full disk may have room inside the files, and free space is remembered for a second.
    """
    for _ in range(30):
        events = batch(3, padding)
        status, retry_after, answer = post(gateway, events)
        if status != 200:
            assert (status, answer["error"]["code"]) == (503, "store_unavailable")
            assert int(retry_after or 0) >= 1
            return events
        kept += [event["messageId"] for event in events]
        time.sleep(0.1)
    raise AssertionError("the store in trouble took everything")


def wait_until_ready(gateway: Gateway) -> None:
    for _ in range(PATIENCE):
        if gateway.status("/readyz") == 200:
            return
        time.sleep(0.1)
    raise AssertionError("the gateway did not recover")


def causes_in(log: Path) -> set[str]:
    """What stood in the way by the log, which is written within a tenth of a second."""
    for _ in range(PATIENCE):
        if causes := set(re.findall(r'"cause":"(\w+)"', log.read_text())):
            return causes
        time.sleep(0.1)
    raise AssertionError(f"no cause in {log.read_text()[-4000:]}")


def test_a_full_disk_refuses_and_recovers_and_a_kill_on_it_loses_nothing(small: Callable[[int], Gateway]) -> None:
    gateway = small(0)
    check_recovery(gateway, full(gateway), padding=20_000)
    # a connection that cannot map a page of a full disk calls that an I/O error
    assert causes_in(gateway.log) & {"disk_full", "io"}
    before = stored(gateway)
    with full(gateway):
        send_until_refused(gateway, kept := [], 20_000)
        gateway.kill()
    gateway.start()
    assert stored(gateway) == before + Counter(kept)


def test_a_nearly_full_disk_refuses_before_anything_fails_and_recovers(small: Callable[[int], Gateway]) -> None:
    gateway = small(16 * MIB)
    check_recovery(gateway, nearly_full(gateway))


def test_a_store_that_became_read_only_refuses_and_recovers(gateway: Gateway) -> None:
    check_recovery(gateway, read_only(gateway))


def test_a_locked_database_refuses_and_recovers(gateway: Gateway) -> None:
    check_recovery(gateway, locked(gateway))
