"""The ledger keeps what was written, proves it, and `verify_ledger` names the first thing that was changed."""

import pytest

from consentryd.model.clock import DAY, ManualClock
from consentryd.storage.database import open_database
from consentryd.storage.ledger import EntryKind, Ledger, verify_ledger
from consentryd.storage.memory import MemoryLedger
from consentryd.storage.merkle import leaf_hash, verify_consistency, verify_inclusion
from consentryd.storage.note import open_checkpoint
from consentryd.storage.signing import SigningKeys

NOW = 1_795_291_200_000_000
SIZE = 37


class Region:
    def __init__(self, root, in_memory=False):
        self.clock = ManualClock(NOW)
        self.keys = SigningKeys(root, "eu", b"k" * 32, self.clock)
        (root / "eu").mkdir(exist_ok=True)
        self.connection = open_database(root / "eu" / "region.db", "region")
        self.ledger = MemoryLedger() if in_memory else Ledger(self.connection)

    def fill(self, entries):
        for number in range(entries):
            self.ledger.append(self.clock.now(), EntryKind.REGION_REFUSED, {"region": "us", "number": number})
            self.clock.advance(DAY // 10)
            self.ledger.keep_checkpoint(self.ledger.checkpoint(self.keys.signer()), self.clock.now())

    def verify(self):
        return verify_ledger(self.ledger, [key.verifier for key in self.keys.public()])


@pytest.fixture
def region(tmp_path):
    made = Region(tmp_path)
    yield made
    made.connection.close()


@pytest.fixture(params=["sqlite", "memory"])
def either(request, tmp_path):
    """What both implementations promise."""
    made = Region(tmp_path, in_memory=request.param == "memory")
    yield made
    made.connection.close()


def test_entries_are_canonical_and_numbered_from_zero(either):
    entry = either.ledger.append(NOW + 5, EntryKind.POLICY_CHANGED, {"z": 1, "a": "é"})
    assert (entry.number, entry.body) == (0, '{"a":"é","at":"2026-11-21T20:00:00.000005Z","kind":"policy_changed","z":1}')
    assert either.ledger.entry(0) == entry
    assert entry.leaf == leaf_hash(entry.body.encode())


def test_every_entry_is_included_and_every_head_consistent(either):
    roots = []
    for size in range(1, SIZE + 1):
        either.fill(1)
        roots.append(either.ledger.root())
        assert roots[-1] == either.ledger.root(size)
    for first in range(1, SIZE + 1):
        assert verify_consistency(first, roots[first - 1], SIZE, roots[-1], either.ledger.consistency(first, SIZE))
        entry = either.ledger.entry(first - 1)
        assert verify_inclusion(entry.leaf, entry.number, SIZE, either.ledger.inclusion(entry.number, SIZE), roots[-1])


def test_a_checkpoint_verifies_after_its_key_was_rotated(either):
    either.fill(3)
    note = either.ledger.checkpoint(either.keys.signer())
    old, new = either.keys.rotate()
    assert (old.retired_at is None, new.retired_at) == (False, None)
    checkpoint = open_checkpoint(note, [key.verifier for key in either.keys.public()])
    assert (checkpoint.size, checkpoint.root) == (3, either.ledger.root())
    assert either.keys.signer().id == new.id


def test_an_untouched_ledger_verifies(either):
    assert either.verify() is None
    either.fill(SIZE)
    assert len(either.ledger.checkpoints()) == 5
    assert either.verify() is None


def test_what_is_not_there_is_refused_alike(either):
    either.fill(3)
    assert [either.ledger.entry(number) for number in (-1, 3)] == [None, None]
    for level, position in ((0, 3), (1, 1), (2, 0)):
        with pytest.raises(KeyError):
            either.ledger.node(level, position)
    for wrong in (
        lambda: either.ledger.inclusion(3, 3),
        lambda: either.ledger.inclusion(0, 4),
        lambda: either.ledger.consistency(0, 3),
    ):
        with pytest.raises(ValueError, match=r"tree|order|long"):
            wrong()


FLIP = "UPDATE {table} SET {column} = CAST(substr({column}, 1, {at} - 1) || {byte} || substr({column}, {at} + 1) AS {kind}) WHERE {row}"


def flip(connection, table, column, row, at, kind="BLOB"):
    """Change one byte of one stored value."""
    byte = "x'00'" if kind == "BLOB" else "'~'"
    changed = connection.execute(FLIP.format(table=table, column=column, row=row, at=at, kind=kind, byte=byte))
    assert changed.rowcount == 1


@pytest.mark.parametrize(
    ("table", "column", "row", "at", "kind", "number", "problem"),
    [
        ("ledger", "body", "entry = 5", 3, "TEXT", 5, "text is not what its leaf"),
        ("ledger", "leaf", "entry = 36", 7, "BLOB", 36, "text is not what its leaf"),
        ("ledger", "kind", "entry = 0", 1, "TEXT", 0, "time or kind"),
        ("ledger_node", "hash", "level = 1 AND position = 3", 9, "BLOB", 7, "node 3 of level 1"),
        ("ledger_node", "hash", "level = 5 AND position = 0", 1, "BLOB", 31, "node 0 of level 5"),
        ("ledger_checkpoint", "note", "day = '2026-11-23'", 25, "TEXT", 37, "checkpoint"),
        ("ledger_checkpoint", "note", "day = '2026-11-23'", 150, "TEXT", 37, "checkpoint"),
    ],
)
def test_a_flipped_byte_is_found_where_it_is(region, table, column, row, at, kind, number, problem):
    region.fill(SIZE)
    flip(region.connection, table, column, row, at, kind)
    bad = region.verify()
    assert bad is not None
    assert bad.number == number
    assert problem in bad.problem


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ("UPDATE ledger SET at = at + 1 WHERE entry = 4", 4),
        ("DELETE FROM ledger WHERE entry = 9", 9),
        ("DELETE FROM ledger WHERE entry >= 35", 35),
        ("DELETE FROM ledger_node WHERE level = 2 AND position = 1", 7),
        ("INSERT INTO ledger_node VALUES (1, 18, x'00')", 37),
        ("UPDATE ledger_checkpoint SET size = 8 WHERE day = '2026-11-22'", 7),
    ],
)
def test_what_is_missing_moved_or_added_is_found(region, change, number):
    region.fill(SIZE)
    region.connection.execute(change)
    assert region.verify().number == number


def test_history_rewritten_with_all_its_hashes_is_caught_by_the_signed_checkpoints(region):
    region.fill(SIZE)
    checkpoints = region.ledger.checkpoints()
    region.connection.execute("DELETE FROM ledger")
    region.connection.execute("DELETE FROM ledger_node")
    for number in range(SIZE):
        region.ledger.append(NOW, EntryKind.REGION_REFUSED, {"region": "xx", "number": number})
    assert region.ledger.checkpoints() == checkpoints
    assert region.verify().number == checkpoints[0][1] - 1
