"""Merged subjects: which subject stands for which, with chains followed to their end."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from consentryd.model.error import CorruptStore

ALIAS_SCHEMA: Final = pa.schema([("subject", pa.int64()), ("becomes", pa.int64())])


class Aliases:
    """An immutable map of merged subjects to the ones they are now."""

    def __init__(self, pairs: Mapping[int, int]) -> None:
        resolved = sorted((subject, _follow(pairs, subject)) for subject in pairs)
        self.subjects = np.array([subject for subject, _ in resolved], np.int64)
        self.becomes = np.array([becomes for _, becomes in resolved], np.int64)

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
        return np.isin(values, self.subjects) if len(self) else np.zeros(len(values), np.bool_)

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


NO_ALIASES: Final = Aliases({})


def load_aliases(connection: sqlite3.Connection) -> Aliases:
    return Aliases(dict(connection.execute("SELECT subject, becomes FROM alias")))


def _follow(pairs: Mapping[int, int], subject: int) -> int:
    seen = {subject}
    while subject in pairs:
        subject = pairs[subject]
        if subject in seen:
            raise CorruptStore(f"table alias of region.db holds a cycle of {len(seen)} subjects")
        seen.add(subject)
    return subject
