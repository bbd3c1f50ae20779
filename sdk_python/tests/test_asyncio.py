"""`AsyncConsentry`: nothing that waits for the gateway holds up the loop."""

from __future__ import annotations

import asyncio
import time

import pytest
from consentry import AsyncConsentry, ConsentryError
from consentry.testing import MemoryTransport


class Slow(MemoryTransport):
    def send(self, path, body, headers, *, keep=True):
        time.sleep(0.2)
        return super().send(path, body, headers, keep=keep)


async def longest_gap(task):
    """The longest time that the loop did not turn while `task` ran, in seconds."""
    worst, last = 0.0, time.perf_counter()
    while not task.done():
        await asyncio.sleep(0.002)
        worst, last = max(worst, time.perf_counter() - last), time.perf_counter()
    return worst


async def test_flush_close_and_choices_are_awaited():
    transport = Slow()
    async with AsyncConsentry("key", transport=transport, batch_age=0.01) as client:

        async def work():
            client.track("seen", user_id="u")
            client.bind(user_id="v").page("Home")
            assert await client.flush()
            await client.set_consent({"analytics": True}, user_id="u")

        task = asyncio.create_task(work())
        gap = await longest_gap(task)
        await task
        client.identify("u", {"plan": "pro"})
    assert [event["type"] for event in transport.events] == ["track", "page", "identify"]
    assert len(transport.choices) == 1
    assert client.stats.delivered == 3
    assert gap < 0.2


async def test_a_choice_that_was_not_recorded_is_told():
    transport = MemoryTransport()
    transport.down = True
    async with AsyncConsentry("key", transport=transport, close_timeout=0.0) as client:
        with pytest.raises(ConsentryError):
            await client.set_consent({"analytics": True}, user_id="u")


async def test_a_flush_that_nobody_waits_for_any_more_ends_its_thread():
    transport = MemoryTransport()
    transport.down = True
    client = AsyncConsentry("key", transport=transport, close_timeout=0.0)
    client.track("seen", user_id="u")
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(client.flush(20), 0.1)
    # as `asyncio.run` does at its end
    await asyncio.wait_for(asyncio.get_running_loop().shutdown_default_executor(), 5)
    assert client.stats.waiting == 1
    transport.down = False
    client._client.close()


async def test_an_event_survives_in_the_spool(tmp_path):
    transport = MemoryTransport()
    transport.down = True
    async with AsyncConsentry("key", transport=transport, spool=tmp_path, close_timeout=0.0) as client:
        assert client.track("seen", user_id="u")
    transport.down = False
    async with AsyncConsentry("key", transport=transport, spool=tmp_path) as client:
        assert await client.flush()
    assert len(transport.events) == 1
