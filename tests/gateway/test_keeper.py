"""What housekeeping does once a day."""

import pytest

from consentryd.gateway.keeper import Keeper
from consentryd.gateway.logs import open_logger
from consentryd.model.clock import DAY, is_due
from consentryd.model.outcome import Outcome, Reason
from consentryd.storage import rejected
from consentryd.storage.rejected import Letter
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
