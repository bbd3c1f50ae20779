"""SQLite, opened the one way we trust: WAL, fsync at every commit, deleted bytes overwritten, numbered migrations.

The only module that opens a SQLite connection. See `docs/decisions/0002-sqlite-on-a-thread-of-its-own.md` for why it is the standard
library's driver on a dedicated thread and not one hop per statement.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final

from consentryd.model.error import ConfigError, CorruptStore
from consentryd.storage.damage import CURE, note_opened
from consentryd.storage.durable import make_private
from consentryd.storage.location import uri_of

BUSY_TIMEOUT_MS: Final = 5_000
_MOST_PARAMETERS: Final = 500
_RETRY_S: Final = 0.001


def open_database(path: Path, schema: str, *, readonly: bool = False) -> sqlite3.Connection:
    """Open `path`, bringing it to the newest version of `schema` (a folder of `NNNN_*.sql` under `storage/migrations/`).

    Autocommit mode: callers write `BEGIN IMMEDIATE` and `COMMIT` themselves. Raises `CorruptStore` if the file is not a database,
    `sqlite3.OperationalError` if it is locked, full or read-only.
    """
    note_opened(path)
    if not readonly and not path.exists():
        make_private(path)  # SQLite gives `-wal` and `-shm` the mode of their database
    uri = uri_of(path, "ro" if readonly else "rwc")
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        if not readonly:
            # where several turn a new database to WAL at once SQLite does not wait
            _retried(connection, "PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA secure_delete = ON")
        connection.execute("PRAGMA foreign_keys = ON")
        if not readonly:
            migrate(connection, schema)
        connection.execute("PRAGMA temp_store = MEMORY")  # only now: an index that a migration makes may be larger than memory
    except sqlite3.DatabaseError as error:
        connection.close()
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise CorruptStore(f"{path} is not a readable SQLite database: {error}. {CURE}") from error
    return connection


def attach(connection: sqlite3.Connection, path: Path, schema: str) -> None:
    """Have a connection read a second database, whose tables it finds under `schema`. Raises `sqlite3.Error`."""
    note_opened(path)
    connection.execute(f"ATTACH ? AS {schema}", (uri_of(path, "ro"),))


def begin(connection: sqlite3.Connection, wait_s: float = BUSY_TIMEOUT_MS / 1000) -> None:
    """Take the write lock, on a connection whose `busy_timeout` is 0: SQLite's own waiting sleeps up to 0.1 s between two tries, and beside
    a worker that commits without a pause it may go without the lock for seconds. Raises `sqlite3.OperationalError` after `wait_s`.
    """
    _retried(connection, "BEGIN IMMEDIATE", wait_s)


def _retried(connection: sqlite3.Connection, statement: str, wait_s: float = BUSY_TIMEOUT_MS / 1000) -> None:
    """Execute a statement, again while another holds what it needs."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            connection.execute(statement)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
        else:
            return


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing, durable at the end."""
    begin(connection)
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def roll_back(connection: sqlite3.Connection) -> None:
    """Undo what is not undone yet: of a full disk, for one, SQLite does it itself, and the error is to be about that."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def joined(column: str) -> str:
    """SQL for the blobs of many rows, one behind the other: for each row that it reads the driver gives the interpreter away five times."""
    return f"CAST(group_concat(CAST({column} AS TEXT), '') AS BLOB)"


def select_among(connection: sqlite3.Connection, statement: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement that ends with `IN`, for values of any number."""
    for start in range(0, len(values), _MOST_PARAMETERS):
        some = values[start : start + _MOST_PARAMETERS]
        yield from connection.execute(f"{statement} ({','.join('?' * len(some))})", some)


def migrate(connection: sqlite3.Connection, schema: str) -> None:
    """Run the migrations not yet run, each in one transaction with its record."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    scripts = migrations(schema)
    if version > len(scripts):
        raise ConfigError(
            f"The {schema} database is of version {version}, newer than this Consentry knows ({len(scripts)}). Upgrade Consentry."
        )
    for number, script in enumerate(scripts[version:], start=version + 1):
        with transaction(connection):
            if connection.execute("PRAGMA user_version").fetchone()[0] < number:
                for statement in _statements(script):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version = {number}")


def migrations(schema: str) -> list[str]:
    folder = resources.files("consentryd.storage") / "migrations" / schema
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [entry.read_text(encoding="utf-8") for entry in files]


def _statements(script: str) -> list[str]:
    statements, pending = [], ""
    for line in script.splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
