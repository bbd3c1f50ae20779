"""What runs beside the taking of events steps back for it."""

import asyncio
import os
import sys
import threading

import pytest

from consentryd.gateway.keeper import Keeper
from consentryd.gateway.logs import open_logger
from consentryd.gateway.priority import NICER
from tests.rights.estate import opened


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has priorities of single threads")
async def test_housekeeping_steps_back_for_events(tmp_path, monkeypatch):
    def nice():
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    looked = asyncio.get_running_loop().create_future()
    told = looked.get_loop().call_soon_threadsafe
    monkeypatch.setattr(Keeper, "_examine", lambda *_: told(looked.set_result, nice()) if not looked.done() else None)
    with opened(tmp_path / "data") as estate:
        logger = open_logger(estate.settings.server)
        keeper = Keeper(estate.settings, dict(list(estate.house.stores.items())[:1]), estate.clock, estate.house.metrics, logger)
        task = asyncio.create_task(keeper.keep())
        assert await asyncio.wait_for(looked, 10) == min(nice() + NICER, 19)
        task.cancel()
        await asyncio.wait([task])
