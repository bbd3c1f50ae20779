"""Queries of the gateway: a few at a time in threads of their own, within each key's limits, stopped when nobody waits any more."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from secrets import token_bytes
from typing import Any, Final, NamedTuple, TypeVar

import orjson

from consentryd.analytics.audience import AudienceBook
from consentryd.analytics.behind.point import Point, check_point
from consentryd.analytics.control import Control
from consentryd.analytics.engine import Engine
from consentryd.analytics.kinds.person import PersonQuery
from consentryd.analytics.prediction.answer import Scored
from consentryd.analytics.prediction.model import PredictionQuery
from consentryd.analytics.query import read
from consentryd.analytics.question import Envelope, Question
from consentryd.config.settings import Settings
from consentryd.gateway.priority import step_back
from consentryd.model.clock import DAY, Clock
from consentryd.model.error import NotFound, RateLimited
from consentryd.model.key import ApiKey
from consentryd.storage.delta import DeltaLake
from consentryd.storage.location import CONTROL
from consentryd.storage.reader import Reader
from consentryd.storage.retention import analysed_days
from consentryd.storage.saved import SavedStore

WATCH_S: Final = 0.05

T = TypeVar("T")
Gone = Callable[[], bool]


class Behind(NamedTuple):
    """The subjects behind a number; of a prediction, their chances and the reasons as well."""

    subjects: list[int]
    scores: list[Scored] | None = None


class Querying:
    """One per process. `regions` are the folders of the regions served."""

    def __init__(
        self, settings: Settings, regions: Mapping[str, Path], clock: Clock, token: Callable[[int], bytes] = token_bytes
    ) -> None:
        self._token = token
        self.settings = self._settings = settings.analytics
        self.saved = SavedStore(settings.storage.data_dir / CONTROL, clock)
        self.book = AudienceBook(self.saved, regions)
        self._clock = clock
        memory, threads = f"{self._settings.memory_mb}MB", self._settings.threads
        self._readers = {name: Reader(root, DeltaLake(root), memory=memory, threads=threads) for name, root in regions.items()}
        self.engine = Engine(self._readers, self._settings, self.book, partial(analysed_days, settings))
        self._threads = ThreadPoolExecutor(self._settings.queries, "query", initializer=step_back)
        self._running: Counter[str] = Counter()
        self._controls: set[Control] = set()

    def close(self) -> None:
        """Stop what runs, then close the readers."""
        for control in list(self._controls):
            control.cancel()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for reader in self._readers.values():
            reader.close()
        self.saved.close()

    async def ask(self, question: Question, key: ApiKey, gone: Gone) -> Envelope:
        """The answer. `gone` says whether the asker has left. Raises what `Engine.ask` raises, and `RateLimited`."""
        control = Control(self._settings.query_seconds)
        return await self.run(key, control, gone, lambda: self._answer(question, key, control))

    async def subjects(self, query_id: str, point: Point, key: ApiKey, gone: Gone) -> Behind:
        """Who is behind a number of an answer of the last week. Raises what `ask` raises, and `NotFound`."""
        control = Control(self._settings.query_seconds)
        return await self.run(key, control, gone, lambda: self._subjects(query_id, point, key, control))

    async def progress(
        self, question: Question, key: ApiKey, gone: Gone, every_s: float = 0.5
    ) -> AsyncIterator[float | Envelope]:
        """Shares of the work done, 0 to 1, and at last the answer."""
        control = Control(self._settings.query_seconds)
        task = asyncio.ensure_future(self.run(key, control, gone, lambda: self._answer(question, key, control)))
        try:
            while not (await asyncio.wait({task}, timeout=every_s))[0]:
                yield round(control.progress, 3)
            yield task.result()
        finally:
            control.cancel()

    async def run(self, key: ApiKey, control: Control, gone: Gone, work: Callable[[], T]) -> T:
        """`work` in a query thread, stopped through `control` when the asker has left. Raises `RateLimited`."""
        with self._counted(key, control):
            task = asyncio.get_running_loop().run_in_executor(self._threads, work)
            try:
                while not (await asyncio.wait({task}, timeout=WATCH_S))[0]:
                    if gone():
                        control.cancel()
            except asyncio.CancelledError:
                control.cancel()
                raise
            return task.result()

    def _answer(self, question: Question, key: ApiKey, control: Control) -> Envelope:
        control.check()
        if isinstance(question, PersonQuery):
            self.saved.note_access(key.site, key.id, "person", "")
        result = self.engine.ask(question, key.site, self._clock.now(), control, least=key.min_group_size)
        result.query_id = f"run_{self._token(8).hex()}"
        if isinstance(question, PersonQuery):
            return result  # nobody is behind its numbers but its subject, whose number must not be written down
        self.saved.note_asked(result.query_id, key.site, question.model_dump_json(by_alias=True))
        return result

    def _subjects(self, query_id: str, point: Point, key: ApiKey, control: Control) -> Behind:
        """Raises `NotFound`, also for scores that have expired, and `Unprocessable` for a point that no number of such a query is.

        On record before anything is read.
        """
        text, at = self.saved.asked(key.site, query_id)
        question: Any = read(orjson.loads(text))
        check_point(question.kind, point)
        self.saved.note_access(key.site, key.id, "subjects", f"{query_id} {point.model_dump_json(exclude_defaults=True)}")
        if not isinstance(question, PredictionQuery) or point.tenth is None:
            return Behind(self.engine.subjects(question, point, key.site, at, control))
        if at + question.horizon_days * DAY <= self._clock.now():
            raise NotFound("not_found", "The scores of this prediction have expired; ask again.")
        scores = self.engine.scores(question, point.tenth, key.site, at, control)
        return Behind([each.subject for each in scores], scores)

    @contextmanager
    def _counted(self, key: ApiKey, control: Control) -> Any:
        if self._running[key.id] >= self._settings.queries_per_key:
            raise RateLimited("rate_limited", "Too many queries of this key are under way.", retry_after=1)
        self._running[key.id] += 1
        self._controls.add(control)
        try:
            yield
        finally:
            self._controls.discard(control)
            self._running[key.id] -= 1
            if not self._running[key.id]:
                del self._running[key.id]
