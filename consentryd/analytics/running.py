"""The parts of one question's streams, some at a time, each block by block of whole subjects."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from consentryd.analytics.blocks import Rows
from consentryd.analytics.cache import DatedCache, PartialCache, PartialKey, size_of
from consentryd.analytics.coding import Coding
from consentryd.analytics.control import Control
from consentryd.analytics.loading import Loading
from consentryd.analytics.region_view import Part, RegionView, Span
from consentryd.analytics.stream import Stream, Values
from consentryd.analytics.streaming import Selection, Texts, to_stream


class Job(NamedTuple):
    """A part, under which key its results are kept (None: they are not), and how it is loaded (None: by a statement)."""

    view: RegionView
    part: Part
    span: Span
    key: PartialKey | None
    loading: Loading | None


class Results(tuple[Any, ...]):
    """Of one part: of each of its blocks, or of all of them joined."""

    __slots__ = ()

    @property
    def nbytes(self) -> int:
        return sum(map(size_of, self))


@dataclass(slots=True)
class _Lane:
    """A job under way, of which `blocks` are still to come. `rows` are loaded and wait for their `tables`."""

    job: Job
    blocks: Generator[list[Rows]] | None = None
    rows: list[Rows] = field(default_factory=list)
    tables: list[dict[str, Values]] | None = None
    results: list[Any] = field(default_factory=list)
    future: Future[None] = field(default_factory=Future)
    is_known: bool = False
    is_done: bool = False


class Running:
    """Iterate it once for the results of `work`, in the order of the jobs. `join` makes one result of those of a part's blocks.

    A part is worked on by one thread at a time, which loads a block and hands it to the kernel. One part more than there are threads is
    under way, so that no thread waits for a turn.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        selection: Selection,
        work: Callable[[Stream], Any],
        join: Callable[[list[Any]], Any] | None,
        texts: Texts,
        cache: PartialCache | DatedCache,
        control: Control,
        threads: int,
    ) -> None:
        self._jobs, self._selection, self._work, self._join, self._texts = jobs, selection, work, join, texts
        self._cache, self._control, self._threads = cache, control, threads
        self._codings = {id(job.loading): Coding(job.loading, texts) for job in jobs if job.loading is not None}

    def __iter__(self) -> Generator[Any]:
        lanes: deque[_Lane] = deque()
        pool = ThreadPoolExecutor(self._threads)
        try:
            waiting = deque(self._jobs)
            order: deque[_Lane] = deque()
            while waiting or lanes:
                while waiting and len(lanes) <= self._threads:
                    lanes.append(self._begun(pool, waiting.popleft()))
                    order.append(lanes[-1])
                lane = lanes.popleft()
                lane.future.result()
                if not lane.is_done:
                    self._go_on(pool, lane)
                    lanes.append(lane)
                while order and order[0].is_done:
                    yield from self._kept(order.popleft())
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for lane in lanes:
                if lane.blocks is not None:
                    lane.blocks.close()

    def _begun(self, pool: ThreadPoolExecutor, job: Job) -> _Lane:
        """A known result, the work on what a statement gives, or the loading of a part."""
        known = None if job.key is None else self._cache.get(job.key)
        if known is not None:
            lane = _Lane(job, results=list(known), is_known=True, is_done=True)
            lane.future.set_result(None)
            self._control.done += 1
        elif job.loading is None:
            lane = _Lane(job)
            table = job.view.run(job.part, self._selection.statement, job.span, self._control)
            lane.future = pool.submit(self._alone, lane, to_stream(self._selection, table, self._texts))
        else:
            lane = _Lane(job, _blocks(job, job.loading))
            lane.future = pool.submit(self._advance, lane)
        return lane

    def _alone(self, lane: _Lane, stream: Stream) -> None:
        lane.results.append(self._work(stream))
        lane.is_done = True

    def _go_on(self, pool: ThreadPoolExecutor, lane: _Lane) -> None:
        """Texts get their codes here, in an order that does not depend on which thread is faster."""
        lane.tables = self._codings[id(lane.job.loading)].tables(lane.rows)
        lane.future = pool.submit(self._advance, lane)

    def _advance(self, lane: _Lane) -> None:
        """Work on the block at hand, then load the next; block after block where no texts wait for their codes."""
        assert lane.blocks is not None
        coding = self._codings[id(lane.job.loading)]
        while True:
            if lane.tables is not None:
                stream = coding.stream(lane.rows, lane.tables)
                lane.rows, lane.tables = [], None
                lane.results.append(self._work(stream))
                del stream
            self._control.check()
            rows = next(lane.blocks, None)
            if rows is None and lane.results:
                break
            lane.rows = rows or []
            if self._selection.has_texts:
                return
            lane.tables = coding.tables(lane.rows)
        if self._join is not None:
            lane.results = [self._join(lane.results)]
        self._control.done += 1
        lane.is_done = True

    def _kept(self, lane: _Lane) -> Iterator[Any]:
        self._control.check()
        if lane.job.key is not None and not lane.is_known:
            self._cache.put(lane.job.key, Results(lane.results))
        yield from lane.results


def _blocks(job: Job, loading: Loading) -> Generator[list[Rows]]:
    """The blocks of a job, by a connection of its own."""
    with job.view.snapshot.cursor() as connection:
        yield from loading.blocks(job.view.snapshot, connection, job.part, job.span)
