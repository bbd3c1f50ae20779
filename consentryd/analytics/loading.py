"""Streams straight from the columns of lake files, for selections that look at values of few kinds: no row becomes a text on the way.

The same rows as `Selection.statement` gives over the view of a part, which answers what cannot be loaded this way.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from consentryd.analytics import literal
from consentryd.analytics.blocks import Batch, Rows, blocks
from consentryd.analytics.lookup import Looked, Lookup, Named, columns_read
from consentryd.analytics.people import People
from consentryd.analytics.region_view import Part, Span
from consentryd.analytics.rules import Rules
from consentryd.analytics.stream import MAX_DEFINITIONS, NONE
from consentryd.analytics.streaming import MASK_IS_CODE, Column, Selection
from consentryd.analytics.view import EVENTS
from consentryd.model.identity import BUCKET_SHIFT, MAX_SUBJECT
from consentryd.storage.coded import Columns, columns_of, read_columns
from consentryd.storage.lake import ANONYMOUS_BUCKET, LakeFile
from consentryd.storage.promoted import pointers_of, promote, rewritten
from consentryd.storage.reader import Snapshot

if TYPE_CHECKING:
    import duckdb

_SESSION: Final = "e.session"
_NOTHING: Final = Looked(None, ())
#: Rows of a bucket's files that are read at a time.
BATCH_ROWS: Final = 65_536
#: To compare all rows with so many codes takes less than to look each up (0.2 ns a row and code against 1.3).
_FEW_CODES: Final = 4
#: Results of few values are the same ones batch after batch, others come once.
_MOST_KNOWN: Final = 16


class Loading:
    """How a selection is loaded from one region. `promoted` are the properties that some file has columns of."""

    def __init__(
        self,
        rules: Rules,
        definitions: Sequence[str],
        conditions: Sequence[str],
        columns: Sequence[Column],
        *,
        every: bool,
        plain: Sequence[str],
        coded: Sequence[str],
    ) -> None:
        self.definitions, self.columns = definitions, columns
        self._rules, self._conditions, self._every = rules, conditions, every
        self._plain, self._coded = plain, coded
        self._look_up = Lookup()
        self._masks, self._truths = _Derived(_masks), _Derived(_truths)
        self._tail: Columns | None = None
        self._lock = threading.Lock()

    def blocks(self, snapshot: Snapshot, connection: duckdb.DuckDBPyConnection, part: Part, span: Span) -> Iterator[list[Rows]]:
        """The rows of a part, block by block of whole subjects; of a part that is no bucket, or where subjects are merged, one block.

        Raises `CorruptStore`.
        """
        people = People(snapshot, self._rules, part)
        files = [
            file for file in snapshot.files(since=span.since, until=span.until, bucket=part) if file.bucket != ANONYMOUS_BUCKET
        ]
        files.sort(key=lambda file: (file.bucket, file.first))  # so that rows of one subject come in order
        apart = part is not None and not len(snapshot.aliases)
        size = max(BATCH_ROWS // max(len(files), 1), 1) if apart else sys.maxsize
        plain = (*self._plain, "received_at") if snapshot.withdrawn else self._plain

        def of_file(file: LakeFile) -> Iterator[Batch]:
            (path,) = snapshot.paths([file])
            for columns in read_columns(path, plain, self._coded, size):
                rows = self._rows(connection, columns, people, self._bounds(span, file), file.bucket)
                yield Batch(rows, int(columns.plain["subject"][-1]))

        def of_tail() -> Iterator[Batch]:
            columns = self._tail_of(snapshot, plain, part if apart else None)
            if columns.rows:
                yield Batch(self._rows(connection, columns, people, self._bounds(span, None), None), MAX_SUBJECT)

        sources = [*map(of_file, files), *([of_tail()] if snapshot.tail.num_rows else [])]
        if apart:
            yield from blocks(sources)
        else:
            yield [batch.rows for source in sources for batch in source]

    def _tail_of(self, snapshot: Snapshot, plain: Sequence[str], bucket: int | None) -> Columns:
        """The log's tail by subject, or what there is of a bucket's. It is read once."""
        with self._lock:
            if self._tail is None:
                columns = columns_of(promote(snapshot.tail, pointers_of(self._coded)), plain, self._coded)
                self._tail = columns.at(np.argsort(columns.plain["subject"], kind="stable"))
        if bucket is None:
            return self._tail
        first, end = np.searchsorted(self._tail.plain["subject"] >> BUCKET_SHIFT, [bucket, bucket + 1])
        return self._tail.at(slice(first, end))

    def _bounds(self, span: Span, file: LakeFile | None) -> Span:
        """The bounds of time that a source's rows must be held against: none where its own say enough."""
        until = self._rules.horizon if span.until is None else min(span.until, self._rules.horizon)
        if file is None:
            return Span(span.since, until)
        since = span.since if span.since is not None and file.first < span.since else None
        return Span(since, until if file.last >= until else None)

    def _rows(self, connection: duckdb.DuckDBPyConnection, columns: Columns, people: People, bounds: Span, bucket: Part) -> Rows:
        named = self._look_up.named(columns.coded)
        matched = self._looked(connection, self.definitions, named) if self.definitions else _NOTHING
        masks = _local(self._masks(matched.results), matched)
        allowed = self._looked(connection, [f"({' AND '.join(self._conditions)})"], named)
        fits = _local(self._truths(allowed.results), allowed)
        wanted = self._wanted(columns, (matched.codes, masks), (allowed.codes, fits), bounds, in_file=bucket is not None)
        rows = np.arange(columns.rows) if wanted is None else wanted
        subject, own = people.seen(_taken(columns.plain["subject"], wanted), rows, columns, bucket)
        if own is not None:
            wanted, subject = rows[own], subject[own]
        mask = (
            masks.take(_taken(matched.codes, wanted))
            if matched.codes is not None
            else np.full(len(subject), masks[0], masks.dtype)
        )
        values = {column.name: self._value(connection, column, columns, named, wanted) for column in self.columns}
        return Rows(subject, _taken(columns.plain["time"], wanted), mask, values)

    def _wanted(
        self, columns: Columns, matched: tuple[Any, Any], allowed: tuple[Any, Any], bounds: Span, *, in_file: bool
    ) -> Any:
        """The numbers of the rows that match a definition, are allowed, and within bounds; None: all of them."""
        time = columns.plain["time"]
        keeps = [] if in_file else [columns.plain["subject"] != NONE]
        for codes, truth in ((matched[0], None if self._every else matched[1] != 0), allowed):
            if truth is not None and not truth.all():
                keeps.append(_spread(truth, codes) if codes is not None else np.full(columns.rows, bool(truth[0])))
        if bounds.since is not None:
            keeps.append(time >= bounds.since)
        if bounds.until is not None:
            keeps.append(time < bounds.until)
        kept = reduce(np.logical_and, keeps) if keeps else None
        return None if kept is None or kept.all() else np.flatnonzero(kept)

    def _looked(
        self, connection: duckdb.DuckDBPyConnection, expressions: Sequence[str], named: Mapping[str, Named], rows: Any = None
    ) -> Looked:
        read = frozenset().union(*(columns_read(each) or frozenset() for each in expressions))
        return self._look_up(connection, expressions, {name: named[name] for name in sorted(read)}, rows)

    def _value(
        self, connection: duckdb.DuckDBPyConnection, column: Column, columns: Columns, named: Mapping[str, Named], rows: Any
    ) -> Looked:
        if column.sql == _SESSION:
            return Looked(None, [_taken(columns.plain["session"], rows)])
        return self._looked(connection, [column.sql], named, rows)


class _Derived:
    """What is made of results, once of those that come again. Shared by threads: two may make the same."""

    def __init__(self, make: Callable[[Sequence[pa.Array]], Any]) -> None:
        self._make = make
        self._known: dict[int, tuple[Sequence[pa.Array], Any]] = {}

    def __call__(self, results: Sequence[pa.Array]) -> Any:
        known = self._known.get(id(results))
        if known is None:
            if len(self._known) >= _MOST_KNOWN:
                self._known = {}
            known = self._known[id(results)] = results, self._make(results)
        return known[1]


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
    return Loading(rules, definitions, conditions, columns, every=selection.every, plain=plain, coded=sorted(names))


def _local(results: Any, looked: Looked) -> Any:
    """By the rows' own codes."""
    return results if looked.table is None else results[looked.table]


def _spread(truth: Any, codes: Any) -> Any:
    """Of rows by their codes; those of `NONE` have the last truth."""
    good = [*np.flatnonzero(truth).tolist(), *([NONE] if truth[NONE] else [])]
    if not 0 < len(good) <= _FEW_CODES:
        return truth.take(codes)
    return reduce(np.logical_or, [codes == code for code in good])


def _taken(column: Any, rows: Any) -> Any:
    """A column's values in some rows, or the column itself."""
    return column if rows is None else column.take(rows)


def _truths(results: Sequence[pa.Array]) -> Any:
    """Where the only expression holds."""
    return results[0].fill_null(False).to_numpy(zero_copy_only=False)


def _masks(truths: Sequence[pa.Array]) -> Any:
    """The bits of each result, in no more bytes than the codes that they become."""
    kind: Any = np.int16 if len(truths) <= MASK_IS_CODE else np.int64
    masks: Any = np.zeros(len(truths[0]) if truths else 1, kind)
    for bit, truth in enumerate(truths):
        masks |= truth.fill_null(False).to_numpy(zero_copy_only=False).astype(kind) << bit
    return masks
