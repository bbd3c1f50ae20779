"""Streams straight from the columns of lake files, for selections that look at values of few kinds: no row becomes a text on the way.

The same rows as `Selection.statement` gives over the view of a part, which answers what cannot be loaded this way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from consentryd.analytics import literal
from consentryd.analytics.lookup import Looked, columns_read, look_up
from consentryd.analytics.people import People
from consentryd.analytics.region_view import Part, Span
from consentryd.analytics.rules import Rules
from consentryd.analytics.stream import MAX_DEFINITIONS, NONE, Stream, Values
from consentryd.analytics.streaming import MASK_IS_CODE, Column, Selection, Texts, arranged, codes_of, values_of
from consentryd.analytics.view import EVENTS
from consentryd.storage.coded import Coded, Columns, columns_of, encode, read_columns, read_plainly
from consentryd.storage.lake import ANONYMOUS_BUCKET, LakeFile
from consentryd.storage.promoted import pointers_of, promote, rewritten
from consentryd.storage.reader import Snapshot

if TYPE_CHECKING:
    import duckdb

_SESSION: Final = "e.session"
_NOTHING: Final = Looked(None, ())


class Rows(NamedTuple):
    """The rows of one source that a selection wants. A column's values are of its own codes, or plain."""

    subject: Any
    time: Any
    masks: Any
    values: Mapping[str, Looked]


@dataclass(frozen=True, slots=True)
class Loading:
    """How a selection is loaded. `promoted` are the properties that some file has columns of."""

    rules: Rules
    definitions: Sequence[str]
    conditions: Sequence[str]
    columns: Sequence[Column]
    every: bool
    plain: tuple[str, ...]
    coded: tuple[str, ...]

    def load(self, snapshot: Snapshot, connection: duckdb.DuckDBPyConnection, part: Part, span: Span) -> list[Rows]:
        """The rows of a part, source by source: its files in order of time, then the log's tail. Raises `CorruptStore`."""
        people = People(snapshot, self.rules, part)
        found = []
        for file in _in_order(snapshot.files(since=span.since, until=span.until, bucket=part)):
            (path,) = snapshot.paths([file])
            columns = _completed(path, read_columns(path, self._plain(snapshot), self.coded), self.coded)
            found.append(self._rows(connection, columns, people, self._bounds(span, file), file.bucket))
        if snapshot.tail.num_rows:
            tail = promote(snapshot.tail, pointers_of(self.coded))
            columns = columns_of(tail, self._plain(snapshot), self.coded, tail.num_rows)
            found.append(self._rows(connection, columns, people, self._bounds(span, None), None))
        return found

    def _plain(self, snapshot: Snapshot) -> tuple[str, ...]:
        return (*self.plain, "received_at") if snapshot.withdrawn else self.plain

    def _bounds(self, span: Span, file: LakeFile | None) -> Span:
        """The bounds of time that a source's rows must be held against: none where its own say enough."""
        until = self.rules.horizon if span.until is None else min(span.until, self.rules.horizon)
        if file is None:
            return Span(span.since, until)
        since = span.since if span.since is not None and file.first < span.since else None
        return Span(since, until if file.last >= until else None)

    def _rows(self, connection: duckdb.DuckDBPyConnection, columns: Columns, people: People, bounds: Span, bucket: Part) -> Rows:
        matched = look_up(connection, self.definitions, self._read(columns, self.definitions)) if self.definitions else _NOTHING
        masks = _masks(matched.results)
        allowed = look_up(connection, [f"({' AND '.join(self.conditions)})"], self._read(columns, self.conditions))
        fits = allowed.results[0].fill_null(False).to_numpy(zero_copy_only=False)
        wanted = self._wanted(columns, (matched.codes, masks), (allowed.codes, fits), bounds, in_file=bucket is not None)
        rows = np.arange(columns.rows) if wanted is None else wanted
        subject, own = people.seen(_taken(columns.plain["subject"], wanted), rows, columns, bucket)
        if own is not None:
            wanted, subject = rows[own], subject[own]
        mask = masks[_taken(matched.codes, wanted)] if matched.codes is not None else np.full(len(subject), masks[0], masks.dtype)
        values = {column.name: self._value(connection, column, columns, wanted) for column in self.columns}
        return Rows(subject, _taken(columns.plain["time"], wanted), mask, values)

    def _wanted(
        self, columns: Columns, matched: tuple[Any, Any], allowed: tuple[Any, Any], bounds: Span, *, in_file: bool
    ) -> Any:
        """The numbers of the rows that match a definition, are allowed, and within bounds; None: all of them."""
        time = columns.plain["time"]
        keeps = [] if in_file else [columns.plain["subject"] != NONE]
        for codes, truth in ((matched[0], None if self.every else matched[1] != 0), allowed):
            if truth is not None and not truth.all():
                keeps.append(truth[codes] if codes is not None else np.full(columns.rows, bool(truth[0])))
        if bounds.since is not None:
            keeps.append(time >= bounds.since)
        if bounds.until is not None:
            keeps.append(time < bounds.until)
        kept = reduce(np.logical_and, keeps) if keeps else None
        return None if kept is None or kept.all() else np.flatnonzero(kept)

    def _read(self, columns: Columns, expressions: Sequence[str]) -> dict[str, Coded]:
        names = frozenset().union(*(columns_read(each) or frozenset() for each in expressions))
        return {name: columns.coded[name] for name in sorted(names)}

    def _value(self, connection: duckdb.DuckDBPyConnection, column: Column, columns: Columns, rows: Any) -> Looked:
        if column.sql == _SESSION:
            return Looked(None, [_taken(columns.plain["session"], rows)])
        return look_up(connection, [column.sql], self._read(columns, [column.sql]), rows)


def loading_of(selection: Selection, rules: Rules, promoted: frozenset[str]) -> Loading | None:
    """How to load a selection; None if it looks at more than columns of few values."""
    if selection.source.sql != f"{EVENTS} e" or selection.account is not None or len(selection.definitions) > MAX_DEFINITIONS:
        return None
    definitions = [rewritten(each, promoted) for each in selection.definitions]
    conditions = [
        rewritten(each, promoted) for each in (f"e.site = {literal.text(rules.site)}", rules.row_sql, *selection.conditions)
    ]
    columns = [column._replace(sql=rewritten(column.sql, promoted)) for column in selection.columns]
    plain = ["subject", "time"]
    if any(column.sql == _SESSION for column in columns):
        if any(column.sql == _SESSION and column.kind != "integer" for column in columns):
            return None
        plain.append("session")
    names: set[str] = set()
    for expression in (*definitions, *conditions, *(column.sql for column in columns if column.sql != _SESSION)):
        read = columns_read(expression)
        if read is None:
            return None
        names |= read
    return Loading(rules, definitions, conditions, columns, selection.every, tuple(plain), tuple(sorted(names)))


def to_stream(loading: Loading, sources: Sequence[Rows], tables: Sequence[Mapping[str, Values]], texts: Texts) -> Stream:
    """One stream of all sources' rows. `tables` hold the values of their codes, as `coded_values` gives them."""
    subject = _joined([source.subject for source in sources], np.int64)
    time = _joined([source.time for source in sources], np.int64)
    code, masks = codes_of(_joined([source.masks for source in sources], np.int64), len(loading.definitions))
    values = {
        column.name: np.concatenate([_spread(source.values[column.name], table[column.name], len(source.subject))
                                     for source, table in zip(sources, tables, strict=True)])
        for column in loading.columns
        if sources
    }  # fmt: skip
    return arranged(subject, time, code, masks, values, texts)


def coded_values(loading: Loading, sources: Sequence[Rows], texts: Texts) -> list[dict[str, Values]]:
    """The values of each source's codes, texts as the codes of `texts`: to be made in one order, so that codes do not depend on chance."""
    return [{column.name: _values(column, source.values[column.name], texts) for column in loading.columns} for source in sources]


def _values(column: Column, looked: Looked, texts: Texts) -> Values:
    found = looked.results[0]
    return found if isinstance(found, np.ndarray) else values_of(column, pa.chunked_array([found]), texts)


def _spread(looked: Looked, table: Values, count: int) -> Values:
    if looked.codes is not None:
        found: Values = table[looked.codes]
        return found
    return table if len(table) == count and isinstance(looked.results[0], np.ndarray) else np.repeat(table[:1], count)


def _joined(arrays: Sequence[Any], kind: Any) -> Any:
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0] if arrays else np.empty(0, kind)


def _taken(column: Any, rows: Any) -> Any:
    """A column's values in some rows, or the column itself."""
    return column if rows is None else column[rows]


def _masks(truths: Sequence[pa.Array]) -> Any:
    """The bits of each result, in no more bytes than the codes that they become."""
    kind: Any = np.int16 if len(truths) <= MASK_IS_CODE else np.int64
    masks: Any = np.zeros(len(truths[0]) if truths else 1, kind)
    for bit, truth in enumerate(truths):
        masks |= truth.fill_null(False).to_numpy(zero_copy_only=False).astype(kind) << bit
    return masks


def _in_order(files: Sequence[LakeFile]) -> Iterator[LakeFile]:
    """By time within a bucket, so that rows of one subject come in order; nobody without a subject is looked at."""
    yield from sorted((file for file in files if file.bucket != ANONYMOUS_BUCKET), key=lambda file: (file.bucket, file.first))


def _completed(path: str, columns: Columns, wanted: Sequence[str]) -> Columns:
    """With the columns of promoted properties that the file lacks."""
    missing = [name for name in wanted if name not in columns.coded]
    if not missing:
        return columns
    made = promote(read_plainly(path, ["properties"]), pointers_of(missing))
    return columns._replace(coded={**columns.coded, **{name: encode(made[name]) for name in missing}})
