"""Bringing a backup back without bringing back who was erased, suppressed, or withdrew since it was made.

What happened since is read from the data directory that the backup replaces, or from a copy of its `region.db` and `keys/signing.json`
files kept elsewhere. Everything happens in a folder beside the data directory, which takes its place at the end: a crash leaves the old one.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final, NamedTuple

from consentryd.model.clock import Clock
from consentryd.model.error import ConfigError, CorruptStore
from consentryd.storage.backup import MANIFEST, check_backup
from consentryd.storage.database import open_database, transaction
from consentryd.storage.delta import DeltaLake
from consentryd.storage.durable import sync_file, sync_folder
from consentryd.storage.erasure import count_events, empty_wal, rewrite_without
from consentryd.storage.keys import open_region_keys
from consentryd.storage.later import (
    LATER,
    SINCE,
    TELLING,
    carry,
    carry_api_keys,
    carry_keys,
    copy_later,
    hide_refused,
)
from consentryd.storage.ledger import EntryKind, Ledger
from consentryd.storage.location import CONTROL, DATABASE, stored_regions
from consentryd.storage.master import DEFAULT_FILE, MasterKey
from consentryd.storage.person import Person, delete_rows
from consentryd.storage.scan import Needles, scan_files, scan_lake
from consentryd.storage.seal import Sealer
from consentryd.storage.tenancy import REPLACED, check_home, tear_down, vacated
from consentryd.storage.tombstone import bury, forget_tombstones, present, returned

WAIT_S: Final = 120.0


class Restored(NamedTuple):
    """What a restore did in one region: subjects and events that had come back with the backup and were erased again.

    `rectifications` were made since the backup; what they corrected is as wrong again as it was.
    """

    region: str
    subjects: int
    events: int
    rectifications: int


class RestoreReport(NamedTuple):
    """`kept` are the regions that the backup knows nothing of. `keys_followed`: keys made and revoked since the backup are so again."""

    regions: tuple[Restored, ...]
    kept: tuple[str, ...]
    keys_followed: bool
    replaced: Path | None


def restore(
    root: Path,
    backup: Path,
    master: MasterKey,
    clock: Clock,
    later: Path | None = None,
    keeps: Callable[[str], bool] = lambda _purpose: False,
) -> RestoreReport:
    """Put a backup in the place of the data directory `root`, which nobody may serve. The old directory is kept beside it.

    `later`: a data directory, or a folder of `<region>/region.db` and `<region>/keys/*.json` files, that knows what happened since;
    default: `root` itself. `keeps` says of which purposes withdrawn events stay (`on_withdrawal = keep`).
    Raises `ConfigError` if nothing knows it, or the backup is not whole; `CorruptStore` if somebody erased would have come back.
    """
    place_for_old(root)
    manifest = check_backup(backup)
    known = root if later is None else later
    for region in manifest["regions"]:
        if not (known / region / DATABASE).exists():
            raise ConfigError(
                f"Nothing tells who was erased in region {region} since the backup: {known / region / DATABASE} is missing. {SINCE}"
            )
    staging = root.with_name(f"{root.name}.restoring")
    with vacated(root) as there:
        old = place_for_old(root)  # again: another restore may just have ended
        if staging.exists():
            shutil.rmtree(staging)
        try:
            report = _stage(root, backup, manifest["regions"], known, staging, master, clock, keeps)
            for path in (staging, *staging.rglob("*")):
                sync_file(path)
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise
        if there:
            root.rename(old)
        else:
            tear_down(root)
        staging.rename(root)
        sync_folder(root.parent)
    return report._replace(replaced=old if there else None)


def place_for_old(root: Path) -> Path:
    """Where the directory that is replaced will be. Raises `ConfigError` where it cannot be put there."""
    check_home(root)
    old = root.with_name(root.name + REPLACED)
    if old.exists():
        raise ConfigError(f"{old}, from an earlier restore, is in the way. Look at it, then delete it.")
    if root.is_mount():
        raise ConfigError(f"{root} is a mount point and cannot be replaced. Keep the data in a folder of it (storage.data_dir).")
    return old


def _stage(
    root: Path,
    backup: Path,
    regions: Sequence[str],
    known: Path,
    staging: Path,
    master: MasterKey,
    clock: Clock,
    keeps: Callable[[str], bool],
) -> RestoreReport:
    shutil.copytree(backup, staging, ignore=shutil.ignore_patterns(MANIFEST))
    if (root / DEFAULT_FILE).exists():
        shutil.copy2(root / DEFAULT_FILE, staging / DEFAULT_FILE)
    followed = carry_api_keys(known / CONTROL, staging / CONTROL)
    done = []
    for region in regions:
        folder = staging / region
        scratch = folder / LATER
        copy_later(known / region / DATABASE, scratch, "region", TELLING)
        carry_keys(known / region / "keys", folder / "keys", master)
        done.append(_restore_region(staging, region, scratch, master, clock, keeps))
        scratch.unlink()
    kept = [name for name in stored_regions(root) if name not in regions]
    for region in kept:
        shutil.copytree(root / region, staging / region)
    return RestoreReport(tuple(done), tuple(kept), followed, None)


def _restore_region(
    staging: Path, region: str, later: Path, master: MasterKey, clock: Clock, keeps: Callable[[str], bool]
) -> Restored:
    folder, keys = staging / region, open_region_keys(staging, region, master)
    with closing(open_database(folder / DATABASE, "region")) as connection:
        size = Ledger(connection).size
        there = present(connection)  # before who came again after an erasure, and chose, takes the place of who they were
        merged = carry(connection, later, region)
        back = returned(connection, there, keys.identity)
        events = _erase_again(connection, folder, back, keys.identity, clock.now())
        connection.execute("BEGIN IMMEDIATE")
        rectified = hide_refused(connection, size, merged, keeps)
        Ledger(connection).append(clock.now(), EntryKind.RESTORED, {"subjects_erased_again": len(back)})
        connection.execute("COMMIT")
        empty_wal(connection, WAIT_S)
        _check(folder, back)
    return Restored(region, len(back), events, rectified)


def _erase_again(connection: sqlite3.Connection, folder: Path, subjects: list[int], key: bytes, now: int) -> int:
    """The steps of an erasure; how many events went. The work may be repeated."""
    if not subjects:
        return 0
    digests = [
        digest
        for subject in subjects
        for (digest,) in connection.execute("SELECT digest FROM identity WHERE subject = ?", (subject,))
    ]
    with transaction(connection):
        connection.execute("DELETE FROM rejected")  # shapes of what they sent may be among them, and nothing tells which
        bury(connection, subjects, "restore", key, now)
        delete_rows(connection, Person(tuple(subjects), tuple(digests)), now)
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
