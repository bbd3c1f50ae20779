"""Changing the row groups of a lake file in which some subjects stand. One group at a time is in memory, texts as codes of their values."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from consentryd.model.clock import micros_of
from consentryd.model.error import CorruptStore
from consentryd.storage.graft import NotGraftable, graft
from consentryd.storage.lake import Change, LakeFile, Subjects, holds
from consentryd.storage.parquet import CODED, better_plain, group_of
from consentryd.storage.promoted import fields, pointers_in
from consentryd.storage.schema import EVENT_SCHEMA

#: What writing fails with, however whole the file is that is read.
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def groups_with(path: Path, subjects: Subjects) -> list[int]:
    """The numbers of the row groups that hold any of the subjects. Raises `CorruptStore`."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return [number for number in range(file.num_row_groups) if _holds(file, number, subjects)]
    except (OSError, pa.ArrowException) as error:
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error


def exchange(path: Path, draft: Path, groups: Sequence[int], change: Change) -> bool:
    """Write `draft` as the file at `path` with these row groups passed through `change`; durable when this returns.

    False, with nothing written, if the file cannot be taken apart. Raises `CorruptStore`, and `OSError` where the disk is full.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True, read_dictionary=CODED) as file:
            _check_columns(file)
            graft(path, draft, groups, lambda number: _changed(file, number, change))
    except NotGraftable:
        draft.unlink(missing_ok=True)
        return False
    except (OSError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error
    return True


def described(path: Path, name: str, old: LakeFile) -> LakeFile | None:
    """What a file of the partition of `old` says of itself, by its own statistics; bounds in whole milliseconds, as table entries are.

    None if it holds no event.
    """
    with pq.ParquetFile(path) as file:
        metadata = file.metadata
    if not metadata.num_rows:
        return None
    times, sites = _bounds(metadata, "time"), _bounds(metadata, "site")
    low, high = map(micros_of, times)
    return old._replace(
        path=name,
        events=metadata.num_rows,
        size=path.stat().st_size,
        first=low // 1000 * 1000,
        last=(high + 999) // 1000 * 1000,
        sites=sites,
    )


def _holds(file: pq.ParquetFile, number: int, subjects: Subjects) -> bool:
    return bool(holds(file.read_row_group(number, ["subject"], use_threads=False), subjects).any())


def _changed(file: pq.ParquetFile, number: int, change: Change) -> pa.Buffer | None:
    table = change(file.read_row_group(number, EVENT_SCHEMA.names, use_threads=False).select(EVENT_SCHEMA.names))
    if not table.num_rows:
        return None
    schema = file.schema_arrow
    full = [field.name for field in schema if not field.nullable]
    if any(table[name].null_count for name in full):
        raise NotGraftable("a column of which the file says that it is never null would have nulls")
    return group_of(table, pointers_in(schema.names), better_plain(file.metadata.row_group(number)), full)


def _check_columns(file: pq.ParquetFile) -> None:
    """Row groups are exchanged for ones with the same columns only. Raises `NotGraftable`."""
    names = file.schema_arrow.names
    if names != [*EVENT_SCHEMA.names, *(field.name for field in fields(pointers_in(names)))]:
        raise NotGraftable("the file has columns that are not made any more")


def _bounds(metadata: Any, name: str) -> tuple[Any, Any]:
    position = EVENT_SCHEMA.get_field_index(name)
    each = [metadata.row_group(number).column(position).statistics for number in range(metadata.num_row_groups)]
    return min(each, key=lambda found: found.min).min, max(each, key=lambda found: found.max).max
