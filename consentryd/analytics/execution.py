"""Running statements over every bucket of every region, on one consistent view of each, within memory that does not grow with the data."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from consentryd.analytics.cache import PartialCache, PartialKey
from consentryd.analytics.control import Control
from consentryd.analytics.rules import Rules
from consentryd.model.error import CorruptStore, Unprocessable
from consentryd.storage.lake import ANONYMOUS_BUCKET
from consentryd.storage.reader import Snapshot

_HISTORY: Final = re.compile(r"\bhistory\b")
#: What a row costs at the worst while it is grouped or sorted: measured 60 to 110 bytes for a subject, a bucket and a group.
ROW_BYTES: Final = 128


class Span(NamedTuple):
    """since <= time < until, UTC microseconds; None: no bound."""

    since: int | None = None
    until: int | None = None


class Execution:
    """One query's statements. The snapshots stay open for as long as it is used, and are closed by whoever opened them."""

    def __init__(
        self, snapshots: Mapping[str, Snapshot], rules: Rules, cache: PartialCache, control: Control, memory_bytes: int
    ) -> None:
        self.rules = rules
        self.control = control
        self._cache = cache
        self._memory = memory_bytes
        self._views = {name: _View(name, snapshot, rules) for name, snapshot in snapshots.items()}

    def with_rules(self, rules: Rules) -> Execution:
        """The same view of the data under other rules."""
        snapshots = {name: view.snapshot for name, view in self._views.items()}
        return Execution(snapshots, rules, self._cache, self.control, self._memory)

    def gather(self, statement: str, span: Span) -> pa.Table:
        """A statement's rows over all buckets, one after the other; no table at all if there is no data gives an empty one."""
        tables = list(self.partials(statement, span))
        return pa.concat_tables(tables, promote_options="permissive")

    def partials(self, statement: str, span: Span) -> Iterator[pa.Table]:
        """A statement's rows, bucket by bucket. It reads the views `events` (within the span) and `history` (all up to the horizon).

        Raises `Cancelled`, `Unprocessable` when it takes too long or too much memory, `CorruptStore`.
        """
        full = bool(_HISTORY.search(statement))
        work = [(view, bucket) for view in self._views.values() for bucket in view.buckets(Span() if full else span)]
        self._check_memory(work, Span() if full else span)
        self.control.plan(len(work))
        for view, bucket in work or [(next(iter(self._views.values())), ANONYMOUS_BUCKET + 1)]:
            yield self._partial(view, bucket, statement, span, full=full)

    def _partial(self, view: _View, bucket: int, statement: str, span: Span, *, full: bool) -> pa.Table:
        key = PartialKey(view.region, bucket, (view.data(bucket, Span() if full else span), span, self.rules.sql), statement)
        found = self._cache.get(key)
        if found is None:
            found = view.run(bucket, statement, span, self.control, full=full)
            self._cache.put(key, found)
        else:
            self.control.check()
            self.control.done += 1
        return found

    def _check_memory(self, work: Sequence[tuple[_View, int]], span: Span) -> None:
        rows = max((view.rows(bucket, span) for view, bucket in work), default=0)
        if rows * ROW_BYTES > self._memory:
            raise Unprocessable(
                "too_expensive",
                "The query would need too much memory: narrow its range or sample it.",
                estimate_mb=rows * ROW_BYTES >> 20,
                limit_mb=self._memory >> 20,
            )


class _View:
    """A region's snapshot under a query's rules."""

    def __init__(self, region: str, snapshot: Snapshot, rules: Rules) -> None:
        self.region = region
        self.snapshot = snapshot
        self._rules = rules
        self._tail = _tail_counts(snapshot, rules.site)
        self._mark = _mark(snapshot)

    def buckets(self, span: Span) -> list[int]:
        """Buckets that may hold rows of the span and the lanes."""
        lanes = self._rules.lanes
        first = ANONYMOUS_BUCKET if lanes == "anonymous" else 0
        last = ANONYMOUS_BUCKET if lanes == "consented" else ANONYMOUS_BUCKET + 1
        return [bucket for bucket in range(first, last) if self.rows(bucket, span)]

    def rows(self, bucket: int, span: Span) -> int:
        """At most so many rows."""
        files = self.snapshot.files(since=span.since, until=span.until, bucket=bucket)
        return sum(file.events for file in files) + int(self._tail[bucket])

    def data(self, bucket: int, span: Span) -> Hashable:
        """Names a bucket's rows: for one sealed log row, the tail only ever grows."""
        files = self.snapshot.files(since=span.since, until=span.until, bucket=bucket)
        tail = int(self._tail[bucket]) if bucket <= ANONYMOUS_BUCKET else 0
        return tuple(file.path for file in files), tail and (tail, self.snapshot.state.sealed), self._mark

    def run(self, bucket: int, statement: str, span: Span, control: Control, *, full: bool) -> pa.Table:
        connection = self.snapshot.connection
        self._create_view("events", bucket, span)
        if full:
            self._create_view("history", bucket, Span())
        try:
            with control.running(connection):
                return connection.sql(statement).to_arrow_table()
        except duckdb.IOException as error:
            raise CorruptStore("A file of the lake cannot be read; `consentry doctor` says which.") from error

    def _create_view(self, name: str, bucket: int, span: Span) -> None:
        rows = self.snapshot.relation(site=self._rules.site, since=span.since, until=span.until, bucket=bucket)
        rows.set_alias("e").filter(self._rules.sql).create_view(name, replace=True)


def _tail_counts(snapshot: Snapshot, site: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Events of the site in the log's tail, by bucket."""
    tail = snapshot.tail
    if not tail.num_rows:
        return np.zeros(ANONYMOUS_BUCKET + 2, np.int64)
    own = tail.filter(pa.compute.equal(tail["site"], site))
    subjects = snapshot.aliases.apply(own.select(["subject"]))["subject"].fill_null(-1).to_numpy()
    buckets = np.where(subjects < 0, ANONYMOUS_BUCKET, subjects >> 59)
    return np.bincount(buckets, minlength=ANONYMOUS_BUCKET + 2)


def _mark(snapshot: Snapshot) -> str:
    """Names who is merged, hidden or has withdrawn."""
    digest = hashlib.sha256(snapshot.aliases.subjects.tobytes())
    digest.update(snapshot.aliases.becomes.tobytes())
    digest.update(snapshot.hidden.subjects.tobytes())
    digest.update(repr(sorted(snapshot.withdrawn)).encode())
    return digest.hexdigest()
