"""What analysts saved (queries, cohorts, funnels; every version kept), what was asked lately, and who looked at single subjects."""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, NamedTuple

from consentryd.model.clock import DAY, Clock
from consentryd.model.error import Conflict, NotFound
from consentryd.storage.database import open_database, transaction

SavedType = Literal["query", "cohort", "funnel"]
ASKED_DAYS: Final = 7


class Saved(NamedTuple):
    """One version of a saved definition; `body` is JSON. Times in UTC microseconds."""

    id: str
    type: SavedType
    name: str
    version: int
    body: str
    key: str
    created_at: int
    changed_at: int


class Audited(NamedTuple):
    at: int
    site: str
    key: str
    action: str
    detail: str


class SavedStore:
    """Tables of `control.db`. Shared by threads; a statement takes microseconds. `token` gives n random bytes."""

    def __init__(self, path: Path, clock: Clock, token: Callable[[int], bytes] = secrets.token_bytes) -> None:
        self._clock, self._token = clock, token
        self._lock = threading.Lock()
        self._connection = open_database(path, "control")

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def create(self, site: str, kind: SavedType, name: str, body: str, key: str) -> Saved:
        """A new definition, version 1. Raises `Conflict` if the name is taken."""
        new_id, now = f"{kind}_{self._token(8).hex()}", self._clock.now()
        with self._lock:
            try:
                with transaction(self._connection):
                    self._connection.execute(
                        "INSERT INTO saved (id, site, type, name, created_at) VALUES (?, ?, ?, ?, ?)",
                        (new_id, site, kind, name, now),
                    )
                    self._write(new_id, 1, body, key, now)
            except sqlite3.IntegrityError:
                raise Conflict("conflict", f"There is a {kind} of this name already.", field="name") from None
        return self.get(site, kind, new_id)

    def update(self, site: str, kind: SavedType, which: str, name: str, body: str, key: str) -> Saved:
        """The next version, perhaps under another name. Raises `NotFound`, `Conflict`."""
        old = self.get(site, kind, which)
        with self._lock:
            try:
                with transaction(self._connection):
                    self._connection.execute("UPDATE saved SET name = ? WHERE id = ?", (name, old.id))
                    self._write(old.id, self._last_version(old.id) + 1, body, key, self._clock.now())
            except sqlite3.IntegrityError:
                raise Conflict("conflict", f"There is a {kind} of this name already.", field="name") from None
        return self.get(site, kind, old.id)

    def delete(self, site: str, kind: SavedType, which: str) -> Saved:
        """Out of every list, and its name is free. Raises `NotFound`."""
        old = self.get(site, kind, which)
        self._execute("UPDATE saved SET deleted_at = ? WHERE id = ?", self._clock.now(), old.id)
        return old

    def get(self, site: str, kind: SavedType, which: str) -> Saved:
        """The newest version, by id or by name. Raises `NotFound`."""
        rows = self._select(f"{_NEWEST} AND s.site = ? AND s.type = ? AND (s.id = ? OR s.name = ?)", site, kind, which, which)
        if not rows:
            raise NotFound("not_found", f"There is no such {kind}.")
        return rows[0]

    def all(self, site: str, kind: SavedType) -> list[Saved]:
        """The newest version of each, by name."""
        return self._select(f"{_NEWEST} AND s.site = ? AND s.type = ? ORDER BY s.name", site, kind)

    def everywhere(self, kind: SavedType) -> list[tuple[str, Saved]]:
        """The newest version of each on every site, with the site."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT DISTINCT site FROM saved WHERE type = ? AND deleted_at IS NULL", (kind,)
            ).fetchall()
        return [(site, saved) for (site,) in rows for saved in self.all(site, kind)]

    def names(self, kind: SavedType) -> dict[str, str]:
        """By id the names of all that were ever saved, deleted ones too."""
        with self._lock:
            return dict(self._connection.execute("SELECT id, name FROM saved WHERE type = ?", (kind,)).fetchall())

    def versions(self, site: str, kind: SavedType, which: str) -> list[Saved]:
        """Every version, newest first. Raises `NotFound`."""
        found = self.get(site, kind, which)
        return self._select(f"{_EVERY} AND s.id = ? ORDER BY v.version DESC", found.id)

    def note_asked(self, query_id: str, site: str, body: str) -> None:
        """Remember a question for a week."""
        now = self._clock.now()
        self._execute("INSERT OR REPLACE INTO asked (id, site, body, at) VALUES (?, ?, ?, ?)", query_id, site, body, now)
        self._execute("DELETE FROM asked WHERE at < ?", now - ASKED_DAYS * DAY)

    def asked(self, site: str, query_id: str) -> tuple[str, int]:
        """A question's JSON and when it was asked. Raises `NotFound`."""
        with self._lock:
            row = self._connection.execute("SELECT body, at FROM asked WHERE site = ? AND id = ?", (site, query_id)).fetchone()
        if row is None:
            raise NotFound("not_found", f"No query of this id was asked in the last {ASKED_DAYS} days.")
        return row[0], row[1]

    def note_access(self, site: str, key: str, action: str, detail: str) -> None:
        """Write down that a key looked at single subjects; durable before the subjects are shown."""
        statement = "INSERT INTO audit (at, site, key, action, detail) VALUES (?, ?, ?, ?, ?)"
        self._execute(statement, self._clock.now(), site, key, action, detail)

    def accesses(self, site: str) -> list[Audited]:
        """Who looked, oldest first."""
        with self._lock:
            rows = self._connection.execute("SELECT at, site, key, action, detail FROM audit WHERE site = ? ORDER BY id", (site,))
            return [Audited(*row) for row in rows]

    def _write(self, saved_id: str, version: int, body: str, key: str, now: int) -> None:
        statement = "INSERT INTO saved_version (id, version, body, key, created_at) VALUES (?, ?, ?, ?, ?)"
        self._connection.execute(statement, (saved_id, version, body, key, now))

    def _last_version(self, saved_id: str) -> int:
        row = self._connection.execute("SELECT max(version) FROM saved_version WHERE id = ?", (saved_id,)).fetchone()
        return int(row[0])

    def _execute(self, statement: str, *values: object) -> None:
        with self._lock:
            self._connection.execute(statement, values)

    def _select(self, statement: str, *values: object) -> list[Saved]:
        with self._lock:
            return [Saved(*row) for row in self._connection.execute(statement, values)]


_EVERY: Final = (
    "SELECT s.id, s.type, s.name, v.version, v.body, v.key, s.created_at, v.created_at"
    " FROM saved s JOIN saved_version v ON v.id = s.id WHERE s.deleted_at IS NULL"
)
_NEWEST: Final = f"{_EVERY} AND v.version = (SELECT max(version) FROM saved_version w WHERE w.id = s.id)"  # noqa: S608 -- constants
