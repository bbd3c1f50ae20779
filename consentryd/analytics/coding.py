"""From rows with codes of their own to streams whose texts have the same codes wherever they come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from consentryd.analytics.blocks import Rows
from consentryd.analytics.loading import Loading
from consentryd.analytics.lookup import Looked
from consentryd.analytics.stream import Stream, Values
from consentryd.analytics.streaming import Column, Texts, arranged, codes_of, values_of

#: Results of a lookup are the same ones block after block where values are few, and others each time where they are many.
_MOST_KNOWN: Final = 16
_KINDS: Final = {"text": np.int32, "number": np.float64, "money": np.int64, "integer": np.int64}


class Coding:
    """Of one selection's rows."""

    def __init__(self, loading: Loading, texts: Texts) -> None:
        self._loading, self._texts = loading, texts
        self._known: dict[tuple[str, int], tuple[Any, Values]] = {}

    def tables(self, sources: Sequence[Rows]) -> list[dict[str, Values]]:
        """The values of each source's codes, of texts the codes in `texts`: asked for in one order, they do not depend on chance."""
        return [
            {column.name: self._values(column, rows.values[column.name]) for column in self._loading.columns} for rows in sources
        ]

    def stream(self, sources: Sequence[Rows], tables: Sequence[Mapping[str, Values]]) -> Stream:
        """One stream of all sources' rows, with the tables made of them."""
        subject = _joined([source.subject for source in sources], np.int64)
        time = _joined([source.time for source in sources], np.int64)
        code, masks = codes_of(_joined([source.masks for source in sources], np.int64), len(self._loading.definitions))
        values = {
            column.name: _joined([_spread(source.values[column.name], table[column.name], len(source.subject))
                                  for source, table in zip(sources, tables, strict=True)], _KINDS[column.kind])
            for column in self._loading.columns
        }  # fmt: skip
        return arranged(subject, time, code, masks, values, self._texts)

    def _values(self, column: Column, looked: Looked) -> Values:
        found = looked.results[0]
        if isinstance(found, np.ndarray):
            return found
        known = self._known.get((column.name, id(found)))
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            known = self._known[column.name, id(found)] = found, values_of(column, pa.chunked_array([found]), self._texts)
        return known[1] if looked.table is None else known[1][looked.table]


def _spread(looked: Looked, table: Values, count: int) -> Values:
    if looked.codes is not None:
        found: Values = table.take(looked.codes)
        return found
    return table if len(table) == count and isinstance(looked.results[0], np.ndarray) else np.repeat(table[:1], count)


def _joined(arrays: Sequence[Any], kind: Any) -> Any:
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0] if arrays else np.empty(0, kind)
