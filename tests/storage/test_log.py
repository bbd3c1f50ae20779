"""The log's contract, over SQLite and over memory."""

import asyncio
import itertools
import os
import sqlite3
from contextlib import closing
from itertools import pairwise

import pytest

from consentryd.config.settings import Storage
from consentryd.model.clock import DAY, ManualClock
from consentryd.model.decision import Lane
from consentryd.model.error import Unavailable
from consentryd.model.event import COLUMNS, POSITION, CleanEvent
from consentryd.model.outcome import Outcome, Reason
from consentryd.storage import block, dedup, rejected, seen
from consentryd.storage.database import open_database
from consentryd.storage.log import SqliteLog
from consentryd.storage.memory import MemoryLog
from consentryd.storage.rejected import Letter

NOW = 1_790_000_000_000_000


def clean(dedup_hash, user=None, anonymous=None, previous=None, lane=Lane.CONSENTED, name="bought"):
    row = [None] * len(COLUMNS)
    row[POSITION["event_id"]] = str(dedup_hash)
    row[POSITION["lane"]] = lane
    row[POSITION["event"]] = name
    digests = (value and value.encode().ljust(16, b".") for value in (user, anonymous, previous))
    return CleanEvent("eu", dedup_hash, *digests, row)


class Sqlite:
    def __init__(self, path):
        self.path = path
        self.clock = ManualClock(NOW)
        self.numbers = itertools.count(1)
        self.settings = Storage(min_free_bytes=0)
        self.log = self.open()

    def open(self):
        log = SqliteLog(self.path, self.settings, self.clock, lambda: next(self.numbers))
        log.open()
        return log

    def rows(self):
        connection = open_database(self.path, "region", readonly=True)
        columns = [block.decode(body) for (body,) in connection.execute("SELECT body FROM log ORDER BY seq")]
        connection.close()
        return [list(row) for each in columns for row in zip(*each, strict=True)]

    def close(self):
        self.log.close()


class Memory:
    def __init__(self):
        self.clock = ManualClock(NOW)
        numbers = itertools.count(1)
        self.log = MemoryLog(self.clock, lambda: next(numbers))

    def rows(self):
        return self.log.rows

    def close(self):
        pass


@pytest.fixture(params=["sqlite", "memory"])
def store(request, tmp_path):
    made = Sqlite(tmp_path / "region.db") if request.param == "sqlite" else Memory()
    yield made
    made.close()


@pytest.fixture
def sqlite_store(tmp_path):
    made = Sqlite(tmp_path / "region.db")
    yield made
    made.close()


def subjects(store):
    return [row[POSITION["subject"]] for row in store.rows()]


async def test_every_event_gets_one_verdict_in_order(store):
    verdicts = await store.log.append(
        [clean(1, user="u"), clean(2, lane=Lane.ANONYMOUS), clean(1, user="u"), clean(3, anonymous="a")]
    )
    assert verdicts == [Outcome.STORED, Outcome.ANONYMOUS, Outcome.DUPLICATE, Outcome.STORED]
    assert [row[POSITION["event_id"]] for row in store.rows()] == ["1", "2", "3"]


async def test_an_event_id_is_stored_once_across_appends(store):
    assert await store.log.append([clean(2**64 - 1, user="u")]) == [Outcome.STORED]
    assert await store.log.append([clean(2**64 - 1, user="u")]) == [Outcome.DUPLICATE]
    assert len(store.rows()) == 1


async def test_the_anonymous_lane_gets_no_subject(store):
    await store.log.append([clean(1, lane=Lane.ANONYMOUS)])
    assert subjects(store) == [None]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param([("u", None), ("u", None)], [1, 1], id="one user id is one subject"),
        pytest.param([(None, "a"), (None, "b")], [1, 2], id="two anonymous ids are two subjects"),
        pytest.param([("u", "a"), (None, "a"), ("u", None)], [1, 1, 1], id="seen together they are one"),
        pytest.param([(None, "a"), ("u", "a"), ("u", None)], [1, 1, 1], id="a known anonymous id joins a new user id"),
        pytest.param([("u", None), ("u", "a"), (None, "a")], [1, 1, 1], id="an unknown anonymous id joins a known user"),
        pytest.param(
            [("u", "a"), ("v", "a"), (None, "a"), ("u", None)], [1, 2, 2, 1], id="a shared device is re-pointed, nothing merges"
        ),
        pytest.param(
            [("u", None), (None, "a"), ("u", "a"), (None, "a")],
            [1, 2, 1, 1],
            id="an anonymous subject merges into a known user's",
        ),
        pytest.param(
            [("u", "a"), ("v", "b"), ("u", "b"), (None, "b"), ("v", None)], [1, 2, 1, 1, 2], id="known users never merge"
        ),
    ],
)
async def test_identity_follows_the_rules(store, steps, expected):
    for number, (user, anonymous) in enumerate(steps):
        await store.log.append([clean(number, user=user, anonymous=anonymous)])
    assert subjects(store) == expected


async def test_an_alias_call_joins_the_previous_id(store):
    await store.log.append(
        [clean(1, anonymous="a"), clean(2, user="u", previous="a"), clean(3, anonymous="a"), clean(4, user="u")]
    )
    assert subjects(store) == [1, 1, 1, 1]


async def test_a_merge_is_kept_as_an_alias_and_chains_are_flat(sqlite_store):
    steps = [("u", None), (None, "a"), ("u", "a")]
    await sqlite_store.log.append(
        [clean(number, user=user, anonymous=anonymous) for number, (user, anonymous) in enumerate(steps)]
    )
    connection = open_database(sqlite_store.path, "region", readonly=True)
    assert connection.execute("SELECT subject, becomes FROM alias").fetchall() == [(2, 1)]
    connection.close()


async def test_a_merge_reads_no_other_merges(sqlite_store):
    connection = open_database(sqlite_store.path, "region", readonly=True)
    plan = connection.execute("EXPLAIN QUERY PLAN UPDATE alias SET becomes = 1 WHERE becomes = 2").fetchall()
    assert [step[3] for step in plan] == ["SEARCH alias USING INDEX alias_becomes (becomes=?)"]
    connection.close()


async def test_dedup_and_identity_survive_a_restart(sqlite_store):
    await sqlite_store.log.append([clean(7, user="u", anonymous="a")])
    sqlite_store.log.close()
    sqlite_store.log = sqlite_store.open()
    assert await sqlite_store.log.append([clean(7, user="u"), clean(8, anonymous="a")]) == [Outcome.DUPLICATE, Outcome.STORED]
    assert subjects(sqlite_store) == [1, 1]


async def test_dedup_still_knows_sealed_rows_until_the_window_has_passed(sqlite_store):
    await sqlite_store.log.append([clean(number, user="u") for number in range(2000)])
    connection = open_database(sqlite_store.path, "region")
    connection.execute("BEGIN IMMEDIATE")
    seen.add_run(connection, 1, dedup.as_hashes(range(2000)), NOW)
    connection.execute("DELETE FROM log")
    connection.execute("COMMIT")
    connection.close()
    assert await sqlite_store.log.append([clean(1999, user="u"), clean(0, user="u")]) == [Outcome.DUPLICATE] * 2
    sqlite_store.log.close()
    sqlite_store.clock.advance(8 * DAY)
    sqlite_store.log = sqlite_store.open()
    await sqlite_store.log.append([])
    assert await sqlite_store.log.append([clean(1999, user="u")]) == [Outcome.STORED]


async def test_two_processes_over_one_store_agree(sqlite_store):
    other = sqlite_store.open()
    await sqlite_store.log.append([clean(1, user="u"), clean(2, anonymous="a")])
    assert await other.append([clean(1, user="u"), clean(3, user="u"), clean(4, anonymous="a")]) == [
        Outcome.DUPLICATE,
        Outcome.STORED,
        Outcome.STORED,
    ]
    await other.append([clean(5, user="u", anonymous="a")])  # merges a into u behind the first one's cache
    await sqlite_store.log.append([clean(6, anonymous="a")])
    other.close()
    assert subjects(sqlite_store) == [1, 2, 1, 2, 1, 1]


async def test_identities_that_one_commit_looks_up_are_found_however_few_the_cache_holds(sqlite_store, monkeypatch):
    monkeypatch.setattr("consentryd.storage.identity.CACHED", 8)
    first = await sqlite_store.log.append([clean(number, f"u-{number}", f"a-{number}") for number in range(20)])
    assert set(first) == {Outcome.STORED}
    again = await sqlite_store.log.append([clean(100 + number, f"u-{number}", f"a-{number}") for number in range(20)])
    assert set(again) == {Outcome.STORED}
    subjects = [row[POSITION["subject"]] for row in sqlite_store.rows()]
    assert subjects[:20] == subjects[20:]


async def test_concurrent_requests_share_commits(sqlite_store):
    await asyncio.gather(*(sqlite_store.log.append([clean(number, user="u")]) for number in range(500)))
    assert sqlite_store.log.stats.commits < 100
    assert len(sqlite_store.rows()) == 500


async def test_what_comes_within_an_interval_is_one_commit_unless_it_is_enough(sqlite_store):
    sqlite_store.log._settings = Storage(commit_interval_ms=1000, commit_events=10, min_free_bytes=0)
    ids = itertools.count()

    def batch(size):
        return [clean(next(ids), user="u") for _ in range(size)]

    await sqlite_store.log.append(batch(1))
    few = [asyncio.ensure_future(sqlite_store.log.append(batch(1))) for _ in range(5)]
    await asyncio.gather(*few)
    assert sqlite_store.log.stats.commits == 2
    async with asyncio.timeout(5):  # a second each if they waited
        for _ in range(10):
            await sqlite_store.log.append(batch(10))
    assert sqlite_store.log.stats.commits == 12


async def test_a_locked_database_is_unavailable_then_heals(sqlite_store, monkeypatch):
    await sqlite_store.log.append([clean(0, user="u")])
    sqlite_store.log._writer._lock_wait_s = 0.05
    holder = sqlite3.connect(sqlite_store.path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    told = []
    sqlite_store.log.stats.note_failure = told.append
    with pytest.raises(Unavailable) as failure:
        await sqlite_store.log.append([clean(1, user="new")])
    assert failure.value.retry_after
    assert [str(error) for error in told] == ["database is locked"]
    holder.execute("ROLLBACK")
    holder.close()
    assert await sqlite_store.log.append([clean(1, user="new")]) == [Outcome.STORED]
    assert len(sqlite_store.rows()) == 2


@pytest.mark.parametrize("name", ["region.db", "region.db-wal"])
@pytest.mark.parametrize("replaced", [False, True], ids=["gone", "replaced"])
async def test_nothing_is_stored_in_files_that_were_taken_away(sqlite_store, name, replaced):
    assert await sqlite_store.log.append([clean(1, user="u")]) == [Outcome.STORED]
    file = sqlite_store.path.with_name(name)
    aside = file.rename(file.with_name("aside"))
    if replaced:
        file.write_bytes(aside.read_bytes())
    with pytest.raises(Unavailable):
        await sqlite_store.log.append([clean(2, user="u")])
    assert await sqlite_store.log.check_writable() is not None
    aside.replace(file)
    assert await sqlite_store.log.append([clean(2, user="u")]) == [Outcome.STORED]
    assert len(sqlite_store.rows()) == 2


async def test_a_full_disk_is_refused_before_anything_is_written(tmp_path):
    store = Sqlite(tmp_path / "region.db")
    store.log.close()
    status = os.statvfs(tmp_path)
    store.settings = Storage(min_free_bytes=status.f_bavail * status.f_frsize * 2)
    store.log = store.open()
    with pytest.raises(Unavailable, match="disk"):
        await store.log.append([clean(1, user="u")])
    store.close()
    assert store.rows() == []


async def test_too_many_waiting_events_are_told_to_come_back(tmp_path):
    store = Sqlite(tmp_path / "region.db")
    store.log._settings = Storage(pending_events=10, min_free_bytes=0)
    with closing(open_database(store.path, "region")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(store.log.append([clean(number, user="u") for number in range(11)]))
        await asyncio.sleep(0)
        with pytest.raises(Unavailable) as failure:
            await store.log.append([clean(11, user="u")])
        assert failure.value.code == "overloaded"
        connection.execute("ROLLBACK")
        assert await waiting == [Outcome.STORED] * 11  # more than may wait, but nothing waited when they came
    assert await store.log.append([clean(11, user="u")]) == [Outcome.STORED]
    store.close()


async def test_letters_are_kept_up_to_a_number_and_an_age(sqlite_store):
    old = Letter("shop", NOW - 30 * DAY, Outcome.REJECTED, Reason.BOT, "{}")
    sqlite_store.log.reject([old, old._replace(received_at=NOW, event='{"event":"x"}')])
    await sqlite_store.log.append([clean(1, user="u")])
    connection = open_database(sqlite_store.path, "region", readonly=True)
    assert [each.event for each in rejected.newest(connection, 10, "shop")] == ['{"event":"x"}']
    assert rejected.newest(connection, 10, "other") == []
    connection.close()


async def test_a_crowd_of_letters_goes_a_part_at_a_time_and_faster_than_others_come(sqlite_store):
    sqlite_store.settings = Storage(min_free_bytes=0, rejected_events=1000, commit_events=2000)
    sqlite_store.close()
    letter = Letter("shop", NOW, Outcome.REJECTED, Reason.BOT, "{}")
    with closing(open_database(sqlite_store.path, "region")) as connection:
        rejected.write(connection, [letter] * 20_000)
        sqlite_store.log = sqlite_store.open()
        left = []
        for _ in range(12):
            sqlite_store.log.reject([letter] * 1500)
            await sqlite_store.log.append(())
            left.append(rejected.count(connection))
    assert all(0 <= before - after <= 5000 for before, after in pairwise(left))
    assert left[-1] == 1000


async def test_letters_are_not_kept_where_a_crowd_waits(sqlite_store):
    letter = Letter("shop", NOW, Outcome.REJECTED, Reason.BOT, "{}")
    with closing(open_database(sqlite_store.path, "region")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for _ in range(20_000):
            sqlite_store.log.reject([letter])
        connection.execute("COMMIT")
        await sqlite_store.log.append(())
        assert 0 < rejected.count(connection) < 15_000


async def test_closing_commits_what_waits(sqlite_store):
    waiting = [asyncio.ensure_future(sqlite_store.log.append([clean(number, user="u")])) for number in range(50)]
    await asyncio.sleep(0)
    await asyncio.to_thread(sqlite_store.log.close)
    assert await asyncio.gather(*waiting) == [[Outcome.STORED]] * 50
