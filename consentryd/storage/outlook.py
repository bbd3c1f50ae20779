"""Where identities stand in all regions, asked by one statement: each gives the interpreter away ten times, and beside threads that commit
and seal it comes back late each time."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from consentryd.storage.database import attach, open_database
from consentryd.storage.standing import Standings, look_sql

#: SQLite attaches ten databases to one.
MOST: Final = 11


class Outlook:
    """The standings of regions and their `databases`, by their names. Belongs to the event loop.

    One region, more than `MOST`, and regions of which a database cannot be read are asked one by one.
    """

    def __init__(self, standings: Mapping[str, Standings], databases: Mapping[str, Path]) -> None:
        self._standings: Final = standings
        self._connection: Final = _together([databases[name] for name in standings]) if 1 < len(standings) <= MOST else None
        looks = [f"({look_sql(f'?{number}', _schema(number))})" for number in range(1, len(standings) + 1)]
        self._look: Final = "SELECT " + " || ';' || ".join(looks)

    def look(self, digests: Mapping[str, Sequence[bytes]]) -> dict[str, list[bytes]]:
        """Take in what was committed in some regions since the last look. Those of the digests of each that stand for a subject there.

        Raises what `Standings.look` raises.
        """
        if self._connection is None or len(digests) == 1:
            return self._one_by_one(digests)
        asked = tuple(b"".join(digests.get(name, ())) for name in self._standings)
        try:
            (found,) = self._connection.execute(self._look, asked).fetchone()
        except sqlite3.Error:
            return self._one_by_one(digests)
        told = dict(zip(self._standings, found.split(";"), strict=True))
        return {name: self._standings[name].learn(told[name], some) for name, some in digests.items()}

    def _one_by_one(self, digests: Mapping[str, Sequence[bytes]]) -> dict[str, list[bytes]]:
        return {name: self._standings[name].look(some) for name, some in digests.items()}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _schema(number: int) -> str:
    return "main" if number == 1 else f"region{number}"


def _together(databases: Sequence[Path]) -> sqlite3.Connection | None:
    """One connection to all of them; None where SQLite was built to attach fewer."""
    first, *others = databases
    connection = open_database(first, "region", readonly=True)
    try:
        connection.execute("PRAGMA busy_timeout = 0")  # each region's own connection has the patience
        for number, path in enumerate(others, start=2):
            attach(connection, path, _schema(number))
    except sqlite3.Error:
        connection.close()
        return None
    return connection
