"""The log's rows that are not in the lake yet, read as events."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from consentryd.model.error import CorruptStore
from consentryd.model.event import COLUMNS
from consentryd.storage import block
from consentryd.storage.database import joined
from consentryd.storage.schema import EVENT_SCHEMA, offsets_of, read_lines, to_events

TAIL_SCHEMA: Final = EVENT_SCHEMA.append(pa.field("seq", pa.int64()))
CHUNK_EVENTS: Final = 4_096
#: Events parsed at once: 4,096 cost 8 MB more.
_PARSED_EVENTS: Final = 2_048
_PAGE_ROWS: Final = 32
#: Rows as one: their numbers, events and sizes, and their bodies.
_PAGE: Final = f"""
SELECT group_concat(seq || ',' || events || ',' || length(body)), {joined("body")}
FROM (SELECT seq, events, body FROM log WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?)
"""  # noqa: S608 - our own names


class _Row(NamedTuple):
    seq: int
    events: int
    body: bytes


def read_log(
    connection: sqlite3.Connection, path: Path, after: int, upto: int, subjects: Collection[int] | None = None
) -> Iterator[pa.Table]:
    """Events of log rows with after < seq <= upto, in order, some thousands at a time, with their `seq`. Raises `CorruptStore`.

    With `subjects` only theirs: to convert the others would be most of the work.

    Statements are short: none holds back a checkpoint while events are converted.
    """
    wanted = None if subjects is None else pa.array(subjects, pa.int64())
    for group in _groups(_rows(connection, path, after, upto)):
        if wanted is None:
            yield _convert(path, group)
        elif chosen := _of_subjects(path, group, wanted):
            events = _convert(path, chosen)
            yield events.filter(pc.is_in(events["subject"], wanted))


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


def _groups(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    group: list[_Row] = []
    events = 0
    for row in rows:
        group.append(row)
        events += row.events
        if events >= _PARSED_EVENTS:
            yield group
            group, events = [], 0
    if group:
        yield group


def _rows(connection: sqlite3.Connection, path: Path, after: int, upto: int) -> Iterator[_Row]:
    while True:
        try:
            told, bodies = connection.execute(_PAGE, (after, upto, _PAGE_ROWS)).fetchone()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            raise CorruptStore(f"{path}: log rows after seq {after} cannot be read: {error}") from error
        if told is None:
            return
        numbers, start = map(int, told.split(",")), 0
        for seq, events, size in zip(numbers, numbers, numbers, strict=True):
            yield _Row(seq, events, bodies[start : start + size])
            after, start = seq, start + size


def _of_subjects(path: Path, rows: Sequence[_Row], subjects: pa.Array) -> list[_Row]:
    """The rows that hold an event of any of the subjects."""
    (lists,) = _read(path, rows, ["subject"]).columns
    places = pc.list_parent_indices(lists).filter(pc.is_in(pc.list_flatten(lists), subjects))
    return [rows[place] for place in places.unique().to_pylist()]


def _convert(path: Path, rows: Sequence[_Row]) -> pa.Table:
    events = to_events(_read(path, rows, EVENT_SCHEMA.names))
    seqs = np.repeat([row.seq for row in rows], [row.events for row in rows])
    return events.append_column(TAIL_SCHEMA.field("seq"), pa.array(seqs, pa.int64()))


def _read(path: Path, rows: Sequence[_Row], names: Sequence[str]) -> pa.Table:
    """Columns of the rows' events, as a list for each row."""
    lines = [_line(path, row) for row in rows]
    try:
        lists = read_lines(lines, names)
    except pa.ArrowException as error:
        raise CorruptStore(f"{path}: log rows seq {rows[0].seq} to {rows[-1].seq} hold what no event has") from error
    _check(path, rows, lists)
    return lists


def _line(path: Path, row: _Row) -> bytes:
    try:
        return block.line(row.body)
    except (zstandard.ZstdError, ValueError) as error:
        raise CorruptStore(f"{path}: log row seq {row.seq} is not what was written: {error}") from error


def _check(path: Path, rows: Sequence[_Row], lists: pa.Table) -> None:
    """Each line has a value of each column for each of its events."""
    expected = np.cumsum([0, *(row.events for row in rows)])
    for column in lists.columns:
        if np.array_equal(offsets_of(column), expected):
            continue
        lengths = np.diff(offsets_of(column)).tolist()
        row = next((row for row, length in zip(rows, lengths, strict=False) if length != row.events), rows[0])
        raise CorruptStore(f"{path}: log row seq {row.seq} does not hold {row.events} events of {len(COLUMNS)} columns")


def _last(chunk: pa.Table) -> int:
    return int(chunk["seq"][chunk.num_rows - 1].as_py())
