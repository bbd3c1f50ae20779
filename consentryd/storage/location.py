"""Where a database is, as SQLite is told: a folder may have any name, and `?`, `#` and `%` mean something in a URI."""

from __future__ import annotations

from pathlib import Path
from typing import Literal


def uri_of(path: Path, mode: Literal["ro", "rwc"]) -> str:
    """For `sqlite3.connect(uri=True)` and `ATTACH`: `ro` only reads, `rwc` also makes the database."""
    return f"{path.absolute().as_uri()}?mode={mode}"
