from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

ROOT = Path(__file__).parents[2]


class Process:
    def __init__(self, workers: int, *, ready: bool) -> None:
        self.child = subprocess.Popen(
            [sys.executable, "-m", "tests.gateway.serving", str(workers)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.url = self.child.stdout.readline().strip() if ready else ""

    def get(self, path: str) -> bytes:
        with urlopen(self.url + path, timeout=5) as response:
            return response.read()

    def post(self) -> int:
        headers = {"X-Write-Key": "write", "Connection": "close"}
        with urlopen(Request(self.url + "/v1/track", data=b'{"event":"x"}', headers=headers), timeout=5) as response:
            return response.status

    def workers(self) -> set[int]:
        listing = subprocess.run(
            ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(self.child.pid)], capture_output=True, text=True, check=False
        )
        return {int(line.split()[0]) for line in listing.stdout.splitlines() if "spawn_main" in line}

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, float, str]:
        started = time.monotonic()
        self.child.send_signal(number)
        _, log = self.child.communicate(timeout=15)
        return self.child.returncode, time.monotonic() - started, log


@contextmanager
def serving(workers: int, *, ready: bool = True) -> Iterator[Process]:
    process = Process(workers, ready=ready)
    try:
        yield process
    finally:
        if process.child.poll() is None:
            process.child.kill()
        process.child.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_one_worker_with_zero(number: int) -> None:
    with serving(1) as process:
        assert process.post() == 200
        code, took, log = process.stop(number)
        assert (code, took < 10) == (0, True)
        assert [json.loads(line)["event"] for line in log.splitlines()] == ["serving", "request", "stopping"]


async def refuses(port: int) -> bool:
    """Whether the port is closed within ten seconds."""
    for _ in range(200):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except ConnectionError:
            return True
        writer.close()
        await asyncio.sleep(0.05)
    return False


async def ask_and_signal(process: Process, body: bytes, length: int) -> tuple[bytes, bool]:
    """What is answered to a request that was under way at SIGTERM, and whether a connection is refused after it."""
    port = int(process.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/track HTTP/1.1\r\nHost: x\r\nX-Write-Key: write\r\nContent-Length: %d\r\n\r\n" % length + body)
    await writer.drain()
    await asyncio.sleep(0.3)
    process.child.send_signal(signal.SIGTERM)
    refused = await refuses(port)
    said = await reader.read()
    writer.close()
    return said, refused


def test_a_request_in_flight_is_answered_before_the_end() -> None:
    body = b'{"event":"x","properties":{"delay_s":1}}'
    with serving(1) as process:
        said, refused = asyncio.run(ask_and_signal(process, body, len(body)))
        assert refused
        assert said.startswith(b"HTTP/1.1 200")
        assert process.child.wait(10) == 0


async def signal_and_finish(process: Process, body: bytes) -> bytes:
    """What is answered to a request whose body ends after SIGTERM."""
    port = int(process.url.rsplit(":", 1)[1])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /v1/track HTTP/1.1\r\nHost: x\r\nX-Write-Key: write\r\nContent-Length: %d\r\n\r\n" % len(body) + body[:5])
    await asyncio.sleep(0.3)
    process.child.send_signal(signal.SIGTERM)
    await asyncio.sleep(0.2)
    writer.write(body[5:])
    said = await reader.read()
    writer.close()
    return said


def test_a_request_whose_body_is_on_its_way_is_answered_before_the_end() -> None:
    with serving(1) as process:
        said = asyncio.run(signal_and_finish(process, b'{"event":"x"}'))
        assert said.startswith(b"HTTP/1.1 200")
        assert process.child.wait(10) == 0


def test_a_request_that_never_ends_does_not_keep_the_gateway() -> None:
    with serving(1) as process:
        started = time.monotonic()
        asyncio.run(ask_and_signal(process, b"{", 100))
        assert process.child.wait(10) == 0
        assert time.monotonic() - started < 10


def test_ctrl_c_while_workers_start_ends_all_quietly() -> None:
    with serving(2, ready=False) as process:
        assert wait_for(lambda: len(process.workers()) == 2)
        os.killpg(process.child.pid, signal.SIGINT)
        _, log = process.child.communicate(timeout=15)
        assert (process.child.returncode, log) == (0, "")


def test_several_workers_share_a_port_restart_and_stop_together() -> None:
    with serving(2) as process:
        assert len(process.workers()) == 2
        for _ in range(40):
            assert process.post() == 200
        assert counted(process) == ({"0", "1"}, 40.0)
        victim = min(process.workers())
        os.kill(victim, signal.SIGKILL)
        assert wait_for(lambda: len(process.workers() - {victim}) == 2)
        for _ in range(5):
            assert process.post() == 200
        code, took, log = process.stop()
        assert (code, took < 10) == (0, True)
        assert "worker ended" in log


def test_workers_do_not_outlive_their_supervisor() -> None:
    with serving(2) as process:
        workers = process.workers()
        process.child.kill()
        process.child.wait()
        assert wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))


def counted(process: Process) -> tuple[set[str], float]:
    """The workers on one metrics page, and the events of all of them once every worker has left its numbers."""
    total = 0.0
    seen: set[str] = set()

    def complete() -> bool:
        nonlocal total, seen
        lines = [line for line in process.get("/metrics").decode().splitlines() if line.startswith("consentry_events_total{")]
        stored = [line for line in lines if 'outcome="stored"' in line]
        seen = {line.split('worker="')[1].split('"')[0] for line in stored}
        total = sum(float(line.rsplit(" ", 1)[1]) for line in stored)
        return total == 40.0 and len(seen) == 2

    wait_for(complete)
    return seen, total


def wait_for(condition, seconds: float = 15.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False
