"""What processes tell each other to forget: the feed of identities whose subject, choices, suppression or keys changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from consentryd.model.clock import DAY

#: Changes are kept for so long. Whoever looks less often forgets everything instead.
KEPT: Final = DAY


class Feed:
    """One reader's place in the feed of a region. What a new reader has not read it need not know: it remembers nothing yet."""

    def __init__(self) -> None:
        self.last = 0

    def read(self, connection: sqlite3.Connection) -> list[bytes] | None:
        """The digests that changed since the last look; None if some are not on record any more, so that any may have."""
        rows = connection.execute("SELECT seq, digest FROM change WHERE seq > ? ORDER BY seq", (self.last,)).fetchall()
        if not rows:
            return []
        gap = rows[0][0] != self.last + 1
        self.last = rows[-1][0]
        return None if gap else [digest for _, digest in rows]

    def skip(self, connection: sqlite3.Connection) -> None:
        """Begin with what comes from now on."""
        self.last = connection.execute("SELECT coalesce(max(seq), 0) FROM change").fetchone()[0]


def announce(connection: sqlite3.Connection, digests: Iterable[bytes], now: int) -> None:
    """Tell of identities that changed. Call within the transaction that changes them."""
    connection.executemany("INSERT INTO change (digest, created_at) VALUES (?, ?)", [(digest, now) for digest in digests])


def trim(connection: sqlite3.Connection, before: int) -> int:
    """Let go of changes from before then (UTC microseconds); how many. The newest stays: by its number others see that they missed some."""
    return connection.execute(
        "DELETE FROM change WHERE seq < coalesce((SELECT min(seq) FROM change WHERE created_at >= ?), (SELECT max(seq) FROM change))",
        (before,),
    ).rowcount
