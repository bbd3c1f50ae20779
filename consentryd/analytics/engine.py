"""The one door to the stored events for questions: it decides what a question may see, and answers it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final, Protocol
from zoneinfo import ZoneInfo

from consentryd.analytics.asked import Asked
from consentryd.analytics.behind.answer import subjects_of
from consentryd.analytics.behind.point import Point
from consentryd.analytics.cache import PartialCache
from consentryd.analytics.condition import Condition
from consentryd.analytics.control import Control
from consentryd.analytics.currency import load_rates
from consentryd.analytics.event_names import EventNames
from consentryd.analytics.execution import Execution
from consentryd.analytics.history import warn_of_deleted
from consentryd.analytics.membership import Audience
from consentryd.analytics.prediction.answer import Scored, scored_tenth
from consentryd.analytics.prediction.model import PredictionQuery
from consentryd.analytics.query import ANSWERS
from consentryd.analytics.question import Envelope, Question
from consentryd.analytics.region_view import Span, mark_of
from consentryd.analytics.rules import Rules, marks
from consentryd.analytics.sandbox.answer import SqlAnswer, answer_sql
from consentryd.analytics.source import Source, members_sql
from consentryd.analytics.unconverted import warn_of_missing_rates
from consentryd.analytics.view import HISTORY
from consentryd.config.settings import Analytics
from consentryd.model.clock import DAY, MINUTE
from consentryd.model.error import Unprocessable
from consentryd.storage.reader import Reader

#: An answer of SQL may take this part of a query's memory: written as JSON it takes several times as much.
SQL_ANSWER_SHARE: Final = 8
NO_AUDIENCES: Final[Mapping[str, Audience]] = {}


class Audiences(Protocol):
    def of(self, site: str) -> Mapping[str, Audience]:
        """The saved cohorts of a site by id and by name."""
        ...


class Engine:
    """Answers questions over the regions' readers. Shared by threads; a question runs in the thread that asks it.

    `kept_days`: how old a site's events may become before they are deleted; without it nothing is.
    """

    def __init__(
        self,
        readers: Mapping[str, Reader],
        settings: Analytics,
        audiences: Audiences | None = None,
        kept_days: Callable[[str], int | None] = lambda _: None,
    ) -> None:
        self._readers = readers
        self._kept_days = kept_days
        self._settings = settings
        self._audiences = audiences
        self._rates = load_rates(settings.currency, settings.rates)
        self._names = EventNames()
        self.cache = PartialCache(settings.cache_mb << 20)

    def ask(self, question: Question, site: str, now: int, control: Control | None = None, *, least: int = 0) -> Envelope:
        """The answer for a site at `now`, UTC microseconds. `least` is the smallest group that the asker may see.

        Raises `Unprocessable` for what cannot be answered, or would take too long or too much memory; `Cancelled`; `CorruptStore`; `Busy`.
        """
        with self.asking(question, site, now, control, least=least) as asked:
            warn_of_deleted(question, self._kept_days(site), asked)
            self._names.warn_of_unknown(question, asked)
            warn_of_missing_rates(question, asked)
            return ANSWERS[type(question)](question, asked)

    @contextmanager
    def asking(
        self, question: Question, site: str, now: int, control: Control | None = None, *, least: int = 0
    ) -> Iterator[Asked]:
        """A question with one consistent view of every region, to run statements on."""
        settings = self._settings
        with ExitStack() as stack:
            snapshots = {name: stack.enter_context(reader.snapshot()) for name, reader in self._readers.items()}
            control = control or Control(settings.query_seconds)
            cache = self.cache.as_of({name: mark_of(snapshot) for name, snapshot in snapshots.items()})
            execution = Execution(
                snapshots, self._rules(question, site, now), cache, control, settings.memory_mb << 20, threads=settings.threads
            )
            yield Asked(
                question=question,
                site=site,
                execution=execution,
                now=now,
                zone=ZoneInfo(question.timezone or settings.timezone),
                week_start=question.week_start or settings.week_start,
                least=max(least, settings.min_group_size, question.min_group_size or 0),
                late=settings.late_arrival_minutes * MINUTE,
                rates=self._rates,
                audiences=NO_AUDIENCES if self._audiences is None else self._audiences.of(site),
            )

    def subjects(self, question: Question, point: Point, site: str, now: int, control: Control | None = None) -> list[int]:
        """Who is behind a number of an answer that was given at `now`. Whoever asks must be allowed to, and it must be on record."""
        with self.asking(question, site, now, control) as asked:
            return subjects_of(question, point, asked)

    def holds(self, site: str, now: int) -> bool:
        """Whether any event of a site may be asked about."""
        with self.asking(Question(lane="all", test_traffic=True), site, now) as asked:
            statement = f"SELECT 1 AS x FROM {HISTORY} e LIMIT 1"
            return bool(asked.execution.gather(statement, Span(), together=True).num_rows)

    def scores(self, question: PredictionQuery, tenth: int, site: str, now: int, control: Control | None = None) -> list[Scored]:
        """The subjects of a tenth of those that a prediction scores, with their chances and the reasons. The same holds as of `subjects`."""
        with self.asking(question, site, now, control) as asked:
            return scored_tenth(question, tenth, asked)

    def sql(
        self, text: str, site: str, now: int, control: Control, *, nonce: int, region: str | None = None, least: int = 0
    ) -> SqlAnswer:
        """What analysts' SQL gives, of one region: the only one, or the one named. Raises as `ask` does, and where `least` or the setting
        rules out single rows."""
        if max(least, self._settings.min_group_size) > 1:
            raise Unprocessable(
                "invalid", "SQL shows single rows, which the key's or the setting's `min_group_size` rules out.", field="sql"
            )
        if region is None and len(self._readers) == 1:
            region = next(iter(self._readers))
        if region is None or region not in self._readers:
            raise Unprocessable("invalid", f"Name one `region` of {', '.join(self._readers)}.", field="region")
        with self._readers[region].snapshot(alone=True) as snapshot:
            rules = self._rules(Question(lane="all", test_traffic=True), site, now)
            most_bytes = (self._settings.memory_mb << 20) // SQL_ANSWER_SHARE
            return answer_sql(text, snapshot, rules, nonce, control, self._settings.sql_rows, most_bytes, self._rates)

    def members(self, definition: Condition, site: str, now: int, control: Control | None = None) -> dict[str, list[int]]:
        """The subjects for whom a cohort's definition holds, by region. Raises what `ask` raises."""
        with self.asking(Question(), site, now, control) as asked:
            statement = f"SELECT subject FROM ({members_sql(definition, Source(asked.setting))}) ORDER BY subject"
            found: dict[str, list[int]] = {}
            for region, table in asked.execution.partials(statement, Span(0, now + DAY)):
                found.setdefault(region, []).extend(table["subject"].to_pylist())
            return found

    def behind(
        self, question: Question, point: Point, site: str, now: int, control: Control | None = None
    ) -> dict[str, list[int]]:
        """The subjects behind a number of a query as of now. Those of all regions under each: a region keeps those it knows."""
        with self.asking(question, site, now, control) as asked:
            found = subjects_of(question, point, asked, most=None)
        return dict.fromkeys(self._readers, found)

    def _rules(self, question: Question, site: str, now: int) -> Rules:
        traffic = () if question.test_traffic else marks(self._settings.test_traffic)
        return Rules(site, tuple(self._settings.purposes), now + DAY, question.lane, question.sampling, traffic)
