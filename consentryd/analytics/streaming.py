"""From a statement's rows to the sorted arrays that kernels read."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.analytics.source import Source
from consentryd.analytics.stream import MAX_DEFINITIONS, NONE, Int16s, Int64s, Stream, Values
from consentryd.model.error import Unprocessable

_TOKENS: Final = itertools.count()
_MOST_SHARED: Final = 20_000
#: What a text takes beside itself: its places in a list and in a dictionary.
_PLACES_BYTES: Final = 100
#: With so few definitions the mask itself is the code.
MASK_IS_CODE: Final = 12


class Column(NamedTuple):
    """A value column: SQL for it, and what it holds. Money is in units of the currency, integers may be missing (then -1)."""

    name: str
    kind: Literal["text", "number", "money", "integer"]
    sql: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events a kernel gets. `definitions` are conditions on the row `e`; events that match none are left out unless `every`.

    `conditions` must hold for all of them. Conditions and columns are made with `source`, before `statement` is read. `account`: SQL for
    the account that an event belongs to, where it is asked about accounts; events of none are left out.
    """

    source: Source
    definitions: Sequence[str]
    columns: Sequence[Column] = ()
    conditions: Sequence[str] = ()
    every: bool = False
    account: str | None = None

    @property
    def has_texts(self) -> bool:
        return any(column.kind == "text" for column in self.columns)

    @property
    def statement(self) -> str:
        """SELECT of `s`, `t`, `m` (a bit for each definition) and the columns."""
        if len(self.definitions) > MAX_DEFINITIONS:
            raise Unprocessable("invalid", f"A query has more than {MAX_DEFINITIONS} definitions of events.")
        bits = [f"CASE WHEN {definition} THEN {1 << bit}::BIGINT ELSE 0 END" for bit, definition in enumerate(self.definitions)]
        columns = [f"{column.sql} AS v{number}" for number, column in enumerate(self.columns)]
        selected = ", ".join(
            [f"{self.account or 'e.subject'} AS s", "epoch_us(e.time) AS t", f"{' + '.join(bits) or '0'} AS m", *columns]
        )
        some = [] if self.every else ["(" + " OR ".join(self.definitions) + ")"]
        known = ["e.subject IS NOT NULL"] if self.account is None else ["e.subject IS NOT NULL", f"{self.account} IS NOT NULL"]
        where = " AND ".join([*known, *self.conditions, *some])
        return f"SELECT {selected} FROM {self.source.sql} WHERE {where}"


@dataclass(slots=True)
class Texts:
    """Codes of text values, the same for all streams of a run. `known[name]` is the list of texts by code, `nbytes` about what they take."""

    known: dict[str, list[str]] = field(default_factory=dict)
    token: int | None = None
    kept_as: Hashable = None
    nbytes: int = 0
    _codes: dict[str, dict[str, int]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def shared(cls, kept_as: Hashable) -> Texts:
        """Codes for several runs, which are kept under a key; `token` tells them from all others of the process."""
        return cls(token=next(_TOKENS), kept_as=kept_as)

    @property
    def is_full(self) -> bool:
        return sum(map(len, self.known.values())) > _MOST_SHARED

    def encode(self, name: str, column: Any) -> Values:
        """int32 codes; `NONE` for null."""
        with self._lock:
            return self._encode(name, column)

    def _encode(self, name: str, column: Any) -> Values:
        encoded = column.combine_chunks().dictionary_encode()
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        codes, texts = self._codes.setdefault(name, {}), self.known.setdefault(name, [])
        own = []
        for text in encoded.dictionary.to_pylist():
            code = codes.setdefault(text, len(texts))
            if code == len(texts):
                texts.append(text)
                self.nbytes += sys.getsizeof(text) + _PLACES_BYTES
            own.append(code)
        table = np.array([*own, NONE], np.int32)
        found: Values = table[encoded.indices.fill_null(len(own)).to_numpy()]
        return found


def to_stream(selection: Selection, table: pa.Table, texts: Texts) -> Stream:
    """The rows of `selection.statement`, sorted by (subject, time). Files are sorted already, so that mostly runs are merged."""
    subject, time = _int64s(table["s"]), _int64s(table["t"])
    code, masks = codes_of(_int64s(table["m"]), len(selection.definitions))
    values = {column.name: values_of(column, table[f"v{number}"], texts) for number, column in enumerate(selection.columns)}
    return arranged(subject, time, code, masks, values, texts)


def arranged(subject: Int64s, time: Int64s, code: Int16s, masks: Int64s, values: Mapping[str, Values], texts: Texts) -> Stream:
    """A stream of these rows, sorted by (subject, time). Rows that came in order of time need a stable sort by subject only."""
    if not _is_sorted(subject, time):
        order = np.argsort(subject, kind="stable")
        if not _is_sorted(subject[order], time[order]):
            order = np.lexsort((time, subject))
        subject, time, code = subject[order], time[order], code[order]
        values = {name: column[order] for name, column in values.items()}
    return Stream(subject, time, code, masks, values, texts.known)


def _is_sorted(subject: Int64s, time: Int64s) -> bool:
    before, after = subject[:-1], subject[1:]
    return bool(np.all((after > before) | ((after == before) & (time[1:] >= time[:-1]))))


def codes_of(masks: Int64s, definitions: int) -> tuple[Int16s, Int64s]:
    """Bits of definitions as codes, and the bits of each code."""
    if definitions <= MASK_IS_CODE:
        return masks.astype(np.int16, copy=False), np.arange(1 << definitions, dtype=np.int64)
    found, codes = np.unique(masks, return_inverse=True)
    if len(found) > np.iinfo(np.int16).max:
        raise Unprocessable("too_expensive", "Definitions of events overlap in too many ways.")
    return codes.astype(np.int16), found


def values_of(column: Column, values: Any, texts: Texts) -> Values:
    """A column's values as kernels read them."""
    match column.kind:
        case "text":
            return texts.encode(column.name, values)
        case "number":
            numbers: Values = values.cast(pa.float64()).fill_null(np.nan).to_numpy()
            return numbers
        case "money":
            scaled = pc.multiply(values.cast(pa.decimal128(18, 4)), pa.scalar(10_000, pa.int32()))
            return _int64s(pc.fill_null(scaled, 0).cast(pa.int64()))
        case "integer":
            return _int64s(values.fill_null(NONE))


def _int64s(column: Any) -> Int64s:
    found: Int64s = column.cast(pa.int64()).to_numpy()
    return found
