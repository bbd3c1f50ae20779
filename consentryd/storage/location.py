"""Where databases are, and as SQLite is told it: a folder may have any name, and `?`, `#` and `%` mean something in a URI."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

#: In the data directory: API keys, what analysts saved, which regions there are.
CONTROL: Final = "control.db"
#: In the folder of each region.
DATABASE: Final = "region.db"


def stored_regions(root: Path) -> list[str]:
    """The regions of which something is in the data directory `root`, whoever serves them, by name."""
    return [path.parent.name for path in sorted(root.glob(f"*/{DATABASE}"))]


def uri_of(path: Path, mode: Literal["ro", "rwc"]) -> str:
    """For `sqlite3.connect(uri=True)` and `ATTACH`: `ro` only reads, `rwc` also makes the database."""
    return f"{path.absolute().as_uri()}?mode={mode}"
