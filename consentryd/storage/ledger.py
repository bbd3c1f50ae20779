"""The ledger of a region: an append-only list of facts without personal data, under a Merkle tree whose head is signed.

Entries are RFC 8785 canonical JSON, numbered from 0. An entry and its tree nodes are written in the transaction of what they record.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import rfc8785

from consentryd.model.clock import SECOND
from consentryd.storage.merkle import (
    EMPTY_ROOT,
    completed,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
)
from consentryd.storage.note import BadNote, Checkpoint, Verifier, open_checkpoint
from consentryd.storage.signing import Signer


class EntryKind(StrEnum):
    """What an entry records. Stable: entries are never rewritten."""

    CONSENT = "consent"
    WITHDRAWAL_APPLIED = "withdrawal_applied"
    REGION_REFUSED = "region_refused"
    DAILY_KEY_MADE = "daily_key_made"
    DAILY_KEY_DESTROYED = "daily_key_destroyed"
    SIGNING_KEY_ROTATED = "signing_key_rotated"
    POLICY_CHANGED = "policy_changed"
    ERASURE = "erasure"
    PERSONAL_USE = "personal_use"
    RESTRICTION = "restriction"
    OBJECTION = "objection"
    RECTIFICATION = "rectification"
    LEGAL_HOLD = "legal_hold"
    RETENTION = "retention"
    RESTORED = "restored"
    REPAIRED = "repaired"


class Entry(NamedTuple):
    """One fact. `body` is the canonical JSON that `leaf` is the RFC 9162 leaf hash of."""

    number: int
    body: str
    leaf: bytes


class BadEntry(NamedTuple):
    """The first thing wrong with a ledger: where, and what."""

    number: int
    problem: str


class LedgerTree(ABC):
    """What every ledger does, wherever its rows are. `Ledger` keeps them in SQLite, `MemoryLedger` in memory."""

    @property
    @abstractmethod
    def size(self) -> int: ...

    @abstractmethod
    def entry(self, number: int) -> Entry | None: ...

    @abstractmethod
    def node(self, level: int, position: int) -> bytes:
        """The hash of a complete subtree; of an entry at level 0. Raises `KeyError` if it is not there."""

    @abstractmethod
    def rows(self) -> Iterator[tuple[int, int, str, str, bytes]]:
        """Number, time, kind, body and leaf of each entry, in order."""

    @abstractmethod
    def nodes(self) -> int:
        """How many nodes above level 0 are stored."""

    @abstractmethod
    def keep_checkpoint(self, note: str, at: int) -> None:
        """Keep the note as its day's last: what `verify_ledger` later holds the entries against."""

    @abstractmethod
    def checkpoints(self) -> list[tuple[str, int, str]]:
        """Day, size and note of each kept checkpoint, oldest first."""

    @abstractmethod
    def _write(self, entry: Entry, at: int, kind: EntryKind, nodes: Sequence[tuple[int, int, bytes]]) -> None: ...

    def append(self, at: int, kind: EntryKind, facts: Mapping[str, Any]) -> Entry:
        """Record a fact of `at` (UTC microseconds). Nothing personal may be in `facts`; `kind` and `at` join them."""
        number = self.size
        body = rfc8785.dumps({**facts, "kind": kind.value, "at": iso(at)})
        entry = Entry(number, body.decode(), leaf_hash(body))
        self._write(entry, at, kind, list(completed(number, entry.leaf, self.node)))
        return entry

    def root(self, size: int | None = None) -> bytes:
        return root_of(self.size if size is None else size, self.node)

    def inclusion(self, number: int, size: int) -> list[bytes]:
        """Raises `ValueError` unless 0 <= number < size <= the ledger's."""
        self._check(size)
        return inclusion_proof(number, size, self.node)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """Raises `ValueError` unless 0 < first <= second <= the ledger's size."""
        self._check(second)
        return consistency_proof(first, second, self.node)

    def checkpoint(self, signer: Signer) -> str:
        """The head of now as a signed note."""
        size = self.size
        return signer.sign_note(Checkpoint(signer.origin, size, self.root(size)).text)

    def _check(self, size: int) -> None:
        if size > self.size:
            raise ValueError("the ledger is not that long")


class Ledger(LedgerTree):
    """Reads through any connection to the region's database; writes within the transaction that is open on it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @property
    def size(self) -> int:
        row = self._connection.execute("SELECT max(entry) FROM ledger").fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    def entry(self, number: int) -> Entry | None:
        row = self._connection.execute("SELECT entry, body, leaf FROM ledger WHERE entry = ?", (number,)).fetchone()
        return None if row is None else Entry(*row)

    def node(self, level: int, position: int) -> bytes:
        if level:
            row = self._connection.execute("SELECT hash FROM ledger_node WHERE level = ? AND position = ?", (level, position))
        else:
            row = self._connection.execute("SELECT leaf FROM ledger WHERE entry = ?", (position,))
        found = row.fetchone()
        if found is None:
            raise KeyError(f"the ledger has no node {position} of level {level}")
        return bytes(found[0])

    def rows(self) -> Iterator[tuple[int, int, str, str, bytes]]:
        yield from self._connection.execute("SELECT entry, at, kind, body, leaf FROM ledger ORDER BY entry")

    def nodes(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM ledger_node").fetchone()[0])

    def keep_checkpoint(self, note: str, at: int) -> None:
        self._connection.execute(
            "INSERT INTO ledger_checkpoint (day, size, note) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET size = excluded.size, note = excluded.note",
            (iso(at)[:10], size_of(note), note),
        )

    def checkpoints(self) -> list[tuple[str, int, str]]:
        return self._connection.execute("SELECT day, size, note FROM ledger_checkpoint ORDER BY day").fetchall()

    def _write(self, entry: Entry, at: int, kind: EntryKind, nodes: Sequence[tuple[int, int, bytes]]) -> None:
        self._connection.execute(
            "INSERT INTO ledger (entry, at, kind, body, leaf) VALUES (?, ?, ?, ?, ?)",
            (entry.number, at, kind, entry.body, entry.leaf),
        )
        self._connection.executemany("INSERT INTO ledger_node (level, position, hash) VALUES (?, ?, ?)", nodes)


def size_of(note: str) -> int:
    """The size that a checkpoint signs."""
    return int(note.split("\n", 2)[1])


def verify_ledger(ledger: LedgerTree, verifiers: Sequence[Verifier]) -> BadEntry | None:
    """Recompute everything from the entries' text and hold it against what is stored; the first thing wrong, or None.

    Memory is bounded: the tree is folded while it is read, and its nodes are compared as they complete.
    """
    try:
        heads = [(size, open_checkpoint(note, verifiers), day) for day, size, note in ledger.checkpoints()]
    except BadNote as error:
        return BadEntry(ledger.size, f"a kept checkpoint: {error}")
    fold = _Fold(ledger)
    due = iter(sorted(heads))
    head = next(due, None)
    for row in ledger.rows():
        if problem := fold.add(*row):
            return BadEntry(fold.size, problem)
        while head is not None and head[0] == fold.size:
            if problem := _against(head, fold.root()):
                return BadEntry(fold.size - 1, problem)
            head = next(due, None)
    if head is not None:
        return BadEntry(fold.size, f"missing: the checkpoint of {head[2]} counts {head[0]} entries, there are {fold.size}")
    nodes = ledger.nodes()
    return None if nodes == fold.nodes else BadEntry(fold.size, f"the tree has {nodes} nodes for {fold.nodes}")


def _against(head: tuple[int, Checkpoint, str], root: bytes) -> str | None:
    size, checkpoint, day = head
    if checkpoint.size != size:
        return f"the checkpoint of {day} is kept under another size than it signs"
    return None if checkpoint.root == root else f"the entries up to here are not those that the checkpoint of {day} signs"


class _Fold:
    """The tree over the entries read so far, as the hashes of its complete subtrees from left to right."""

    def __init__(self, ledger: LedgerTree) -> None:
        self._ledger = ledger
        self._peaks: list[tuple[int, bytes]] = []
        self.size = 0
        self.nodes = 0

    def add(self, number: int, at: int, kind: str, body: str, leaf: bytes) -> str | None:
        """Take the next entry; what is wrong with it, if anything is."""
        if number != self.size:
            return "the entry is missing"
        if problem := _wrong(at, kind, body, leaf):
            return problem
        for level, position, found in self._merge(leaf):
            try:
                stored = self._ledger.node(level, position)
            except KeyError:
                return f"tree node {position} of level {level} is missing"
            if stored != found:
                return f"tree node {position} of level {level} is not the hash of its entries"
        self.size += 1
        return None

    def root(self) -> bytes:
        found = self._peaks[-1][1] if self._peaks else EMPTY_ROOT
        for _, peak in reversed(self._peaks[:-1]):
            found = node_hash(peak, found)
        return found

    def _merge(self, leaf: bytes) -> Iterator[tuple[int, int, bytes]]:
        level, found = 0, leaf
        while self._peaks and self._peaks[-1][0] == level:
            found = node_hash(self._peaks.pop()[1], found)
            level += 1
            self.nodes += 1
            yield level, self.size >> level, found
        self._peaks.append((level, found))


def _wrong(at: int, kind: str, body: str, leaf: bytes) -> str | None:
    if leaf_hash(body.encode()) != leaf:
        return "its text is not what its leaf hash says"
    if f'"at":"{iso(at)}"' not in body or f'"kind":"{kind}"' not in body:
        return "its time or kind is not what its text says"
    return None


def iso(at: int) -> str:
    """UTC microseconds as RFC 3339 text with six decimals."""
    seconds, rest = divmod(at, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:06}Z"
