"""Requests of data subjects in a region's database: rows, the sealed part of each, and the transactions they change in."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from consentryd.model.error import CorruptStore, Unavailable
from consentryd.storage.database import open_database, roll_back
from consentryd.storage.delivery import Deliveries
from consentryd.storage.location import DATABASE
from consentryd.storage.person import Person, find_person

_NONCE_BYTES: Final = 12
_ATTEMPTS: Final = 12  # of 5 s each, SQLite's busy timeout
_JSON: Final = frozenset({"terms", "result"})
_FIELDS: Final = "id, type, status, step, terms, fingerprint, sealed, result, received_at, starts_at, due_at, changed_at, done_at"


class RequestRow(NamedTuple):
    """One request in one region. Times are UTC microseconds; `terms` and `result` are JSON values. `changed_at`: the work went on."""

    id: str
    type: str
    status: str
    step: str
    terms: dict[str, Any]
    fingerprint: bytes
    sealed: bytes | None
    result: Any
    received_at: int
    starts_at: int
    due_at: int
    changed_at: int
    done_at: int | None


class Artifact(NamedTuple):
    """An export that waits: its sealed key, how many events are in it, and until when (UTC microseconds)."""

    wrapped: bytes
    events: int
    expires_at: int


class Casebook:
    """The requests of the region in the folder `region`, over a connection of its own. `key` is the region's key `subject`.

    Used by one thread at a time; cheap to open.
    """

    def __init__(self, region: Path, key: bytes) -> None:
        self.connection = open_database(region / DATABASE, "region")
        self._cipher = AESGCM(key)
        self._region = region.name
        self.deliveries = Deliveries(self.connection, self.seal, self.unseal)

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing, durable at the end. Raises `Unavailable` if others write for a minute on end."""
        self._begin()
        try:
            yield self.connection
        except BaseException:
            roll_back(self.connection)
            raise
        self.connection.execute("COMMIT")

    def _begin(self) -> None:
        for _ in range(_ATTEMPTS):
            try:
                self.connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
            else:
                return
        raise Unavailable("store_unavailable", "The store is busy.")

    def add(self, row: RequestRow, digests: Iterable[bytes]) -> None:
        """Record a request. Call within a transaction. Raises `sqlite3.IntegrityError` if its id is taken."""
        self.connection.execute(
            f"INSERT INTO request ({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - our own names
            [_text(value) if name in _JSON and value is not None else value for name, value in row._asdict().items()],
        )
        self.connection.executemany(
            "INSERT OR IGNORE INTO request_identity (digest, request) VALUES (?, ?)", [(digest, row.id) for digest in digests]
        )

    def get(self, request: str) -> RequestRow | None:
        found = self.connection.execute(f"SELECT {_FIELDS} FROM request WHERE id = ?", (request,)).fetchone()  # noqa: S608 - our own names
        return None if found is None else _row(found)

    def select(
        self,
        *,
        statuses: Sequence[str] = (),
        types: Sequence[str] = (),
        due_before: int | None = None,
        naming: Sequence[bytes] | None = None,
    ) -> Generator[RequestRow]:
        """The newest requests first, read as they are asked for; with `naming` those that name one of the identities."""
        conditions = [
            f"{name} IN ({', '.join('?' * len(values))})" for name, values in (("status", statuses), ("type", types)) if values
        ]
        parameters: list[Any] = [*statuses, *types]
        if due_before is not None:
            conditions.append("due_at < ?")
            parameters.append(due_before)
        if naming is not None:
            marks = ", ".join("?" * len(naming))
            conditions.append(f"id IN (SELECT request FROM request_identity WHERE digest IN ({marks}))")  # noqa: S608 - question marks
            parameters.extend(naming)
        where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
        rows = self.connection.execute(
            f"SELECT {_FIELDS} FROM request {where} ORDER BY received_at DESC, id",  # noqa: S608 - our own names
            parameters,
        )
        yield from map(_row, rows)

    def due(self, now: int, limit: int) -> list[RequestRow]:
        """Requests to work on, oldest first."""
        rows = self.connection.execute(
            f"SELECT {_FIELDS} FROM request WHERE status IN ('pending', 'in_progress') AND starts_at <= ? "  # noqa: S608 - our own names
            "ORDER BY received_at, id LIMIT ?",
            (now, limit),
        )
        return [_row(row) for row in rows]

    def take_up(self, row: RequestRow, now: int) -> bool:
        """Have the request in progress from here on, too late to be taken back; False if it was. Call within a transaction."""
        found = self.get(row.id)
        if found is None or found.status not in ("pending", "in_progress"):
            return False
        self.update(row.id, now, status="in_progress")
        return True

    def with_callbacks(self) -> list[RequestRow]:
        """Requests whose end was not reported to their callbacks yet."""
        rows = self.connection.execute(
            f"SELECT {_FIELDS} FROM request WHERE json_array_length(terms, '$.callbacks') > 0 "  # noqa: S608 - our own names
            "AND coalesce(json_extract(terms, '$.reported'), '') NOT IN ('completed', 'cancelled')"
        )
        return [_row(row) for row in rows.fetchall()]

    def digests(self, request: str) -> list[bytes]:
        return [row[0] for row in self.connection.execute("SELECT digest FROM request_identity WHERE request = ?", (request,))]

    def person(self, row: RequestRow) -> Person:
        """Whom a request is about."""
        return find_person(self.connection, self.digests(row.id), themself=bool(row.terms.get("themself")))

    def reach(self, request: str, digests: Iterable[bytes]) -> None:
        """Note whom a request keeps out besides the identities that it names. Call within a transaction."""
        self.connection.executemany(
            "INSERT OR IGNORE INTO request_reach (digest, request) VALUES (?, ?)", [(digest, request) for digest in digests]
        )

    def reach_no_more(self, request: str) -> None:
        """Call within a transaction."""
        self.connection.execute("DELETE FROM request_reach WHERE request = ?", (request,))

    def concerning(self, digest: bytes) -> list[str]:
        """Ids of the requests that name the identity or reach it."""
        statement = (
            "SELECT request FROM request_identity WHERE digest = ?1 UNION SELECT request FROM request_reach WHERE digest = ?1"
        )
        return [request for (request,) in self.connection.execute(statement, (digest,)).fetchall()]

    def update(self, request: str, now: int, **values: Any) -> None:
        """Change columns of a request; `terms` and `result` are given as JSON values. Call within a transaction."""
        written = {name: _text(value) if name in _JSON and value is not None else value for name, value in values.items()}
        assignments = ", ".join(f"{name} = ?" for name in written)
        self.connection.execute(
            f"UPDATE request SET {assignments}, changed_at = ? WHERE id = ?",  # noqa: S608 - our own names
            (*written.values(), now, request),
        )

    def forget_identities(self, digests: Iterable[bytes], but: str) -> None:
        """Other requests that named an erased person no longer do."""
        self.connection.executemany(
            "DELETE FROM request_identity WHERE digest = ? AND request <> ? "
            "AND request IN (SELECT id FROM request WHERE type <> 'erasure')",
            [(digest, but) for digest in digests],
        )

    def close_others(self, requests: Iterable[str], now: int) -> None:
        """Of an erased person nothing is left to work on: their other requests that wait, and name nobody else, are done."""
        for request in requests:
            if not self.digests(request):
                self.connection.execute(
                    "UPDATE request SET status = 'completed', sealed = NULL, changed_at = ?1, done_at = ?1 "
                    "WHERE id = ?2 AND status IN ('pending', 'in_progress', 'on_hold') AND type <> 'erasure'",
                    (now, request),
                )

    def add_artifact(self, request: str, wrapped: bytes, events: int, expires_at: int) -> None:
        """An export is complete. Call within a transaction."""
        self.connection.execute(
            "INSERT OR REPLACE INTO artifact (request, wrapped, events, expires_at) VALUES (?, ?, ?, ?)",
            (request, wrapped, events, expires_at),
        )

    def artifact(self, request: str) -> Artifact | None:
        row = self.connection.execute("SELECT wrapped, events, expires_at FROM artifact WHERE request = ?", (request,)).fetchone()
        return None if row is None else Artifact(*row)

    def expired_artifacts(self, now: int) -> list[str]:
        return [row[0] for row in self.connection.execute("SELECT request FROM artifact WHERE expires_at <= ?", (now,))]

    def artifacts(self) -> set[str]:
        return {row[0] for row in self.connection.execute("SELECT request FROM artifact")}

    def drop_artifacts(self, requests: Iterable[str]) -> list[str]:
        """Destroy the keys of exports; those there were. Their files open no more and may be deleted. Call within a transaction."""
        return [
            request
            for request in requests
            if self.connection.execute("DELETE FROM artifact WHERE request = ?", (request,)).rowcount
        ]

    def renew_artifacts(self, requests: Iterable[str], now: int) -> None:
        """Exports that wait are to be made again: what is in them is not so any more. Call within a transaction."""
        for request in self.drop_artifacts(requests):
            self.update(request, now, status="pending", step="accepted", result=None, done_at=None)

    def seal(self, request: str, value: Any) -> bytes:
        """JSON, encrypted for this request of this region."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, orjson.dumps(value), self._aad(request))

    def unseal(self, request: str, sealed: bytes) -> Any:
        try:
            return orjson.loads(self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], self._aad(request)))
        except InvalidTag:
            raise CorruptStore(f"request {request} of region {self._region} does not open with the region's key") from None

    def _aad(self, request: str) -> bytes:
        return f"consentry|request|{self._region}|{request}".encode()


def _row(found: tuple[Any, ...]) -> RequestRow:
    row = RequestRow(*found)
    return row._replace(terms=orjson.loads(found[4]), result=None if row.result is None else orjson.loads(row.result))


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
