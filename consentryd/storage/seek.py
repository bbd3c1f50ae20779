"""Finding single subjects in lake files: which row group they stand in is looked up once a file, and only that is read.

Files are in order of subject, but say nothing of subjects in their statistics. The bounds found here stay in memory, as long as the file and
for a bounded number of files.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from consentryd.model.error import CorruptStore
from consentryd.model.memory import keep
from consentryd.storage.coded import UNCODED
from consentryd.storage.schema import EVENT_SCHEMA

_CODED = tuple(field.name for field in EVENT_SCHEMA if pa.types.is_string(field.type) and field.name not in UNCODED)

#: Files known at once: a footer takes 0.1 MB, and a lake may have thousands.
MOST_FILES: Final = 256
#: Of more columns than that, two are decoded at once.
_FEW: Final = 8


class _Known(NamedTuple):
    """A file's footer, and the first and last subject of each of its row groups."""

    metadata: Any
    first: np.ndarray[tuple[int], np.dtype[np.int64]]
    last: np.ndarray[tuple[int], np.dtype[np.int64]]


class Seeker:
    """What is known of files by path. Shared by threads: two may find out the same, which does no harm."""

    def __init__(self) -> None:
        self._known: dict[Path, _Known] = {}

    def keep(self, paths: Collection[Path]) -> None:
        """Forget all other files."""
        self._known = {path: known for path, known in self._known.items() if path in paths}

    def pick(self, path: Path, subjects: Sequence[int], columns: Sequence[str], constants: Mapping[str, str]) -> pa.Table:
        """These columns of the events of some subjects, in the order of the file.

        `constants` are columns that have one value in it. Raises `CorruptStore`.
        """
        schema = pa.schema([EVENT_SCHEMA.field(name) for name in columns])
        try:
            known = self._known.get(path)
            if known is None:
                known = keep(self._known, path, _look(path), MOST_FILES)
            with _open(path, metadata=known.metadata, read_dictionary=list(_CODED)) as file:
                parts = [_taken(file, group, subjects, schema, constants) for group in _groups(known, subjects)]
        except (OSError, pa.ArrowException) as error:
            raise CorruptStore(f"lake file {path} cannot be read: {error}") from error
        return pa.concat_tables(parts) if parts else schema.empty_table()


def _open(path: Path, **options: Any) -> pq.ParquetFile:
    """Its pages are compared with their checksums when they are read."""
    return pq.ParquetFile(path, memory_map=True, page_checksum_verification=True, **options)


def _look(path: Path) -> _Known:
    with _open(path) as file:
        groups = [
            file.read_row_group(group, columns=["subject"], use_threads=False)["subject"].fill_null(-1).to_numpy()
            for group in range(file.num_row_groups)
        ]
        ends = [np.array([each[place] for each in groups], np.int64) for place in (0, -1)]
        return _Known(file.metadata, *ends)


def _groups(known: _Known, subjects: Sequence[int]) -> list[int]:
    wanted = np.array(sorted(subjects), np.int64)
    holding = np.searchsorted(wanted, known.first) < np.searchsorted(wanted, known.last, side="right")
    found: list[int] = np.flatnonzero(holding).tolist()
    return found


def _taken(
    file: pq.ParquetFile, group: int, subjects: Sequence[int], schema: pa.Schema, constants: Mapping[str, str]
) -> pa.Table:
    held = file.read_row_group(group, columns=["subject"], use_threads=False)["subject"]
    rows = np.flatnonzero(np.isin((held.fill_null(-1) if held.null_count else held).to_numpy(), subjects, kind="sort"))
    if not len(rows):
        return schema.empty_table()
    first, count = int(rows[0]), int(rows[-1] - rows[0] + 1)
    names = [name for name in schema.names if name != "subject" and name not in constants]
    read = file.read_row_group(group, columns=names, use_threads=len(names) > _FEW) if names else {}
    found = {name: read[name].slice(first, count).take(pa.array(rows - first)) for name in names}
    found |= {name: pa.repeat(value, len(rows)) for name, value in constants.items()}
    found["subject"] = held.take(pa.array(rows))
    return pa.table([found[name] for name in schema.names], names=schema.names).cast(schema)
