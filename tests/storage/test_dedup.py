"""Ids are recognised exactly, however rows were sealed, runs put together, filters outgrown and processes started anew."""

import json
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consentryd.storage import bloom, dedup, seen
from consentryd.storage.database import open_database
from consentryd.storage.dedup import Dedup, as_hashes

AT = 1_000

IDS = st.integers(0, 2**64 - 1)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("note"), st.lists(IDS, min_size=1, max_size=40, unique=True)),
        st.tuples(st.just("seal"), st.none()),
        st.tuples(st.just("merge"), st.none()),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=24,
)


class Store:
    """What the writer and the sealer do of a log: rows with hashes, moved into runs."""

    def __init__(self, path):
        self.connection = open_database(path, "region")
        self.connection.execute("PRAGMA synchronous = OFF")
        self.dedup = Dedup(self.connection)
        self.stored = set()

    def note(self, ids):
        fresh = [each for each in ids if each not in self.stored]
        packed = as_hashes(fresh).astype("<u8").tobytes()
        sql = "INSERT INTO log (events, committed_at, hashes, body) VALUES (?, ?, ?, x'')"
        row = self.connection.execute(sql, (len(fresh), AT, packed))
        self.dedup.note(row.lastrowid, as_hashes(fresh), AT)
        self.stored.update(fresh)

    def seal(self, _=None):
        rows = self.connection.execute("SELECT seq, hashes FROM log ORDER BY seq").fetchall()
        hashes = np.sort(np.frombuffer(b"".join(packed for _, packed in rows), "<u8")).astype(np.uint64)
        if len(hashes):
            seen.add_run(self.connection, rows[-1][0], hashes, AT)
        self.connection.execute("DELETE FROM log")
        self.dedup.refresh()

    def merge(self, _=None):
        seen.merge_small_runs(self.connection)
        self.dedup.refresh()

    def restart(self, _=None):
        self.dedup = Dedup(self.connection)
        self.dedup.refresh()


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "region.db")
    with closing(made.connection):
        yield made


@settings(max_examples=30, deadline=None)
@given(STEPS, st.lists(IDS, max_size=20))
def test_an_id_is_known_if_and_only_if_it_was_stored(tmp_path_factory, steps, others):
    store = Store(tmp_path_factory.mktemp("dedup") / "region.db")
    with closing(store.connection), pytest.MonkeyPatch.context() as patch:
        patch.setattr(bloom, "_FIRST_CAPACITY", 16)  # so that filters overflow, err and follow one another
        patch.setattr(seen, "FEW", 2)
        store.restart()
        for step, ids in steps:
            getattr(store, step)(ids) if ids is not None else getattr(store, step)()
            asked = [*store.stored, *others]
            assert store.dedup.known(as_hashes(asked)).tolist() == [each in store.stored for each in asked]


@pytest.mark.parametrize("seed", range(8))
def test_the_ids_of_rows_that_are_not_sealed_are_found_few_or_many_and_in_no_more_room_than_twice_theirs(monkeypatch, seed):
    monkeypatch.setattr(dedup, "_FIRST_ROOM", 4)
    chance, recent, rows = np.random.default_rng(seed), dedup.Recent(), {}
    for seq in range(1, 60):
        own = chance.integers(0, 2**64 - 1, int(chance.integers(0, 12)), np.uint64, endpoint=True)
        recent.add(seq, own)
        rows[seq] = set(own.tolist())
        if chance.random() < 0.2:
            sealed = int(chance.integers(0, seq + 2))
            recent.forget(sealed)
            rows = {each: ids for each, ids in rows.items() if each > sealed}
        there = set().union(*rows.values())
        alike = {each ^ 1 << 20 for each in there}  # of the same low bits
        few = set(sorted(there | alike)[: dedup._FEW])
        for wanted in (there | alike, few, alike, set()):
            assert recent.held(wanted) == wanted & there
        assert len(recent._hashes) <= max(24, 2 * len(there) + 24)


def test_small_runs_are_put_together_so_that_there_are_never_many(store):
    for number in range(3 * seen.FEW):
        store.note(range(number * 1_000, (number + 1) * 1_000))
        store.seal()
        store.merge()
        assert len(seen.runs(store.connection)) < seen.FEW
    assert store.dedup.known(as_hashes(range(3 * seen.FEW * 1_000))).all()
    assert seen.seen_upto(store.connection) == 3 * seen.FEW


def test_runs_are_put_together_some_ids_at_a_time(store, monkeypatch):
    """Eight runs of a busy gateway are 800,000 ids, and all at once had taken 29 MB while events come in."""
    monkeypatch.setattr(seen, "_AT_ONCE", 1_000)
    ids = np.random.default_rng(5).integers(0, 2**64 - 1, 16_000, np.uint64, endpoint=True)
    ids[:2] = 0, 2**64 - 1
    for run, own in enumerate(np.split(ids, seen.FEW), 1):
        seen.add_run(store.connection, run, np.sort(own), run)
    added, add = [], seen.add_run
    monkeypatch.setattr(seen, "add_run", lambda *given: (added.append(len(given[2])), add(*given)))
    assert seen.merge_small_runs(store.connection)
    assert max(added) < 2_000
    rows = store.connection.execute("SELECT run, first, newest_at, hashes FROM seen ORDER BY run, first").fetchall()
    assert {(run, newest_at) for run, _, newest_at, _ in rows} == {(seen.FEW, seen.FEW)}
    assert b"".join(row[3] for row in rows) == np.sort(ids).astype("<u8").tobytes()
    assert [row[1] for row in rows] == [int(each).to_bytes(8, "big") for each in np.sort(ids)[:: seen.CHUNK]]


def test_large_runs_are_left_as_they_are(store, monkeypatch):
    monkeypatch.setattr(seen, "_SMALL", 1_000)
    for number in range(seen.FEW):
        store.note(range(number * 1_000, (number + 1) * 1_000))
        store.seal()
    assert not seen.merge_small_runs(store.connection)
    assert len(seen.runs(store.connection)) == seen.FEW


def test_an_id_is_looked_for_only_where_the_filter_that_knows_it_has_rows_of(store, monkeypatch):
    monkeypatch.setattr(bloom, "_FIRST_CAPACITY", 1_024)
    store.restart()
    ids = np.random.default_rng(7).integers(0, 2**64 - 1, 15_000, np.uint64)
    for start in range(0, len(ids), 1_000):
        store.note(ids[start : start + 1_000].tolist())
        store.seal()
    asked = []
    store.connection.set_trace_callback(asked.append)
    assert store.dedup.known(ids[:200]).all()
    (look,) = (statement for statement in asked if "instr" in statement)
    runs = json.loads(look.partition("json_each('")[2].partition("'")[0])
    assert len(runs) < 4 * 200  # each in the one run of its filter, but for what later filters err in; there are fifteen runs


def test_an_id_whose_bytes_stand_between_two_others_is_not_taken_for_one_of_them(store):
    low, high = 0x1111_1111_2222_2222, 0x3333_3333_4444_4444
    between = int.from_bytes((low.to_bytes(8, "little") + high.to_bytes(8, "little"))[4:12], "little")
    store.note([low, high, 5])
    store.seal()
    (run,) = seen.runs(store.connection)
    looks = [(run, wanted) for wanted in (low, between, high, 6, 5)]
    assert seen.in_runs(store.connection, looks) == {low, high, 5}
    store.note([between])
    store.seal()
    assert seen.in_runs(store.connection, [(seen.runs(store.connection)[-1], between)]) == {between}


def test_of_the_room_for_ids_two_fifths_are_empty_at_the_most(monkeypatch):
    monkeypatch.setattr(bloom, "_FIRST_CAPACITY", 64)
    rooms = []

    class Counted(bloom.Filter):
        def __init__(self, capacity, first):
            rooms.append(capacity)
            super().__init__(capacity, first)

    monkeypatch.setattr(bloom, "Filter", Counted)
    chain, ids = bloom.FilterChain(), np.random.default_rng(7).integers(0, 2**64 - 1, 20_000, np.uint64)
    for count, start in enumerate(range(0, len(ids), 16)):
        chain.add(ids[start : start + 16], count + 1, 0)
        assert sum(rooms) <= 64 + (start + 16) * 5 / 3
    assert chain.contains(ids).all()


def test_a_chunk_stands_in_a_page_of_the_tree(store):
    ids = np.sort(np.random.default_rng(3).integers(0, 2**64 - 1, 40 * seen.CHUNK, np.uint64))
    (before,) = store.connection.execute("PRAGMA page_count").fetchone()
    seen.add_run(store.connection, 1, ids, 0)
    (after,) = store.connection.execute("PRAGMA page_count").fetchone()
    assert after - before < 0.5 * 40
    assert seen.in_runs(store.connection, [(1, int(each)) for each in ids]) == set(ids.tolist())


def test_runs_with_larger_chunks_are_looked_into_and_put_together(store):
    ids = np.sort(np.random.default_rng(3).integers(0, 2**64 - 1, 2_000, np.uint64))
    for number in range(1, seen.FEW + 1):
        own = ids[number - 1 :: seen.FEW]
        row = (number, int(own[0]).to_bytes(8, "big"), 0, own.astype("<u8").tobytes())
        store.connection.execute("INSERT INTO seen (run, first, newest_at, hashes) VALUES (?, ?, ?, ?)", row)
    asked = [(number, int(each)) for number in range(1, seen.FEW + 1) for each in ids]
    assert seen.in_runs(store.connection, asked[:2_000]) == set(ids[0 :: seen.FEW].tolist())
    assert seen.merge_small_runs(store.connection)
    assert seen.in_runs(store.connection, [(seen.FEW, int(each)) for each in ids]) == set(ids.tolist())


def put_runs(store, count, ids):
    """Runs 1 to `count`, run n written at n, of `ids` ids each."""
    for run in range(1, count + 1):
        seen.add_run(store.connection, run, np.arange(run << 32, (run << 32) + ids, dtype=np.uint64), run)


@pytest.mark.parametrize(("before", "left"), [(1, [1, 2, 3, 4]), (3, [3, 4]), (99, [])])
def test_runs_past_the_window_are_forgotten_whole_and_no_others(store, before, left):
    put_runs(store, 4, 3 * seen.CHUNK)
    store.dedup.expire(before)
    assert seen.runs(store.connection) == left
    assert store.connection.execute("SELECT count(*) FROM seen").fetchone() == (3 * len(left),)


def test_a_run_of_a_clock_that_was_set_back_is_forgotten_between_younger_ones(store):
    for run, at in ((1, 50), (2, 10), (3, 60)):
        seen.add_run(store.connection, run, np.arange(seen.CHUNK, dtype=np.uint64), at)
    store.dedup.expire(20)
    assert seen.runs(store.connection) == [1, 3]


def test_looking_for_what_is_past_the_window_does_not_read_all_ids(store):
    def steps(ids):
        store.connection.execute("DELETE FROM seen")
        put_runs(store, 4, ids)
        counted = []
        store.connection.set_progress_handler(lambda: counted.append(1) and None, 1)
        store.dedup.expire(0)
        store.connection.set_progress_handler(None, 0)
        return len(counted)

    assert steps(200 * seen.CHUNK) == steps(seen.CHUNK)
