"""Running statements over every bucket of every region, on one consistent view of each, within memory that does not grow with the data."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar

import pyarrow as pa

from consentryd.analytics.cache import DatedCache, PartialCache, PartialKey
from consentryd.analytics.control import Control
from consentryd.analytics.loading import Loading, loading_of
from consentryd.analytics.region_view import NO_BUCKET, Part, RegionView, Span, SubjectView
from consentryd.analytics.rules import Rules
from consentryd.analytics.running import Job, Running
from consentryd.analytics.stream import Stream
from consentryd.analytics.streaming import Selection, Texts
from consentryd.analytics.view import HISTORY
from consentryd.model.error import Unprocessable
from consentryd.model.identity import MAX_SUBJECT, bucket_of
from consentryd.storage.reader import Snapshot
from consentryd.storage.stance import Stances

#: What a row costs at the worst while it is grouped or sorted: measured 60 to 110 bytes for a subject, a bucket and a group.
ROW_BYTES: Final = 128
#: Up to here all buckets of a region are looked at together: a statement costs 30 ms of its own.
TOGETHER_ROWS: Final = 1_500_000

#: Results up to this size are kept until the question is answered.
_KEPT_BYTES: Final = 1 << 20

T = TypeVar("T")


class Execution:
    """One query's statements. The snapshots stay open for as long as it is used, and are closed by whoever opened them."""

    def __init__(
        self,
        snapshots: Mapping[str, Snapshot],
        rules: Rules,
        cache: PartialCache | DatedCache,
        control: Control,
        memory_bytes: int,
        only: Part = None,
        *,
        threads: int = 2,
    ) -> None:
        self.rules = rules
        self.control = control
        self._snapshots = snapshots
        self._cache = cache
        self._memory = memory_bytes
        self._only = only
        self._threads = threads
        self._gathered: dict[tuple[str, Span], pa.Table] = {}
        self._views: list[RegionView] = [RegionView(name, snapshot, rules) for name, snapshot in snapshots.items()]

    def with_rules(self, rules: Rules) -> Execution:
        """The same view of the data under other rules."""
        return Execution(self._snapshots, rules, self._cache, self.control, self._memory, threads=self._threads)

    def rows(self, span: Span) -> int:
        """At most so many events are in a span, over all regions."""
        return sum(view.rows(None, span) for view in self._views)

    @property
    def oldest(self) -> int | None:
        """When the first event in a file was, over all regions."""
        return min((first for view in self._views if (first := view.oldest) is not None), default=None)

    def of_subject(self, subject: int) -> Execution:
        """The same, of the events of one subject, asked where they stand."""
        own = Execution(
            self._snapshots,
            self.rules,
            self._cache,
            self.control,
            self._memory,
            bucket_of(min(subject, MAX_SUBJECT)),
            threads=self._threads,
        )
        own._views = [SubjectView(name, snapshot, self.rules, subject) for name, snapshot in self._snapshots.items()]
        return own

    def stances(self, region: str, purpose: str) -> Stances:
        """Who of a region refuses a purpose, and who grants it."""
        return self._snapshots[region].stances(purpose)

    @property
    def views(self) -> Sequence[RegionView]:
        """Of each region."""
        return self._views

    @property
    def memory_bytes(self) -> int:
        return self._memory

    @property
    def is_partial(self) -> bool:
        """Whether it is about the subjects of one bucket only."""
        return self._only is not None

    def remembered(self, key: PartialKey, make: Callable[[], T]) -> T:
        """What was made under the key before, or is made now."""
        return self._cached(key, make)  # type: ignore[no-any-return]

    def gather(self, statement: str, span: Span, *, together: bool = False, whole: bool = False) -> pa.Table:
        """A statement's rows over all buckets, one after the other; never without columns. Asked again, it gives what it gave.

        `together`: of all buckets of a region at once, for statements whose need of memory does not grow with rows or subjects. `whole`: the
        same for those that must see all subjects of a region, and whose need does grow: refused beyond the limit.
        Raises `Cancelled`, `Unprocessable` when it takes too long or too much memory, `CorruptStore`.
        """
        known = self._gathered.get((statement, span))
        if known is None:
            tables = [table for _, table in self.partials(statement, span, together=together, whole=whole)]
            known = pa.concat_tables(tables, promote_options="permissive")
            if known.nbytes <= _KEPT_BYTES:
                self._gathered[statement, span] = known
        return known

    def partials(
        self, statement: str, span: Span, *, together: bool = False, whole: bool = False
    ) -> Iterator[tuple[str, pa.Table]]:
        """A statement's rows, bucket by bucket, each with its region. It reads the views `EVENTS` (of the span) and `HISTORY`."""
        for view, part, data in self._work(statement, span, together=together, whole=whole):
            key = PartialKey(view.region, data, statement)
            yield view.region, self._cached(key, partial(view.run, part, statement, span, self.control))

    def streams(
        self,
        selection: Selection,
        span: Span,
        work: Callable[[Stream], T],
        name: Hashable,
        texts: Texts | None = None,
        join: Callable[[list[T]], T] | None = None,
    ) -> Iterator[T]:
        """What `work` makes of blocks of whole subjects, one after the other; of each bucket with `join`, which joins those of its blocks.

        `name` tells this work from every other that reads the same selection.

        Text values keep their codes from one call to the next with the same `texts`; what is made of them is remembered where those are
        (`shared_texts`). Nothing is remembered without a `name`.
        """
        statement, texts = selection.statement, texts or Texts()
        kept = name is not None and (not selection.has_texts or texts.token is not None)
        loadings: dict[str, Loading | None] = {}
        jobs = []
        for view, part, data in self._work(statement, span):
            key = PartialKey(view.region, data, (statement, name, texts.token)) if kept else None
            if view.region not in loadings:
                loadings[view.region] = loading_of(selection, self.rules, frozenset(view.promoted))
            loading = None if part == NO_BUCKET else loadings[view.region]
            jobs.append(Job(view, part, span, key, loading))
        yield from Running(jobs, selection, work, join, texts, self._cache, self.control, self._threads)
        if isinstance(texts.kept_as, PartialKey):
            self._cache.put(texts.kept_as, texts)  # by now they are more

    def shared_texts(self, name: Hashable) -> Texts:
        """Codes of texts that last as long as what is remembered, for selections of one kind."""
        key = PartialKey("", "", ("texts", name))
        found = self._cache.get(key)
        if found is None or found.is_full:
            found = Texts.shared(key)
            self._cache.put(key, found)
        return found  # type: ignore[no-any-return]

    def _work(
        self, statement: str, span: Span, *, together: bool = False, whole: bool = False
    ) -> Iterator[tuple[RegionView, Part, Hashable]]:
        looked_at = Span() if HISTORY in statement else span
        most = min(TOGETHER_ROWS, self._memory // ROW_BYTES)
        work = [(view, part) for view in self._views for part in view.parts(looked_at, most)]
        if self._only is not None:
            work = [(view, self._only) for view in self._views if view.rows(self._only, looked_at)]
        elif together or whole:
            work = [(view, None) for view in self._views if view.rows(None, looked_at)]
        if not together:
            self._check_memory(work, looked_at)
        self.control.plan(len(work))
        for view, part in work or [(self._views[0], NO_BUCKET)]:
            yield view, part, view.data(part, looked_at) if looked_at == span else (view.data(part, looked_at), span)

    def _cached(self, key: PartialKey, make: Callable[[], Any]) -> Any:
        found = self._cache.get(key)
        if found is None:
            found = make()
            self._cache.put(key, found)
        else:
            self.control.check()
            self.control.done += 1
        return found

    def has_room(self, span: Span) -> bool:
        """Whether what a statement looks at of a span, bucket by bucket, fits the memory of a query."""
        most = min(TOGETHER_ROWS, self._memory // ROW_BYTES)
        rows = [view.rows(part, span) for view in self._views for part in view.parts(span, most)]
        return max(rows, default=0) * ROW_BYTES <= self._memory

    def _check_memory(self, work: Sequence[tuple[RegionView, Part]], span: Span) -> None:
        rows = max((view.rows(part, span) for view, part in work), default=0)
        if rows * ROW_BYTES > self._memory:
            raise Unprocessable(
                "too_expensive",
                "The query would need too much memory: narrow its range or sample it.",
                estimate_mb=rows * ROW_BYTES >> 20,
                limit_mb=self._memory >> 20,
            )
