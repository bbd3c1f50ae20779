"""Changing the few row groups of a lake file in which some subjects stand, where that is less work than writing all of it anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from consentryd.model.error import CorruptStore
from consentryd.storage.graft import NotGraftable, graft
from consentryd.storage.lake import ROW_GROUP_ROWS, Change, LakeFile, Subjects
from consentryd.storage.parquet import write_parquet
from consentryd.storage.promoted import pointers_in
from consentryd.storage.schema import EVENT_SCHEMA

#: Above this share of a file's row groups, rewriting it streams better.
MOST: Final = 0.5


def groups_with(path: Path, subjects: Subjects) -> tuple[list[int], int]:
    """The numbers of the row groups that hold any of the subjects, and how many groups there are. Raises `CorruptStore`."""
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return [number for number in range(file.num_row_groups) if _holds(file, number, subjects)], file.num_row_groups
    except (OSError, pa.ArrowException) as error:
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error


def exchange(path: Path, draft: Path, groups: Sequence[int], change: Change) -> bool:
    """Write `draft` as the file at `path` with these row groups passed through `change`; durable when this returns.

    False, with nothing written, if the file cannot be taken apart. Raises `CorruptStore`.
    """
    parts: dict[int, Path | None] = {}
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for number in groups:
                parts[number] = _changed(file, number, draft, change)
        graft(path, draft, parts)
    except NotGraftable:
        draft.unlink(missing_ok=True)
        return False
    except (OSError, pa.ArrowException) as error:
        raise CorruptStore(f"lake file {path} cannot be read: {error}") from error
    finally:
        for part in parts.values():
            if part is not None:
                part.unlink(missing_ok=True)
    return True


def described(path: Path, name: str, old: LakeFile) -> LakeFile:
    """What a file of the partition of `old` says of itself, by its own statistics; bounds in whole milliseconds, as table entries are."""
    with pq.ParquetFile(path) as file:
        metadata = file.metadata
    times, sites = _bounds(metadata, "time"), _bounds(metadata, "site")
    low, high = (int(bound.timestamp()) * 1_000_000 + bound.microsecond for bound in times)
    return old._replace(
        path=name,
        events=metadata.num_rows,
        size=path.stat().st_size,
        first=low // 1000 * 1000,
        last=(high + 999) // 1000 * 1000,
        sites=sites,
    )


def _holds(file: pq.ParquetFile, number: int, subjects: Subjects) -> bool:
    column = file.read_row_group(number, ["subject"], use_threads=False)["subject"].combine_chunks()
    return bool(np.isin(column.fill_null(-1).to_numpy(zero_copy_only=False), subjects).any())


def _changed(file: pq.ParquetFile, number: int, draft: Path, change: Change) -> Path | None:
    table = change(file.read_row_group(number, use_threads=False).select(EVENT_SCHEMA.names).cast(EVENT_SCHEMA))
    if not table.num_rows:
        return None
    part = draft.with_name(f"{draft.name}.{number}")
    write_parquet(part, [table], max(ROW_GROUP_ROWS, table.num_rows), pointers_in(file.schema_arrow.names))
    return part


def _bounds(metadata: Any, name: str) -> tuple[Any, Any]:
    position = EVENT_SCHEMA.get_field_index(name)
    each = [metadata.row_group(number).column(position).statistics for number in range(metadata.num_row_groups)]
    return min(each, key=lambda found: found.min).min, max(each, key=lambda found: found.max).max
