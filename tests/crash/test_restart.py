"""A worker that ends and cannot start again at once takes no other with it, and starts once it can."""

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


def with_master_of_a_command(tmp_path: Path) -> tuple[Gateway, Path]:
    """A gateway of two workers, and the file that its command for the master key prints."""
    key = tmp_path / "key"
    key.write_text("ab" * 32)
    return Gateway(tmp_path / "gateway", workers=2, environ={"CONSENTRY_KEYS_MASTER": f"command:cat {key}"}), key


def said(gateway: Gateway, event: str) -> int:
    return gateway.log.read_text().count(f'"event":"{event}"')


def test_a_gateway_goes_on_while_a_worker_gets_no_master_key(tmp_path: Path) -> None:
    gateway, key = with_master_of_a_command(tmp_path)
    gateway.start()
    try:
        assert wait_for(lambda: "Consentry takes events" in gateway.log.read_text())
        assert wait_for(lambda: said(gateway, "serving") == 2)  # a line that is not written yet dies with its process
        key.rename(tmp_path / "away")
        os.kill(workers(gateway)[0], signal.SIGKILL)
        assert wait_for(lambda: said(gateway, "cannot start") >= 2)
        assert post(gateway, batch())[0] == 200
        (tmp_path / "away").rename(key)
        assert wait_for(lambda: said(gateway, "serving") == 3)
        assert gateway.stop() == 0
    finally:
        gateway.kill()


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


def test_workers_that_cannot_start_at_first_end_with_the_code_of_a_command_that_failed(tmp_path: Path) -> None:
    gateway, key = with_master_of_a_command(tmp_path)
    key.unlink()
    try:
        gateway.start()
    except RuntimeError:
        assert gateway.process is not None
        assert gateway.process.wait(DEADLINE_S) == 1
        assert "failed with exit code" in gateway.log.read_text()
    else:
        raise AssertionError("it started without a master key")
