"""What a bucket's subjects did by day, as arrays; and what is learned from or scored at a cut-off: never anything later than it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from consentryd.analytics import literal
from consentryd.analytics.asked import Asked
from consentryd.analytics.calendar import index_sql
from consentryd.analytics.condition import Matcher
from consentryd.analytics.field import field_of
from consentryd.analytics.prediction.days import LOOK_BACK, Days
from consentryd.analytics.prediction.model import PROFILING, PredictionQuery
from consentryd.analytics.region_view import Span
from consentryd.analytics.source import Source
from consentryd.analytics.statistics.array import Bools, Ints
from consentryd.analytics.statistics.feature import Activity, Table, behaviour, happened
from consentryd.analytics.streaming import Texts
from consentryd.analytics.view import HISTORY
from consentryd.model.clock import DAY

OTHER_EVENTS: Final = "other events"
USUAL_EVENTS: Final = 10
#: Features of single subjects beside those that count events.
_SUMS: Final = ("sessions in 28 d", "revenue in 28 d")


class Setup(NamedTuple):
    """What a question's statements have in common: `events` are those whose counts are features, and last all others together."""

    question: PredictionQuery
    days: Days
    events: tuple[str, ...]
    texts: Texts


class Known(NamedTuple):
    """At a cut-off: the features of the subjects it is about, the codes of their categories by name, and whether the outcome came."""

    table: Table
    codes: Mapping[str, Ints]
    outcome: Bools


def setup_of(question: PredictionQuery, days: Days, asked: Asked) -> Setup:
    """With the events whose counts are features: those asked for, or the ten that most subjects did before learning's cut-off."""
    events = tuple(question.events) or _usual_events(days, asked)
    return Setup(question, days, (*events, OTHER_EVENTS), Texts())


def histories(setup: Setup, asked: Asked) -> Iterator[tuple[History, int]]:
    """Each part's history, and how many of its subjects opted out of profiling."""
    span = Span(setup.days.period.since, setup.days.period.until)
    sums = asked.execution.partials(_sums_sql(setup, asked), span)
    for (region, rows), (_, people) in zip(asked.execution.partials(_rows_sql(setup, asked), span), sums, strict=True):
        refused = asked.execution.stances(region, PROFILING).refused
        subjects = _ints(rows["s"])
        out = np.isin(subjects, refused)
        kept = rows.filter(pa.array(~out))
        yield History(setup, kept, people), len(np.unique(subjects[out]))


class History:
    """A part's subjects, without those who opted out."""

    def __init__(self, setup: Setup, rows: pa.Table, people: pa.Table) -> None:
        self._setup = setup
        self._activity = Activity(*(_ints(rows[name]) for name in ("s", "k", "d", "n")))
        self._hit, self._active = (rows[name].to_numpy(zero_copy_only=False).astype(np.bool_) for name in ("h", "a"))
        order = np.argsort(_ints(people["s"]), kind="stable")
        self._people = people.take(pa.array(order))
        self._sorted = _ints(self._people["s"])

    def at(self, cut: int) -> Known:
        """The subjects that a cut-off is about, by what was known before it; the outcome lies after it."""
        question = self._setup.question
        table = behaviour(self._activity, self._setup.events, cut, None)
        table = table.take(self._is_about(table, cut))
        number = self._setup.days.cuts.index(cut)
        place, there = self._places(table.subject)
        sums = [np.where(there, _floats(self._people[f"{name}{number}"])[place], 0.0) for name in ("x", "v")]
        table = table.beside(_SUMS, np.log1p(np.maximum(np.column_stack(sums), 0.0)))
        codes: dict[str, Ints] = {name: np.where(there, self._coded(name, number)[place], -1) for name in question.categories}
        return Known(table, codes, self._outcome(table, cut))

    def _is_about(self, table: Table, cut: int) -> Bools:
        subject, day = self._activity.subject, self._activity.day
        lately = self._active & (day >= cut - self._setup.question.active_days) & (day < cut)
        about = np.isin(table.subject, subject[lately])
        return about & ~np.isin(table.subject, subject[self._hit & (day < cut)]) if self._setup.question.first else about

    def _outcome(self, table: Table, cut: int) -> Bools:
        churn = self._setup.question.outcome == "churn"
        rows = self._active if churn else self._hit
        found = happened(table, self._activity.subject[rows], self._activity.day[rows], cut, self._setup.question.horizon_days)
        return ~found if churn else found

    def _places(self, subject: Ints) -> tuple[Ints, Bools]:
        place = np.minimum(np.searchsorted(self._sorted, subject), max(0, len(self._sorted) - 1))
        return place, self._sorted[place] == subject if len(self._sorted) else np.zeros(len(subject), np.bool_)

    def _coded(self, name: str, number: int) -> Ints:
        return np.asarray(self._setup.texts.encode(name, self._people[f"{name}{number}"]), np.int64)


def _rows_sql(setup: Setup, asked: Asked) -> str:
    """By subject, day and event: how often (`n`), whether it was the target (`h`) and activity (`a`). Of what is older than the days
    looked at, the first and the last day."""
    first = setup.days.period.since
    recent, older = (_events_sql(setup, asked, condition) for condition in _sides(first))
    day = index_sql("t", setup.days.period.edges)
    old_day = f"CAST((t - {first} + 1) // {DAY} - 1 AS INTEGER)"
    rest = len(setup.events) - 1
    return (
        f"SELECT s, k, d, count(*) AS n, bool_or(h) AS h, bool_or(a) AS a FROM (SELECT *, {day} AS d FROM ({recent})) GROUP BY s, k, d"
        f" UNION ALL SELECT s, {rest}, unnest([min(d), max(d)]), 1, bool_or(h), false"
        f" FROM (SELECT *, {old_day} AS d FROM ({older})) GROUP BY s"
    )


def _sides(instant: int) -> tuple[str, str]:
    """From an instant on, and before it."""
    return f">= make_timestamptz({instant})", f"< make_timestamptz({instant})"


def _events_sql(setup: Setup, asked: Asked, times: str) -> str:
    source = Source(asked.setting, HISTORY)
    question = setup.question
    target = "false" if question.target is None else source.matches(question.target)
    codes = " ".join(f"WHEN {literal.text(event)} THEN {code}" for code, event in enumerate(setup.events[:-1]))
    rest = len(setup.events) - 1
    code = f"CASE e.event {codes} ELSE {rest} END" if codes else str(rest)
    until = f"e.time < make_timestamptz({setup.days.period.until})"
    conditions = [f"e.time {times}", until, *_everywhere(source, asked)]
    return (
        f"SELECT e.subject AS s, epoch_us(e.time) AS t, {code} AS k, {target} AS h, {source.matches(question.activity)} AS a"
        f" FROM {source.sql} WHERE {' AND '.join(conditions)}"
    )


def _sums_sql(setup: Setup, asked: Asked) -> str:
    """By subject, for each cut-off 0, 1, 2 and the 28 days before it: sessions (`x`), revenue in the project's currency (`v`), last country
    and device. Read from all of history, so that its parts are those of the rows."""
    source = Source(asked.setting, HISTORY)
    columns = []
    own = f"e.currency IS NULL OR e.currency = {literal.text(asked.rates.base)}"
    for number, cut in enumerate(setup.days.cuts):
        since, until = setup.days.instant(cut - LOOK_BACK), setup.days.instant(cut)
        within = f"epoch_us(e.time) >= {since} AND epoch_us(e.time) < {until}"
        columns += [
            f"count(DISTINCT e.session) FILTER ({within}) AS x{number}",
            f"coalesce(fsum({field_of('revenue').number}) FILTER ({within} AND ({own})), 0) AS v{number}",
            *(
                f"arg_max(e.{name}, (e.time, e.event_id)) FILTER ({within} AND e.{name} IS NOT NULL) AS {name}{number}"
                for name in setup.question.categories
            ),
        ]
    period = setup.days.period
    times = f"e.time >= make_timestamptz({period.since}) AND e.time < make_timestamptz({period.until})"
    where = " AND ".join([times, *_everywhere(source, asked)])
    return f"SELECT e.subject AS s, {', '.join(columns)} FROM {source.sql} WHERE {where} GROUP BY e.subject"


def _everywhere(source: Source, asked: Asked) -> list[str]:
    where = asked.question.where
    return ["e.subject IS NOT NULL", *([] if where is None else [source.holds(where)])]


def _usual_events(days: Days, asked: Asked) -> tuple[str, ...]:
    """By the 28 days before learning's cut-off, for what is chosen by what comes later has seen it."""
    source = Source(asked.setting)
    where = " AND ".join([source.matches(Matcher()), *_everywhere(source, asked)])
    statement = (
        f"SELECT e.event, count(DISTINCT e.subject) AS n FROM {source.sql} WHERE {where} AND e.event IS NOT NULL GROUP BY e.event"
    )
    span = Span(days.instant(days.when.train - LOOK_BACK), days.instant(days.when.train))
    counts = asked.execution.gather(statement, span).group_by("event").aggregate([("n", "sum")]).to_pylist()
    ranked = sorted(counts, key=lambda row: (-row["n_sum"], row["event"]))
    return tuple(row["event"] for row in ranked[:USUAL_EVENTS])


def _ints(column: Any) -> Ints:
    found: Ints = column.cast(pa.int64()).to_numpy()
    return found


def _floats(column: Any) -> Any:
    return column.cast(pa.float64()).to_numpy()
