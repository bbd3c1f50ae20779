"""A worker that ends takes no other with it, and is started again."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.gateway import Gateway
from consentryd.storage.tenancy import moving_in
from tests.crash.test_store_trouble import batch, post

DEADLINE_S = 60.0


def wait_for(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + DEADLINE_S
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False


def workers(gateway: Gateway) -> list[int]:
    """The processes that the gateway has now. One may end while they are looked through."""
    try:
        children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
        return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
    except OSError:
        return []


def said(gateway: Gateway, event: str) -> int:
    return gateway.log.read_text().count(f'"event":"{event}"')


def test_a_worker_that_is_killed_while_it_starts_is_started_again(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "gateway", workers=2)
    with ThreadPoolExecutor(1) as pool:
        with moving_in(gateway.data):
            starting = pool.submit(gateway.start)
            try:
                assert wait_for(lambda: gateway.process is not None and len(workers(gateway)) == 2)
                victim = workers(gateway)[1]
                os.kill(victim, signal.SIGKILL)
                assert wait_for(lambda: len({*workers(gateway)} - {victim}) == 2)
            except BaseException:
                gateway.kill()
                raise
        try:
            starting.result()
            assert wait_for(lambda: said(gateway, "serving") == 2)
            assert post(gateway, batch())[0] == 200
            assert gateway.stop() == 0
        finally:
            gateway.kill()
