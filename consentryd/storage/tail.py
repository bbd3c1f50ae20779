"""The log's rows that are not in the lake yet, read as events."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from consentryd.model.error import CorruptStore
from consentryd.model.event import COLUMNS, POSITION
from consentryd.storage import block
from consentryd.storage.schema import EVENT_SCHEMA, to_table

TAIL_SCHEMA: Final = EVENT_SCHEMA.append(pa.field("seq", pa.int64()))
CHUNK_EVENTS: Final = 4_096
_PAGE_ROWS: Final = 128
_SUBJECT: Final = POSITION["subject"]


def read_log(
    connection: sqlite3.Connection, path: Path, after: int, upto: int, subjects: Collection[int] | None = None
) -> Iterator[pa.Table]:
    """Events of log rows with after < seq <= upto, in order, some thousands at a time, with their `seq`. Raises `CorruptStore`.

    With `subjects` only theirs: to convert the others would be most of the work.

    Statements are short: none holds back a checkpoint while events are converted.
    """
    columns: list[list[Any]] = [[] for _ in TAIL_SCHEMA]
    for seq, events, body in _rows(connection, path, after, upto):
        decoded = [*_decode(path, seq, events, body), [seq] * events]
        if subjects is not None:
            own = [place for place, subject in enumerate(decoded[_SUBJECT]) if subject in subjects]
            decoded = [[values[place] for place in own] for values in decoded] if own else [[] for _ in decoded]
        for into, values in zip(columns, decoded, strict=True):
            into.extend(values)
        if len(columns[0]) >= CHUNK_EVENTS:
            yield _convert(path, columns)
            columns = [[] for _ in TAIL_SCHEMA]
    if columns[0]:
        yield _convert(path, columns)


class Tail:
    """Converts each log row once per process. Used by one thread at a time; `limit` bounds the events kept."""

    def __init__(self, path: Path, limit: int) -> None:
        self._path = path
        self._limit = limit
        self._chunks: list[pa.Table] = []

    def read(self, connection: sqlite3.Connection, after: int, upto: int) -> pa.Table:
        """Events of `EVENT_SCHEMA` and their `seq`, for after < seq <= upto. `after` never goes back."""
        self._chunks = [chunk for chunk in self._chunks if _last(chunk) > after]
        known = _last(self._chunks[-1]) if self._chunks else after
        fresh = list(read_log(connection, self._path, known, upto))
        chunks = [*self._chunks, *fresh]
        self._keep(chunks)
        if chunks and chunks[0]["seq"][0].as_py() <= after:
            chunks = [chunks[0].filter(pc.greater(chunks[0]["seq"], after)), *chunks[1:]]
        return pa.concat_tables(chunks) if chunks else TAIL_SCHEMA.empty_table()

    def read_of(self, connection: sqlite3.Connection, after: int, upto: int, subjects: Collection[int]) -> pa.Table:
        """The same of some subjects only; nothing is kept of it."""
        chunks = list(read_log(connection, self._path, after, upto, frozenset(subjects)))
        return pa.concat_tables(chunks) if chunks else TAIL_SCHEMA.empty_table()

    def clear(self) -> None:
        self._chunks = []

    def _keep(self, chunks: list[pa.Table]) -> None:
        kept: list[pa.Table] = []
        room = self._limit
        for chunk in chunks:
            room -= chunk.num_rows
            if room < 0:
                break
            if kept and kept[-1].num_rows + chunk.num_rows <= CHUNK_EVENTS:
                kept[-1] = pa.concat_tables([kept[-1], chunk]).combine_chunks()
            else:
                kept.append(chunk)
        self._chunks = kept


def _rows(connection: sqlite3.Connection, path: Path, after: int, upto: int) -> Iterator[tuple[int, int, bytes]]:
    statement = "SELECT seq, events, body FROM log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
    while True:
        try:
            page = connection.execute(statement, (after, upto, _PAGE_ROWS)).fetchall()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise CorruptStore(f"{path}: log rows after seq {after} cannot be read: {error}") from error
        if not page:
            return
        yield from page
        after = page[-1][0]


def _decode(path: Path, seq: int, events: int, body: bytes) -> list[list[Any]]:
    try:
        columns = block.decode(body)
    except (zstandard.ZstdError, orjson.JSONDecodeError) as error:
        raise CorruptStore(f"{path}: log row seq {seq} is not what was written: {error}") from error
    if len(columns) != len(COLUMNS) or any(len(column) != events for column in columns):
        raise CorruptStore(f"{path}: log row seq {seq} does not hold {events} events of {len(COLUMNS)} columns")
    return columns


def _convert(path: Path, columns: list[list[Any]]) -> pa.Table:
    *values, seqs = columns
    try:
        events = to_table(values)
    except (pa.ArrowException, ValueError, TypeError, ArithmeticError) as error:
        raise CorruptStore(f"{path}: log rows seq {seqs[0]} to {seqs[-1]} hold a value of the wrong type") from error
    return events.append_column(TAIL_SCHEMA.field("seq"), pa.array(seqs, pa.int64()))


def _last(chunk: pa.Table) -> int:
    return int(chunk["seq"][chunk.num_rows - 1].as_py())
