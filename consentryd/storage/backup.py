"""A copy of an installation, consistent while it serves: databases page by page, lake files as they are, keys as they are wrapped.

The master key is not in it. Neither are exports that wait, and nothing that could be made again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from consentryd.model.clock import Clock
from consentryd.model.error import ConfigError, CorruptStore
from consentryd.storage.damage import CURE, explain, is_damage
from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.durable import make_private, sync_file, sync_folder, write_private
from consentryd.storage.keys import RING, check_ring
from consentryd.storage.lake import LakeState
from consentryd.storage.ledger import iso
from consentryd.storage.location import DATABASE, stored_regions
from consentryd.storage.seal import check_continuity, last_row
from consentryd.storage.signing import SIGNING, public_keys
from consentryd.storage.tail import read_log
from consentryd.storage.tenancy import alone_in

MANIFEST: Final = "backup.json"
VERSION: Final = 1
WAIT_S: Final = 120.0


class BackupReport(NamedTuple):
    """What was copied."""

    regions: tuple[str, ...]
    files: int
    size: int


def back_up(
    root: Path, target: Path, clock: Clock, progress: Callable[[str, int, int], None] = lambda _step, _done, _of: None
) -> BackupReport:
    """Copy the data directory `root` to the folder `target`, which must not exist. It appears when it is whole, never before.

    Raises `ConfigError` if it exists or there is nothing to copy, `CorruptStore` if what would be copied is damaged, `Busy` if something
    seals or erases for minutes, `OSError`.
    """
    _check_free(target)
    databases, regions = sorted(root.glob("*.db")), stored_regions(root)
    if not databases and not regions:
        raise ConfigError(f"There is nothing in {root} to make a backup of.")
    with _drafted(target) as draft:
        return _fill(root, draft, target, databases, regions, clock, progress)


@contextmanager
def _drafted(target: Path) -> Iterator[Path]:
    """An empty folder for what will be `target`, without what a crash left in it, and gone if it does not come to that. Raises `ConfigError`
    while another backup has it: of two in one folder it would be neither."""
    draft = target.with_name(f"{target.name}.partial")
    with alone_in(draft, refusal=f"Another backup to {target} is being made."):
        _check_free(target)  # again: the other may just have ended
        try:
            for each in draft.iterdir():
                shutil.rmtree(each) if each.is_dir() else each.unlink()
            yield draft
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def _check_free(target: Path) -> None:
    if target.exists():
        raise ConfigError(f"{target} exists already; name a folder that does not.")


def _fill(
    root: Path,
    draft: Path,
    target: Path,
    databases: Sequence[Path],
    regions: Sequence[str],
    clock: Clock,
    progress: Callable[[str, int, int], None],
) -> BackupReport:
    at = clock.now()
    for path in databases:
        copy_database(path, draft / path.name, "control")
    for done, name in enumerate(regions):
        progress(f"region {name}", done, len(regions))
        _copy_region(root / name, draft / name)
    files = {str(path.relative_to(draft)): _described(path) for path in sorted(draft.rglob("*")) if path.is_file()}
    manifest = {"version": VERSION, "made_at": iso(at), "regions": regions, "files": files}
    write_private(draft / MANIFEST, json.dumps(manifest, indent=1))
    for path in (draft, *draft.rglob("*")):
        sync_file(path)
    draft.rename(target)
    sync_folder(target.parent)
    return BackupReport(tuple(regions), len(files), sum(each["size"] for each in files.values()))


def check_backup(backup: Path) -> dict[str, Any]:
    """The manifest of a backup whose every file is what was copied. Raises `ConfigError`."""
    try:
        manifest: dict[str, Any] = json.loads((backup / MANIFEST).read_text(encoding="utf-8"))
        files = manifest["files"]
        if manifest["version"] != VERSION:
            raise ConfigError(f"{backup} is a backup of version {manifest['version']}, this is version {VERSION}.")
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(f"{backup} is not a backup: its {MANIFEST} cannot be read.") from None
    for name, described in files.items():
        path = backup / name
        if not path.is_file() or _described(path) != described:
            raise ConfigError(f"{path} is missing, or not what was backed up.")
    return manifest


def copy_database(source: Path, target: Path, schema: str) -> None:
    """One moment of a database that others write to, as a private file of its own. Raises `CorruptStore` if it is damaged."""
    try:
        copy_pages(source, target, schema)
        with closing(sqlite3.connect(target)) as copy:
            problem = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        raise CorruptStore(explain(error, [source])) from error
    if problem != "ok":
        raise CorruptStore(f"{source} is damaged: {' '.join(problem.split())}. {CURE}")


def copy_pages(source: Path, target: Path, schema: str) -> None:
    """As `copy_database`, but takes what is damaged along. Raises `CorruptStore` if it is no database, `sqlite3.DatabaseError`."""
    make_private(target)
    with closing(open_database(source, schema, readonly=True)) as connection, closing(sqlite3.connect(target)) as copy:
        connection.backup(copy)


def _copy_region(root: Path, target: Path) -> None:
    """Nothing is sealed between database and table version, and no file is deleted before it was copied.

    The writer's lock comes first: who has it may wait for all readers to end.
    """
    lake = DeltaLake(root)
    target.mkdir(mode=0o700)
    with ExitStack() as leases:
        with lake.writing(WAIT_S):
            leases.enter_context(lake.reading())
            lake.heal()  # what is listed now stays; drafts a crash left would be gone at the next seal, before they are copied
            copy_database(root / DATABASE, target / DATABASE, "region")
            state = lake.state()
            files = [lake.folder / file.path for file in state.files]
            log = [path for path in (lake.folder / "_delta_log").glob("*") if path.is_file()]
        _check_log(target / DATABASE, root / DATABASE, state)
        lake.check(state.files, deep=True)
        for path in [*files, *log, *_keys(root)]:
            copied = target / path.relative_to(root)
            copied.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            shutil.copy2(path, copied)
    _check_keys(target, root)


def _check_log(copy: Path, source: Path, state: LakeState) -> None:
    """The log of a copy goes on where the lake ends, and its rows are what was written. Raises `CorruptStore`, about the source."""
    with closing(sqlite3.connect(copy)) as connection:
        check_continuity(connection, source, state)
        for _ in read_log(connection, source, state.sealed, last_row(connection)):
            pass


def _check_keys(target: Path, root: Path) -> None:
    """What no master key is needed for. Raises `ConfigError`, about the source."""
    if (target / "keys" / RING).exists():
        check_ring(root / "keys" / RING)
    if (target / "keys" / SIGNING).exists():
        public_keys(root / "keys" / SIGNING)


def _keys(root: Path) -> Iterator[Path]:
    return (path for path in (root / "keys").glob("*.json") if path.is_file())


def _described(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
