"""Which regions an installation has had. One whose database is gone, as where a disk is not mounted, is not begun anew by itself: its
people's choices, suppressions and requests would be in force nowhere, and nobody would be told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from consentryd.model.clock import SECOND
from consentryd.model.error import ConfigError
from consentryd.storage.database import open_database
from consentryd.storage.location import CONTROL, DATABASE


def note_regions(root: Path, names: Iterable[str], now: int) -> None:
    """They have a database in this data directory from now on."""
    if (root / CONTROL).exists():
        with closing(open_database(root / CONTROL, "control")) as connection:
            connection.executemany("INSERT OR IGNORE INTO region (name, since) VALUES (?, ?)", [(name, now) for name in names])


def gone_regions(root: Path, names: Iterable[str]) -> dict[str, int]:
    """Those of the regions that had a database here and have none now, and since when they had (UTC microseconds)."""
    missing = [name for name in names if not (root / name / DATABASE).exists()]
    if not missing or not (root / CONTROL).exists():
        return {}
    with closing(open_database(root / CONTROL, "control", readonly=True)) as connection:
        try:
            had = dict(connection.execute("SELECT name, since FROM region").fetchall())
        except sqlite3.OperationalError:  # written before regions were noted, and not opened for writing since
            return {}
    return {name: had[name] for name in missing if name in had}


def require_regions(root: Path, names: Iterable[str]) -> None:
    """Raises `ConfigError` for regions that are gone."""
    for name, since in gone_regions(root, names).items():
        raise ConfigError(absence(root, name, since))


def absence(root: Path, name: str, since: int) -> str:
    """What to say of a region that is gone."""
    day = datetime.fromtimestamp(since / SECOND, UTC).date()
    return (
        f"{root / name / DATABASE} is gone; region {name} has held data since {day} or longer. Is its disk mounted? Else restore it from a "
        f"backup. If there is none, `consentry repair {name}` says what is lost, and with --yes lets the region begin anew."
    )


def forget_region(root: Path, name: str) -> None:
    """It may begin anew."""
    with closing(open_database(root / CONTROL, "control")) as connection:
        connection.execute("DELETE FROM region WHERE name = ?", (name,))
