"""What is kept for some days goes when they are over, whether or not events come."""

import asyncio
import contextlib

from consentryd.config.settings import Settings, Storage
from consentryd.gateway.compose import House, open_stores
from consentryd.gateway.keeper import Keeper
from consentryd.gateway.logs import open_logger
from consentryd.model.clock import DAY, ManualClock
from consentryd.model.outcome import Outcome, Reason
from consentryd.storage.rejected import Letter
from tests.kit import NOW


async def test_dead_letters_go_after_their_days_where_nothing_else_comes(tmp_path, monkeypatch):
    settings = Settings(storage=Storage(data_dir=tmp_path, min_free_bytes=0, rejected_days=2))
    clock = ManualClock(NOW)
    with contextlib.ExitStack() as stack:
        stores = open_stores(settings, ["eu"], clock)
        store = stores["eu"]
        stack.callback(store.close)
        await store.log.append(())
        store.log.reject([Letter("shop", NOW + DAY * days, Outcome.REJECTED, Reason.INVALID_ID, "{}") for days in (0, 2)])
        await store.log.append(())
        assert len(await store.newest_rejected(10, None)) == 2
        clock.advance(3 * DAY)
        done, transact = asyncio.Event(), store.log.transact

        async def noted(work):
            await transact(work)
            done.set()

        monkeypatch.setattr(store.log, "transact", noted)
        house = House(settings, stores, clock)
        keeper = asyncio.create_task(Keeper(settings, stores, clock, house.metrics, open_logger(settings.server)).keep())
        await asyncio.wait_for(done.wait(), 10)
        assert [letter.received_at for letter in await store.newest_rejected(10, None)] == [NOW + 2 * DAY]
        keeper.cancel()
        await asyncio.wait([keeper])
