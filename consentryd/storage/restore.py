"""Bringing a backup back without bringing back who was erased, suppressed, or withdrew since it was made.

What happened since is read from the data directory that the backup replaces, or from a copy of its `region.db` and `keys/signing.json`
files kept elsewhere. Everything happens in a folder beside the data directory, which takes its place at the end: a crash leaves the old one.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from consentryd.model.clock import Clock
from consentryd.model.error import ConfigError, CorruptStore
from consentryd.storage.backup import MANIFEST, check_backup
from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.durable import sync_folder
from consentryd.storage.erasure import count_events, empty_wal, rewrite_without
from consentryd.storage.keys import open_region_keys
from consentryd.storage.ledger import EntryKind, Ledger
from consentryd.storage.master import DEFAULT_FILE, MasterKey
from consentryd.storage.person import Person, delete_rows
from consentryd.storage.scan import Needles, scan_files, scan_lake
from consentryd.storage.seal import Sealer
from consentryd.storage.signing import read
from consentryd.storage.tombstone import bury, forget_tombstones, returned

WAIT_S: Final = 120.0

#: What later decisions of people look like, table by table: rows that the backup lacks, and those that are newer than its own.
_CARRIED: Final = (
    "INSERT OR IGNORE INTO erased SELECT * FROM later.erased",
    "INSERT OR REPLACE INTO suppression SELECT * FROM later.suppression",
    "INSERT OR REPLACE INTO legal_hold SELECT * FROM later.legal_hold",
    "INSERT OR REPLACE INTO restriction SELECT * FROM later.restriction",
    "INSERT OR REPLACE INTO alias SELECT * FROM later.alias",
    "INSERT OR IGNORE INTO subject SELECT * FROM later.subject WHERE id IN (SELECT subject FROM later.choice)",
    "INSERT OR REPLACE INTO identity SELECT * FROM later.identity WHERE subject IN (SELECT subject FROM later.choice)",
    "INSERT OR REPLACE INTO withdrawal SELECT * FROM later.withdrawal",
    (
        "INSERT INTO choice SELECT * FROM later.choice WHERE true ON CONFLICT DO UPDATE SET state = excluded.state, "
        "vouched = excluded.vouched, decided_at = excluded.decided_at, entry = excluded.entry, notice = excluded.notice "
        "WHERE excluded.decided_at > decided_at"
    ),
    "INSERT OR IGNORE INTO choice_proof SELECT * FROM later.choice_proof",
    "INSERT OR IGNORE INTO personal_use SELECT * FROM later.personal_use",
    "INSERT OR REPLACE INTO request SELECT * FROM later.request",
    "INSERT OR IGNORE INTO request_identity SELECT * FROM later.request_identity",
    "INSERT OR IGNORE INTO ledger SELECT * FROM later.ledger",
    "INSERT OR IGNORE INTO ledger_node SELECT * FROM later.ledger_node",
    "INSERT OR REPLACE INTO ledger_checkpoint SELECT * FROM later.ledger_checkpoint",
    "DELETE FROM artifact",
)


class Restored(NamedTuple):
    """What a restore did in one region: subjects and events that had come back with the backup and were erased again."""

    region: str
    subjects: int
    events: int


def restore(root: Path, backup: Path, master: MasterKey, clock: Clock, later: Path | None = None) -> list[Restored]:
    """Put a backup in the place of the data directory `root`; the gateway must not run. The old directory is kept beside it.

    `later`: a data directory, or a folder of `<region>/region.db` and `<region>/keys/signing.json` files, that knows what happened since;
    default: `root` itself.
    Raises `ConfigError` if nothing knows it, or the backup is not whole; `CorruptStore` if somebody erased would have come back.
    """
    manifest = check_backup(backup)
    known = root if later is None else later
    for region in manifest["regions"]:
        if not (known / region / "region.db").exists():
            raise ConfigError(
                f"Nothing tells who was erased in region {region} since the backup: {known / region / 'region.db'} is missing. "
                "Name a folder with a later copy of it by --since."
            )
    staging = root.with_name(f"{root.name}.restoring")
    if staging.exists():
        shutil.rmtree(staging)
    shutil.copytree(backup, staging, ignore=shutil.ignore_patterns(MANIFEST))
    if (root / DEFAULT_FILE).exists():
        shutil.copy2(root / DEFAULT_FILE, staging / DEFAULT_FILE)
    for region in manifest["regions"]:
        _carry_signing(known / region / "keys" / "signing.json", staging / region / "keys" / "signing.json")
    done = [_restore_region(staging, region, known / region / "region.db", master, clock) for region in manifest["regions"]]
    old = root.with_name(f"{root.name}.before-restore")
    if old.exists():
        raise ConfigError(f"{old}, from an earlier restore, is in the way. Look at it, then delete it.")
    if root.exists():
        root.rename(old)
    staging.rename(root)
    sync_folder(root.parent)
    return done


def _restore_region(staging: Path, region: str, later: Path, master: MasterKey, clock: Clock) -> Restored:
    folder, keys = staging / region, open_region_keys(staging, region, master)
    with closing(open_database(folder / "region.db", "region")) as connection:
        _carry(connection, later)
        back = [subject for subject, _ in returned(connection, keys.identity)]
        events = _erase_again(connection, folder, back, keys.identity, clock.now())
        connection.execute("BEGIN IMMEDIATE")
        Ledger(connection).append(clock.now(), EntryKind.RESTORED, {"subjects_erased_again": len(back)})
        connection.execute("COMMIT")
        empty_wal(connection, WAIT_S)
        _check(folder, back)
    return Restored(region, len(back), events)


def _carry_signing(later: Path, restored: Path) -> None:
    """The ledger goes on, so the keys that signed its newer part go with it, unless it is another ledger's."""
    if later.exists() and (not restored.exists() or read(later)["origin"] == read(restored)["origin"]):
        shutil.copy2(later, restored)


def _carry(connection: sqlite3.Connection, later: Path) -> None:
    """Take over what people decided after the backup was made."""
    open_database(later, "region").close()  # brings an older copy to today's tables
    connection.execute("ATTACH DATABASE ? AS later", (str(later),))
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _CARRIED:
                connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    finally:
        connection.execute("DETACH DATABASE later")


def _erase_again(connection: sqlite3.Connection, folder: Path, subjects: list[int], key: bytes, now: int) -> int:
    """The steps of an erasure; how many events went. The work may be repeated."""
    if not subjects:
        return 0
    digests = [
        digest
        for subject in subjects
        for (digest,) in connection.execute("SELECT digest FROM identity WHERE subject = ?", (subject,))
    ]
    connection.execute("BEGIN IMMEDIATE")
    try:
        bury(connection, subjects, "restore", key, now)
        delete_rows(connection, Person(tuple(subjects), tuple(digests)), now)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    lake = DeltaLake(folder)
    Sealer(folder, lake).run(wait_s=WAIT_S)
    events = sum(counts.total() for counts in count_events(lake, subjects).values())
    with lake.writing(WAIT_S):
        rewrite_without(lake, subjects)
        lake.vacuum(WAIT_S)
    forget_tombstones(connection, subjects)
    return events


def _check(folder: Path, subjects: list[int]) -> None:
    needles = Needles(subjects, [])
    found = scan_files(folder, needles).plus(scan_lake(DeltaLake(folder), needles, everything=False)).of("subject")
    if found:
        raise CorruptStore(f"after the restore somebody erased is still in {', '.join(found[:5])}")
