"""The numbers of several workers on one page."""

import asyncio
import contextlib

from prometheus_client import CollectorRegistry, Counter

from consentryd.gateway import exposition
from consentryd.gateway.exposition import Worker, expose, publish


async def test_a_worker_whose_numbers_cannot_be_written_writes_them_once_they_can(tmp_path, monkeypatch):
    monkeypatch.setattr(exposition, "INTERVAL_S", 0.01)
    board = tmp_path / "board"
    registry = CollectorRegistry()
    Counter("seen", "Seen.", registry=registry).inc()
    publishing = asyncio.create_task(publish(registry, Worker(1, board)))
    await asyncio.sleep(0.05)
    board.mkdir()
    while not (board / "1.json").exists():
        assert not publishing.done()
        await asyncio.sleep(0.01)
    assert b'seen_total{worker="1"} 1.0' in expose(CollectorRegistry(), Worker(0, board))
    publishing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await publishing
