"""One Parquet file of events: durable when written, checked when read.

Statistics are kept of the columns that queries prune by (time, site, lane, purpose) and of no other: minimum and maximum of `subject`,
ids or properties would leave personal data in clear in the footer, where a rewrite of rows does not look for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from consentryd.model.error import CorruptStore
from consentryd.storage.promoted import fields, promote, texts
from consentryd.storage.schema import EVENT_SCHEMA

STATISTICS: Final = ["site", "time", "received_at", "lane", "purpose"]
_DELTA_ENCODED: Final = {"time": "DELTA_BINARY_PACKED", "received_at": "DELTA_BINARY_PACKED"}
#: Differences of times are packed as far as they can be: zstd would save 2 % and double the time to read them.
_PACKED: Final = "none"
_UNIQUE: Final = {"event_id", "properties"}
_DICTIONARY: Final = [name for name in EVENT_SCHEMA.names if name not in _DELTA_ENCODED and name not in _UNIQUE]
_READ_BUFFER: Final = 256 * 1024


def write_parquet(path: Path, tables: Iterable[pa.Table], row_group_rows: int, promoted: Sequence[str] = ()) -> int:
    """Write events in row groups of `row_group_rows`; the file's bytes reach the disk before this returns. Its size in bytes.

    `promoted` are the pointers of properties that get columns of their own (`storage/promoted.py`).
    """
    schema = pa.schema([*EVENT_SCHEMA, *fields(promoted)])
    with path.open("xb") as sink:
        with pq.ParquetWriter(
            sink,
            schema,
            compression={name: _PACKED if name in _DELTA_ENCODED else "zstd" for name in schema.names},
            compression_level={name: 3 for name in schema.names if name not in _DELTA_ENCODED},
            use_dictionary=[*_DICTIONARY, *texts(promoted)],
            column_encoding=_DELTA_ENCODED,
            write_statistics=STATISTICS,
            write_page_checksum=True,
            store_schema=False,
            store_decimal_as_integer=True,
        ) as writer:
            for group in regroup(tables, row_group_rows):
                writer.write_table(promote(group, promoted), row_group_size=row_group_rows)
        sink.flush()
        os.fsync(sink.fileno())
        return sink.tell()


def read_parquet(path: Path, columns: Sequence[str] | None, rows: int) -> Iterator[pa.Table]:
    """Events in file order, `rows` at a time, page checksums verified. Raises `CorruptStore`."""
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_READ_BUFFER, page_checksum_verification=True) as file:
            names = EVENT_SCHEMA.names if columns is None else list(columns)
            schema = pa.schema([EVENT_SCHEMA.field(name) for name in names])
            for batch in file.iter_batches(rows, columns=names, use_threads=False):
                yield pa.Table.from_batches([batch]).select(names).cast(schema)
    except (OSError, pa.ArrowException) as error:
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error


def columns_of(path: Path) -> list[str]:
    """The columns of a file. Raises `CorruptStore`."""
    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException) as error:
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error


def regroup(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same events in tables of `rows`, the last one shorter."""
    pending: list[pa.Table] = []
    count = 0
    for table in tables:
        pending.append(table)
        count += table.num_rows
        while count >= rows:
            whole = pa.concat_tables(pending)
            yield whole.slice(0, rows)
            pending = [whole.slice(rows)]
            count -= rows
    if count:
        yield pa.concat_tables(pending)
