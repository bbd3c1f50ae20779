"""Going on with a region's database that lost its end, where no backup is left to restore.

The log's numbers go on behind those in the lake. Events in the lake of subjects that no identity leads to any more are taken out: they were
handed out in what was lost, and no request of a person would ever find them.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from consentryd.model.clock import Clock
from consentryd.model.error import ConfigError, CorruptStore
from consentryd.storage.damage import CURE
from consentryd.storage.database import open_database, transaction
from consentryd.storage.delta import DeltaLake
from consentryd.storage.durable import sync_folder
from consentryd.storage.erasure import count_events, empty_wal, rewrite_without
from consentryd.storage.ledger import EntryKind, Ledger, iso
from consentryd.storage.location import DATABASE
from consentryd.storage.seal import finish, last_row
from consentryd.storage.subject import SUBJECTS
from consentryd.storage.tenancy import vacated

WAIT_S: Final = 60.0
_LAST: Final = (
    "SELECT max(at) FROM (SELECT max(committed_at) AS at FROM log UNION ALL SELECT max(at) FROM ledger "
    "UNION ALL SELECT max(created_at) FROM identity UNION ALL SELECT max(created_at) FROM change)"
)


class Loss(NamedTuple):
    """What a region's database lost. The log's rows after `last` up to `sealed` are in the lake only; nothing is known after
    `known_until` (UTC microseconds, 0: of no time at all). `events` in the lake are of `subjects` that nothing leads to."""

    region: str
    last: int
    sealed: int
    known_until: int
    subjects: int
    events: int


def assess(root: Path, region: str) -> Loss:
    """What is lost, without changing anything. Raises `ConfigError` where nothing is, `CorruptStore` for what only a backup mends."""
    folder = root / region
    lake = DeltaLake(folder)
    with closing(open_database(folder / DATABASE, "region", readonly=True)) as connection:
        return _assess(connection, folder, lake)[0]


def repair(root: Path, region: str, clock: Clock) -> tuple[Loss, Path]:
    """Make the database one that a gateway starts over; what was lost, and where the files are as they were. Nobody may serve `root`.

    May be repeated after a crash. Raises `ConfigError`, `CorruptStore`, `Busy`.
    """
    folder = root / region
    with vacated(root):
        lake = DeltaLake(folder)
        with lake.writing(WAIT_S):
            assess(root, region)
            evidence = _keep_evidence(root, region)
            with closing(open_database(folder / DATABASE, "region")) as connection:
                lake.heal()
                loss, orphans = _assess(connection, folder, lake)
                if orphans:
                    rewrite_without(lake, orphans)
                    lake.vacuum(WAIT_S)
                _go_on(connection, loss, clock.now())
                finish(connection, loss.sealed)  # what is in the lake may have been erased there since
                empty_wal(connection, WAIT_S)
    return loss, evidence


def _assess(connection: sqlite3.Connection, folder: Path, lake: DeltaLake) -> tuple[Loss, list[int]]:
    problem = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    if problem != "ok":
        raise CorruptStore(f"{folder / DATABASE}: {problem}. {CURE}")
    state, last = lake.state(), last_row(connection)
    if last >= state.sealed:
        raise ConfigError(f"Region {folder.name}: its database is no older than its lake; nothing was changed.")
    lake.check(state.files)
    orphans = sorted(_orphans(connection, lake))
    events = sum(counts.total() for counts in count_events(lake, orphans).values()) if orphans else 0
    known_until = connection.execute(_LAST).fetchone()[0] or 0
    return Loss(folder.name, last, state.sealed, known_until, len(orphans), events), orphans


def _orphans(connection: sqlite3.Connection, lake: DeltaLake) -> Iterator[int]:
    """Subjects of the lake that the database never heard of."""
    known = np.fromiter((subject for (subject,) in connection.execute(SUBJECTS)), np.int64)
    strange: set[int] = set()
    for file in lake.state().files:
        for table in lake.read(file, ["subject"]):
            found = np.unique(table["subject"].drop_null().to_numpy())
            strange.update(found[~np.isin(found, known)].tolist())
    yield from strange


def _keep_evidence(root: Path, region: str) -> Path:
    """A copy of the database's files beside the data directory, where no erasure looks: the first repair's, if it is repeated."""
    target = root.with_name(f"{root.name}.before-repair") / region
    if target.exists():
        return target
    draft = target.with_name(f"{region}.draft")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700, parents=True)
    for path in sorted((root / region).glob(f"{DATABASE}*")):
        shutil.copy2(path, draft)
    draft.rename(target)
    sync_folder(target.parent)
    return target


def _go_on(connection: sqlite3.Connection, loss: Loss, now: int) -> None:
    """In one transaction: the next log row comes after all that are sealed, and the ledger says what happened."""
    with transaction(connection):
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'log'")
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('log', ?)", (loss.sealed,))
        facts = {
            "log_rows_lost": loss.sealed - loss.last,
            "known_until": iso(loss.known_until),
            "subjects_taken_out": loss.subjects,
            "events_taken_out": loss.events,
        }
        Ledger(connection).append(now, EntryKind.REPAIRED, facts)
