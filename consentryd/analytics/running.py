"""The parts of one question's streams, some at a time: while a kernel works on one, the next are loaded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

from consentryd.analytics.cache import DatedCache, PartialCache, PartialKey
from consentryd.analytics.control import Control
from consentryd.analytics.loading import Loading, Rows, coded_values
from consentryd.analytics.loading import to_stream as loaded_stream
from consentryd.analytics.region_view import Part, RegionView, Span
from consentryd.analytics.stream import Stream, Values
from consentryd.analytics.streaming import Selection, Texts, to_stream


class Job(NamedTuple):
    """A part, under which key its result is kept (None: it is not), and how it is loaded (None: by a statement)."""

    view: RegionView
    part: Part
    span: Span
    key: PartialKey | None
    loading: Loading | None


class Running:
    """Iterate it once for the results of `work`, in the order of the jobs."""

    def __init__(
        self,
        jobs: Sequence[Job],
        selection: Selection,
        work: Callable[[Stream], Any],
        texts: Texts,
        cache: PartialCache | DatedCache,
        control: Control,
        threads: int,
    ) -> None:
        self._jobs, self._selection, self._work, self._texts = jobs, selection, work, texts
        self._cache, self._control, self._threads = cache, control, threads

    def __iter__(self) -> Generator[Any]:
        pool = ThreadPoolExecutor(self._threads)
        try:
            loads = deque(self._loads(pool))
            waiting: deque[tuple[Job, Future[Any]]] = deque()
            started: deque[tuple[Job, Any]] = deque()
            while loads or started:
                while loads and len(started) < self._threads:
                    job, start = loads.popleft()
                    started.append((job, start()))
                job, found = started.popleft()
                waiting.append((job, self._finished(pool, job, found)))
                while len(waiting) > (self._threads - 1 if loads or started else 0):
                    yield self._kept(*waiting.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _loads(self, pool: ThreadPoolExecutor) -> list[tuple[Job, Callable[[], Any]]]:
        return [(job, partial(self._started, pool, job)) for job in self._jobs]

    def _started(self, pool: ThreadPoolExecutor, job: Job) -> Any:
        """A known result, the loading of a part, or None for what a statement will give."""
        known = None if job.key is None else self._cache.get(job.key)
        if known is not None:
            return _Known(known)
        return None if job.loading is None else pool.submit(self._load, job, job.loading)

    def _load(self, job: Job, loading: Loading) -> list[Rows]:
        self._control.check()
        with job.view.snapshot.cursor() as connection:
            return loading.load(job.view.snapshot, connection, job.part, job.span)

    def _finished(self, pool: ThreadPoolExecutor, job: Job, found: Any) -> Future[Any]:
        """The result of a part, once it is there. Texts get their codes here, in the order of the jobs."""
        if isinstance(found, _Known):
            done: Future[Any] = Future()
            done.set_result(found)
            return done
        if job.loading is None:
            table = job.view.run(job.part, self._selection.statement, job.span, self._control)
            stream = to_stream(self._selection, table, self._texts)
            return pool.submit(self._work, stream)
        loading, sources = job.loading, found.result()
        tables = coded_values(loading, sources, self._texts)
        self._control.done += 1
        return pool.submit(self._made, loading, sources, tables)

    def _made(self, loading: Loading, sources: list[Rows], tables: list[dict[str, Values]]) -> Any:
        """The result of loaded rows, which go when their stream is there."""
        stream = loaded_stream(loading, sources, tables, self._texts)
        sources.clear()
        tables.clear()
        return self._work(stream)

    def _kept(self, job: Job, future: Future[Any]) -> Any:
        found = future.result()
        self._control.check()
        if isinstance(found, _Known):
            self._control.done += 1
            return found.value
        if job.key is not None:
            self._cache.put(job.key, found)
        return found


class _Known(NamedTuple):
    value: Any
