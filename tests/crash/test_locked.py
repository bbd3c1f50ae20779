"""A database that somebody else has locked: what is not about it goes on, and the gateway ends when it is told to."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.gateway import Gateway
from consentryd.storage.tenancy import moving_in
from tests.crash.test_store_trouble import batch, locked, post

ASKING = 12
IN_FLIGHT_S = 1.0


@contextmanager
def serving(path: Path, workers: int) -> Iterator[Gateway]:
    gateway = Gateway(path / "gateway", workers=workers, environ={"CONSENTRY_SERVER_SHUTDOWN_TIMEOUT_S": str(IN_FLIGHT_S)})
    gateway.start()
    try:
        assert post(gateway, batch())[0] == 200
        yield gateway
    finally:
        gateway.kill()


def ask_for_erasure(gateway: Gateway) -> int:
    """The status; 0 if the gateway ended first."""
    asked = {"type": "erasure", "identities": [{"type": "user_id", "value": "ann"}]}
    headers = {"Authorization": f"Bearer {gateway.keys['privacy']}"}
    try:
        return gateway.request("POST", "/v1/privacy/requests", json.dumps(asked).encode(), headers)[0]
    except OSError:
        return 0


def is_awaited(folder: Path) -> bool:
    """Whether a process waits for the lock of a folder, as the kernel tells it."""
    held = f":{folder.stat().st_ino} "
    return any("->" in line and held in line for line in Path("/proc/locks").read_text().splitlines())


def seconds_of(do: Callable[[], object]) -> float:
    started = time.monotonic()
    do()
    return time.monotonic() - started


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_ends_a_gateway_whose_other_work_waits(tmp_path: Path, workers: int) -> None:
    with serving(tmp_path, workers) as gateway, ThreadPoolExecutor(1) as pool:
        with locked(gateway):
            asking = pool.submit(ask_for_erasure, gateway)
            time.sleep(0.5)
            started = time.monotonic()
            assert gateway.stop() == 0
            assert time.monotonic() - started < IN_FLIGHT_S + 10
            assert asking.result() == 0
        gateway.start()
        assert post(gateway, batch())[0] == 200


@pytest.mark.parametrize("workers", [1, 2])
def test_a_signal_ends_a_gateway_that_waits_to_open_its_store(tmp_path: Path, workers: int) -> None:
    gateway = Gateway(tmp_path / "gateway", workers=workers, environ={"CONSENTRY_SERVER_SHUTDOWN_TIMEOUT_S": str(IN_FLIGHT_S)})
    with moving_in(gateway.data), ThreadPoolExecutor(1) as pool:
        starting = pool.submit(gateway.start)
        while not is_awaited(gateway.data):
            time.sleep(0.05)
        started = time.monotonic()
        assert gateway.stop() == 0
        assert time.monotonic() - started < IN_FLIGHT_S + 10
        assert isinstance(starting.exception(), RuntimeError)
        assert not list(gateway.data.glob("*/region.db"))
    gateway.start()
    assert post(gateway, batch())[0] == 200
    assert gateway.stop() == 0


def test_people_who_ask_while_a_region_is_locked_keep_nobody_from_the_numbers(tmp_path: Path) -> None:
    with serving(tmp_path, 1) as gateway, ThreadPoolExecutor(ASKING) as pool:
        with locked(gateway):
            asking = [pool.submit(ask_for_erasure, gateway) for _ in range(ASKING)]
            time.sleep(0.5)
            assert seconds_of(lambda: gateway.status("/metrics")) < 4
        assert {each.result() for each in asking} == {200}
