"""What housekeeping does once a day."""

import asyncio
import errno
import io
import os
from types import SimpleNamespace

import orjson
import pytest

from consentryd.config.settings import Server
from consentryd.gateway.compose import _running
from consentryd.gateway.keeper import Keeper
from consentryd.gateway.logs import open_logger
from consentryd.model.clock import DAY, MINUTE, SECOND, is_due
from consentryd.model.outcome import Outcome, Reason
from consentryd.storage import rejected
from consentryd.storage.ledger import EntryKind
from consentryd.storage.rejected import Letter
from consentryd.storage.retention import RetentionReport
from consentryd.storage.rollup_keep import standing
from consentryd.storage.seal import Sealer
from tests.rights.estate import NOW, opened


@pytest.mark.parametrize(
    ("ahead", "due"), [(0, False), (DAY - 1, False), (DAY, True), (-1, True)], ids=["now", "soon", "a day on", "set back"]
)
def test_what_is_done_now_and_then_goes_on_when_the_clock_is_set_back(ahead, due):
    assert is_due(NOW, NOW + ahead, DAY) is due


async def test_letters_that_are_past_their_days_go_where_nobody_sends(tmp_path):
    with opened(tmp_path / "data") as estate:
        store = estate.house.stores["eu"]
        old = Letter("shop", estate.clock.now(), Outcome.REJECTED, Reason.INVALID_ID, "{}")
        await store.log.transact(lambda commit: rejected.write(commit.connection, [old]))
        logger = open_logger(estate.settings.server)
        keeper = Keeper(estate.settings, estate.house.stores, estate.clock, estate.house.metrics, logger)
        estate.clock.advance(7 * DAY - 1)
        await keeper._retain()
        assert rejected.count(store.reader) == 1
        estate.clock.advance(2)
        await keeper._retain()
        assert rejected.count(store.reader) == 0


async def test_a_clock_that_leaps_ahead_deletes_nothing_for_a_day(tmp_path, monkeypatch):
    with opened(tmp_path / "data") as estate:
        passed, retained, out = [0.0], [], io.StringIO()
        keeper = Keeper(
            estate.settings,
            estate.house.stores,
            estate.clock,
            estate.house.metrics,
            open_logger(estate.settings.server, out),
            lambda: passed[0],
        )

        async def retain():
            keeper._retained_at = estate.clock.now()
            retained.append(estate.clock.now())

        steps = iter([(0, 0), (DAY, DAY), (3 * 365 * DAY, 1), (DAY - 1, DAY - 1), (1, 1), (-DAY, 0), None])

        async def tick(_seconds):
            step = next(steps)
            if step is None:
                raise asyncio.CancelledError
            estate.clock.advance(step[0])
            passed[0] += step[1] / SECOND

        monkeypatch.setattr(keeper, "_retain", retain)
        monkeypatch.setattr("consentryd.gateway.keeper.asyncio.sleep", tick)
        start = estate.clock.now()
        with pytest.raises(asyncio.CancelledError):
            await keeper.keep()
    leapt = start + DAY + 3 * 365 * DAY
    assert retained == [start, start + DAY, leapt + DAY, leapt]
    assert "the clock went ahead" in out.getvalue()


@pytest.mark.parametrize(("days", "waits"), [(30, False), (31, True), (3 * 365, True)])
async def test_a_start_long_after_anything_came_deletes_nothing_for_a_day(tmp_path, monkeypatch, days, waits):
    with opened(tmp_path / "data") as estate:
        retained, out = [], io.StringIO()
        for store in estate.house.stores.values():
            store.newest_at = estate.clock.now() - days * DAY - 5 * MINUTE
        keeper = Keeper(
            estate.settings,
            estate.house.stores,
            estate.clock,
            estate.house.metrics,
            open_logger(estate.settings.server, out),
            lambda: estate.clock.now() / SECOND,
        )

        async def retain():
            retained.append(estate.clock.now())
            raise asyncio.CancelledError

        async def tick(_seconds):
            estate.clock.advance(DAY)

        monkeypatch.setattr(keeper, "_retain", retain)
        monkeypatch.setattr("consentryd.gateway.keeper.asyncio.sleep", tick)
        start = estate.clock.now()
        with pytest.raises(asyncio.CancelledError):
            await keeper.keep()
    assert retained == [start + DAY if waits else start]
    assert ("the clock is ahead" in out.getvalue()) == waits


async def test_a_store_that_is_opened_tells_when_an_event_last_came(tmp_path):
    """From the log, from the ids of what is sealed, and when those are forgotten from the lake."""
    with opened(tmp_path / "data") as estate:
        await estate.send(estate.event("ann", timestamp="2026-11-01T00:00:00Z"))
        assert estate.house.stores["eu"].newest_at == 0
    with opened(tmp_path / "data") as estate:
        assert estate.house.stores["eu"].newest_at == NOW
        estate.seal()
    with opened(tmp_path / "data") as estate:
        assert estate.house.stores["eu"].newest_at == NOW
        estate.clock.advance(8 * DAY)
        await estate.house.stores["eu"].log.transact(lambda _commit: None)
    with opened(tmp_path / "data") as estate:
        assert estate.house.stores["eu"].newest_at == 1_793_491_200_000_000


async def test_a_crowd_of_letters_past_their_days_goes_a_part_in_each_commit(tmp_path):
    with opened(tmp_path / "data") as estate:
        store = estate.house.stores["eu"]
        old = Letter("shop", estate.clock.now() - 8 * DAY, Outcome.REJECTED, Reason.INVALID_ID, "{}")
        await store.log.transact(lambda commit: rejected.write(commit.connection, [old] * 12_000))
        before = store.log.stats.commits
        keeper = Keeper(
            estate.settings, estate.house.stores, estate.clock, estate.house.metrics, open_logger(estate.settings.server)
        )
        await keeper._retain()
        assert rejected.count(store.reader) == 0
        assert store.log.stats.commits - before == 3


async def test_housekeeping_outlives_a_store_that_takes_no_commit_and_records_late_what_it_deleted(tmp_path, monkeypatch):
    with opened(tmp_path / "data") as estate:
        store, out = estate.house.stores["eu"], io.StringIO()
        keeper = Keeper(
            estate.settings, estate.house.stores, estate.clock, estate.house.metrics, open_logger(estate.settings.server, out)
        )
        reports = iter([RetentionReport(False, {("shop", "consented"): 3})])
        monkeypatch.setattr("consentryd.gateway.keeper.retain", lambda *_, **__: next(reports, RetentionReport(False)))
        with monkeypatch.context() as full:
            full.setattr(os, "statvfs", lambda _path: SimpleNamespace(f_bavail=-1, f_frsize=1))
            estate.clock.advance(DAY)
            await keeper._retain()
        assert not is_due(keeper._retained_at, estate.clock.now(), DAY)
        estate.clock.advance(5 * MINUTE)
        assert is_due(keeper._retained_at, estate.clock.now(), DAY)
        await keeper._retain()
        ((body,),) = store.reader.execute("SELECT body FROM ledger WHERE kind = ?", (EntryKind.RETENTION,)).fetchall()
        assert orjson.loads(body)["events"] == {"shop/consented": 3}
        (told,) = map(orjson.loads, out.getvalue().splitlines())
        assert (told["event"], told["events"]) == ("retention deleted", 3)


async def test_what_can_wait_is_done_when_the_log_was_not_full_for_a_while(tmp_path):
    passed = [0.0]
    with opened(tmp_path / "data") as estate:
        eu = estate.house.stores["eu"]
        storage = estate.settings.storage.model_copy(update={"seal_events": 4})
        keeper = Keeper(
            estate.settings.model_copy(update={"storage": storage}),
            {"eu": eu},
            estate.clock,
            estate.house.metrics,
            open_logger(estate.settings.server, io.StringIO()),
            lambda: passed[0],
        )
        lake = keeper._lakes["eu"]

        async def fill():
            await estate.send(*(estate.event(user="u-1") for _ in range(4)))
            await keeper._tend("eu", eu)

        for _ in range(9):
            await fill()
        assert sum(file.events for file in lake.state().files) == 36
        assert standing(lake).rolled == 0
        for seconds, done in ((119.0, False), (2.0, True)):
            passed[0] += seconds
            await keeper._tend("eu", eu)
            files, rolled = standing(lake)
            assert (rolled == files) is done
        await keeper._tend("eu", eu)
        assert keeper._behind == set()
        await fill()
        assert (standing(lake), keeper._behind) == ((files + 1, rolled), {"eu"})


async def test_what_cannot_be_caught_up_with_is_told_of_once(tmp_path, monkeypatch):
    passed, out = [0.0], io.StringIO()

    def broken(*_arguments, **_options):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("consentryd.gateway.keeper.compact", broken)
    with opened(tmp_path / "data") as estate:
        eu = estate.house.stores["eu"]
        keeper = Keeper(
            estate.settings,
            {"eu": eu},
            estate.clock,
            estate.house.metrics,
            open_logger(estate.settings.server, out),
            lambda: passed[0],
        )
        for _ in range(5):
            passed[0] += 200.0
            await keeper._tend("eu", eu)
    assert out.getvalue().count("Input/output error") == 1


async def test_what_cannot_be_sealed_is_tried_again_less_and_less_often(tmp_path, monkeypatch):
    passed, out, tried, full = [0.0], io.StringIO(), [], True
    run = Sealer.run

    def seal(sealer):
        tried.append(passed[0])
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return run(sealer)

    monkeypatch.setattr(Sealer, "run", seal)
    with opened(tmp_path / "data") as estate:
        eu = estate.house.stores["eu"]
        storage = estate.settings.storage.model_copy(update={"seal_events": 1})
        keeper = Keeper(
            estate.settings.model_copy(update={"storage": storage}),
            {"eu": eu},
            estate.clock,
            estate.house.metrics,
            open_logger(estate.settings.server, out),
            lambda: passed[0],
        )

        async def look(seconds):
            for _ in range(seconds):
                await keeper._tend("eu", eu)
                passed[0] += 1.0

        await estate.send(estate.event(user="u-1"))
        await look(300)
        assert tried == [0, 2, 6, 14, 30, 62, 122, 182, 242]
        assert out.getvalue().count("No space left on device") == len(tried)
        full = False
        await look(60)
        assert eu.depth()[0] == 0
        full = True
        tried.clear()
        await estate.send(estate.event(user="u-1"))
        await look(3)
        assert tried == [360, 362]


async def test_housekeeping_outlives_a_start_at_which_nothing_can_be_looked_at(tmp_path, monkeypatch):
    out = io.StringIO()
    with opened(tmp_path / "data") as estate:
        keeper = Keeper(
            estate.settings, estate.house.stores, estate.clock, estate.house.metrics, open_logger(estate.settings.server, out)
        )

        def refused(*_):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("consentryd.gateway.keeper.verify", refused)
        for name, store in estate.house.stores.items():
            keeper._examine(name, store)
    assert "No space left on device" in out.getvalue()


async def test_work_in_the_background_that_fails_is_told_of_and_lets_the_rest_end_in_order():
    ended = asyncio.Event()

    class Failing:
        async def keep(self):
            raise OSError(errno.ENOSPC, "No space left on device")

    class Faithful:
        async def keep(self):
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

    out = io.StringIO()
    async with _running(open_logger(Server(), out), Failing(), Faithful()):
        await asyncio.sleep(0)
    (told,) = map(orjson.loads, out.getvalue().splitlines())
    assert (told["event"], told["work"], told["error"]) == ("background work ended", "Failing", "OSError")
    assert ended.is_set()
