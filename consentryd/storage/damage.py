"""Which database is damaged. SQLite only says that one is."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from consentryd.storage.location import uri_of

_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
#: What a full disk comes as, the second where SQLite makes its `-shm`.
_NO_ROOM: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})
#: Enough for every region of a process.
_REMEMBERED: Final = 64
_OPENED: Final[dict[Path, None]] = {}

CURE: Final = "Stop the gateway and put a backup in its place with `consentry restore`."


def note_opened(path: Path) -> None:
    """Where to look if SQLite finds damage."""
    _OPENED.pop(path, None)  # the newest stands last
    if len(_OPENED) < _REMEMBERED:
        _OPENED[path] = None


def forget_opened() -> None:
    """What was opened for another command is in no question."""
    _OPENED.clear()


def is_damage(error: BaseException) -> bool:
    """Whether SQLite says that what a file holds is not what it wrote."""
    return isinstance(error, sqlite3.Error) and getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGE


def explain(error: sqlite3.Error, among: Iterable[Path] | None = None) -> str:
    """The error in a line: of damage, with the file that has it and what to do. `among` are the files in question, if few."""
    suspects = list(_OPENED if among is None else among)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if suspects and code == sqlite3.SQLITE_CANTOPEN:
        return f"{suspects[-1]}: {error}. SQLite has to write in {suspects[-1].parent}, even to read."
    if suspects and code in _NO_ROOM and (folder := suspects[-1].parent).is_dir():
        return f"{suspects[-1]}: {error}. {shutil.disk_usage(folder).free / 2**20:,.1f} MiB are free on its disk."
    if not is_damage(error):
        return f"SQLite: {error}"
    damaged = [path for path in suspects if _is_damaged(path)] or suspects
    return f"{' or '.join(map(str, damaged))}: {error}. {CURE}"


def _is_damaged(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        with closing(sqlite3.connect(uri_of(path, "ro"), uri=True)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok")
    except sqlite3.OperationalError:
        return False
    except sqlite3.DatabaseError:
        return True
