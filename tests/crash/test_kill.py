"""`kill -9` at any instant loses nothing that was acknowledged, and nothing is stored twice."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from bench.gateway import Gateway
from tests.crash.sender import Senders, check_exactly_once

#: Seals every second, merges soon, so that kills meet both.
BUSY = {
    "CONSENTRY_STORAGE_SEAL_EVENTS": "200",
    "CONSENTRY_STORAGE_SEAL_INTERVAL_S": "0.5",
    "CONSENTRY_STORAGE_COMPACT_FILES": "2",
}


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path / "gateway", environ=BUSY)
    yield made
    if made.process is not None:
        made.kill()


def lake_files(gateway: Gateway) -> set[Path]:
    return set(gateway.data.glob("*/lake/**/*.parquet"))


def wait_for_sealing(gateway: Gateway, deadline: float) -> None:
    """Until a file appears in a lake, which no commit names yet: a seal or a compaction is under way."""
    before = lake_files(gateway)
    while time.monotonic() < deadline and lake_files(gateway) <= before:
        time.sleep(0.001)


def live_and_die(gateway: Gateway, senders: Senders, random: Random, *, while_sealing: bool) -> None:
    """One life under load, ended by SIGKILL."""
    gateway.start()
    senders.start()
    if while_sealing:
        wait_for_sealing(gateway, time.monotonic() + 8)
        time.sleep(random.random() * 0.05)
    else:
        time.sleep(random.random() * 1.5)
    gateway.kill()
    senders.join()


def survive(gateway: Gateway, rounds: int, seed: int) -> int:
    """How many of the kills left files in a lake. Those that no commit names are gone with the next start."""
    random, senders = Random(seed), Senders(gateway)
    sealing = 0
    for number in range(rounds):
        live_and_die(gateway, senders, random, while_sealing=number % 2 == 1)
        sealing += bool(lake_files(gateway))
        check_exactly_once(gateway, senders)
    gateway.start()
    senders.start()
    senders.join()
    assert gateway.stop() == 0
    assert senders.acknowledged
    assert senders.open_batches == []
    check_exactly_once(gateway, senders)
    return sealing


def test_three_kills_under_load_and_while_sealing_lose_nothing_and_repeat_nothing(gateway: Gateway) -> None:
    assert survive(gateway, 3, seed=1), "no kill met a seal"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_thirty_kills_under_load_and_while_sealing_lose_nothing_and_repeat_nothing(gateway: Gateway) -> None:
    assert survive(gateway, 30, seed=2) >= 10, "hardly a kill met a seal"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_two_workers_killed_together_lose_nothing_and_repeat_nothing(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "gateway", workers=2, environ=BUSY)
    try:
        survive(gateway, 10, seed=3)
    finally:
        gateway.kill()
