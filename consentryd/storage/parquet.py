"""One Parquet file of events: durable when written, checked when read.

Statistics are kept of the columns that queries prune by (time, site, lane, purpose) and of no other: minimum and maximum of `subject`,
ids or properties would leave personal data in clear in the footer, where a rewrite of rows does not look for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import IO, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from consentryd.model.error import CorruptStore
from consentryd.storage.durable import sync_file
from consentryd.storage.promoted import fields, promote, texts
from consentryd.storage.schema import EVENT_SCHEMA, typed

STATISTICS: Final = ["site", "time", "received_at", "lane", "purpose"]
_DELTA_ENCODED: Final = {"time": "DELTA_BINARY_PACKED", "received_at": "DELTA_BINARY_PACKED"}
#: Differences of times are packed as far as they can be: zstd would save 2 % and double the time to read them. Codes of subjects and names
#: it makes smaller, by half a byte an event, and nearly every question reads them: a quarter of the time.
_UNPACKED: Final = frozenset({*_DELTA_ENCODED, "subject", "event"})
#: Columns that nearly every question reads. Where no event lacks one, the file declares so: that is another quarter.
_READ_MOST: Final = ("subject", "time", "event")
_UNIQUE: Final = {"event_id", "properties"}
_DICTIONARY: Final = [name for name in EVENT_SCHEMA.names if name not in _DELTA_ENCODED and name not in _UNIQUE]
#: Level 3 takes half as long again, makes random ids 4 to 10 % larger and properties 1 to 2 % smaller.
_LEVEL: Final = 1
#: Columns that are read and written as codes of their values where nobody looks at these: a third of the time of making texts of them.
CODED: Final = [name for name in _DICTIONARY if pa.types.is_string(EVENT_SCHEMA.field(name).type)]
_NUMBER_BYTES: Final = 8
#: A reader holds a page of each column, and merging reads many files at once.
_PAGE_BYTES: Final = 256 * 1024
_READ_BUFFER: Final = 32 * 1024


def write_parquet(path: Path, tables: Iterable[pa.Table], row_group_rows: int, promoted: Sequence[str] = ()) -> int:
    """Write events in row groups of `row_group_rows`; the file's bytes reach the disk before this returns. Its size in bytes.

    Columns of the events may be dictionaries, the same ones in all tables; values that no event has are not written. `promoted` are the
    pointers of properties that get columns of their own (`storage/promoted.py`).
    """
    groups: Iterator[pa.Table] = map(_used, regroup(tables, row_group_rows))
    full: Collection[str] = _READ_MOST
    earlier = path.with_name(f"{path.name}.earlier")
    while (other := _write_full(path, groups, row_group_rows, promoted, full)) is not None:
        path.rename(earlier)
        full = _full(other, full)
        groups = chain(read_parquet(earlier, None, row_group_rows, _coded(other)), [other], groups)
    earlier.unlink(missing_ok=True)
    return path.stat().st_size


def _write_full(
    path: Path, groups: Iterator[pa.Table], rows: int, promoted: Sequence[str], names: Collection[str]
) -> pa.Table | None:
    """Write row groups, with columns of `names` that the first has no null in declared never null. Returns the first group that has one
    there, which is not written, or None."""
    path.touch(exist_ok=False)
    file = pa.OSFile(str(path), "wb")  # into a file of Python's, Arrow takes the interpreter for each page
    with ExitStack() as closing:
        sink = closing.enter_context(file)
        writer, full = None, list[str]()
        for group in groups:
            if writer is None:
                full = _full(group, names)
                writer = closing.enter_context(_writer(sink, group.schema, promoted, full))
            elif len(_full(group, full)) < len(full):
                return group
            writer.write_table(_declaring(promote(group, promoted), full), row_group_size=rows)
            del group  # the next one is put together before this name is given away
    sync_file(path)
    return None


def _coded(events: pa.Table) -> list[str]:
    """The columns that are dictionaries."""
    return [field.name for field in events.schema if pa.types.is_dictionary(field.type)]


def _full(events: pa.Table, names: Iterable[str]) -> list[str]:
    """Those of the columns that have no null."""
    return [name for name in names if not events[name].null_count]


def group_of(
    events: pa.Table, promoted: Sequence[str] = (), plain: Collection[str] = (), full: Collection[str] = ()
) -> pa.Buffer:
    """A Parquet file of one row group, without dictionaries of the columns `plain`, those of `full` declared never null.

    Columns of the events may be dictionaries; values that no event has are not written.
    """
    sink = pa.BufferOutputStream()
    kept = _used(events)
    with _writer(sink, kept.schema, promoted, full, plain) as writer:
        writer.write_table(_declaring(promote(kept, promoted), full), row_group_size=max(1, kept.num_rows))
    return sink.getvalue()


def better_plain(group: pq.RowGroupMetaData) -> list[str]:
    """Numbers of a row group of ours that repeat so little that their dictionary and the codes take more bytes than they would."""
    columns = [group.column(place) for place in range(group.num_columns)]
    return [
        column.path_in_schema
        for column in columns
        if column.physical_type == "INT64" and column.total_uncompressed_size > column.num_values * _NUMBER_BYTES
    ]


def _writer(
    sink: IO[bytes] | pa.NativeFile,
    schema: pa.Schema,
    promoted: Sequence[str],
    full: Collection[str],
    plain: Collection[str] = (),
) -> pq.ParquetWriter:
    whole = _declared(pa.schema([*schema, *fields(promoted)]), full)
    return pq.ParquetWriter(
        sink,
        whole,
        compression={name: "none" if name in _UNPACKED else "zstd" for name in whole.names},
        compression_level={name: _LEVEL for name in whole.names if name not in _UNPACKED},
        use_dictionary=[name for name in (*_DICTIONARY, *texts(promoted)) if name not in plain],
        column_encoding=_DELTA_ENCODED,
        write_statistics=STATISTICS,
        write_page_checksum=True,
        data_page_size=_PAGE_BYTES,
        store_schema=False,
        store_decimal_as_integer=True,
    )


def _declared(schema: pa.Schema, full: Collection[str]) -> pa.Schema:
    """The fields are nullable as they come."""
    return pa.schema([field.with_nullable(False) if field.name in full else field for field in schema])


def _declaring(events: pa.Table, full: Collection[str]) -> pa.Table:
    return pa.table(events.columns, schema=_declared(events.schema, full))


def _used(events: pa.Table) -> pa.Table:
    """Dictionaries without what nobody has any more: Arrow would write them whole."""
    for place, field in enumerate(events.schema):
        if pa.types.is_dictionary(field.type):
            events = events.set_column(place, field, _trimmed(events.column(place)))
    return events


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray | pa.Array:
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of no chunk at all
        return whole
    codes, values = whole.indices, whole.dictionary
    used = np.zeros(len(values), np.bool_)
    used[(codes.drop_null() if codes.null_count else codes).to_numpy(zero_copy_only=False)] = True
    if used.all():
        return whole
    places = pa.array((np.cumsum(used) - 1).astype(np.int32))
    return pa.DictionaryArray.from_arrays(pc.take(places, codes), values.filter(pa.array(used)))


def read_parquet(path: Path, columns: Sequence[str] | None, rows: int, coded: Collection[str] = ()) -> Iterator[pa.Table]:
    """Events in file order, `rows` at a time, page checksums verified; of columns `coded` as dictionaries. Raises `CorruptStore`."""
    options = {"pre_buffer": False, "buffer_size": _READ_BUFFER, "page_checksum_verification": True}
    try:
        with pq.ParquetFile(path, read_dictionary=list(coded), **options) as file:
            names = EVENT_SCHEMA.names if columns is None else list(columns)
            schema = pa.schema([_field(name, name in coded) for name in names])
            for batch in file.iter_batches(rows, columns=names, use_threads=False):
                yield typed([batch.column(name) for name in names], schema)
    except (OSError, pa.ArrowException) as error:
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error


def _field(name: str, coded: bool) -> pa.Field:
    field = EVENT_SCHEMA.field(name)
    return field.with_type(pa.dictionary(pa.int32(), field.type)) if coded else field


def columns_of(path: Path) -> list[str]:
    """The columns of a file. Raises `CorruptStore`."""
    try:
        return list(pq.read_schema(path).names)
    except (OSError, pa.ArrowException) as error:
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error


def regroup(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """The same events in tables of `rows`, the last one shorter. Holds one of them, and no longer than its reader does."""
    pending: list[pa.Table] = []
    count = 0
    for table in tables:
        pending.append(table)
        count += table.num_rows
        while count >= rows:
            pending = _cut(pa.concat_tables(pending), rows)
            count -= rows
            yield pending.pop()
    if count:
        yield pa.concat_tables(pending)


def _cut(table: pa.Table, rows: int) -> list[pa.Table]:
    """What is behind the first rows, and these."""
    return [table.slice(rows), table.slice(0, rows)]
