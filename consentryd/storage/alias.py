"""Merged subjects: which subject stands for which, with chains followed to their end."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa
from pyarrow import csv

from consentryd.model.error import CorruptStore

Subjects = np.ndarray[tuple[int], np.dtype[np.int64]]

ALIAS_SCHEMA: Final = pa.schema([("subject", pa.int64()), ("becomes", pa.int64())])
_MOST_ROUNDS: Final = 64
_NOBODY: Final = -2  # events without a subject are looked for as -1


class Aliases:
    """An immutable map of merged subjects to the ones they are now."""

    def __init__(self, pairs: Mapping[int, int]) -> None:
        self._take(np.fromiter(pairs, np.int64, len(pairs)), np.fromiter(pairs.values(), np.int64, len(pairs)))

    @classmethod
    def of(cls, subjects: Subjects, becomes: Subjects) -> Aliases:
        """The same from arrays."""
        made = cls({})
        made._take(subjects, becomes)
        return made

    def _take(self, subjects: Subjects, becomes: Subjects) -> None:
        order = np.argsort(subjects)
        self.subjects = subjects[order]
        self.becomes = _followed(self.subjects, becomes[order])
        self._ended = np.append(self.subjects, _NOBODY)

    def __len__(self) -> int:
        return len(self.subjects)

    def resolve(self, subject: int) -> int:
        position = int(np.searchsorted(self.subjects, subject))
        found = position < len(self) and int(self.subjects[position]) == subject
        return int(self.becomes[position]) if found else subject

    def mask(self, table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        """Which events belong to a merged subject."""
        column = table["subject"].combine_chunks()
        values = column.fill_null(-1).to_numpy(zero_copy_only=False)
        found: np.ndarray[tuple[int], np.dtype[np.bool_]] = self._ended[np.searchsorted(self.subjects, values)] == values
        return found

    def apply(self, table: pa.Table) -> pa.Table:
        """The events with merged subjects replaced."""
        merged = self.mask(table)
        if not merged.any():
            return table
        column = table["subject"].combine_chunks()
        values = column.fill_null(-1).to_numpy(zero_copy_only=False).copy()
        values[merged] = self.becomes[np.searchsorted(self.subjects, values[merged])]
        replaced = pa.array(values, pa.int64(), mask=column.is_null().to_numpy(zero_copy_only=False))
        return table.set_column(table.schema.get_field_index("subject"), "subject", replaced)

    def to_table(self) -> pa.Table:
        return pa.table([self.subjects, self.becomes], schema=ALIAS_SCHEMA)


def load_aliases(connection: sqlite3.Connection) -> Aliases:
    """As one row of text that Arrow reads: there may be hundreds of thousands, and the interpreter is needed elsewhere."""
    (text,) = connection.execute("SELECT group_concat(subject || ',' || becomes, char(10)) FROM alias").fetchone()
    if text is None:
        return NO_ALIASES
    pairs = csv.read_csv(
        pa.py_buffer(text.encode()),
        read_options=csv.ReadOptions(use_threads=False, column_names=ALIAS_SCHEMA.names),
        convert_options=csv.ConvertOptions(column_types=ALIAS_SCHEMA),
    )
    return Aliases.of(pairs["subject"].to_numpy(), pairs["becomes"].to_numpy())


def _followed(subjects: Subjects, becomes: Subjects) -> Subjects:
    """What each of the subjects, ascending, is in the end. Each round follows twice as many steps as the one before."""
    for _ in range(_MOST_ROUNDS):
        places = np.searchsorted(subjects, becomes)
        merged = np.append(subjects, -1)[places] == becomes
        if not merged.any():
            return becomes
        becomes = np.where(merged, np.append(becomes, -1)[places], becomes)
    raise CorruptStore(f"table alias of region.db holds a cycle of {int(merged.sum())} subjects")


NO_ALIASES: Final = Aliases({})
