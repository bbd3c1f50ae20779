"""The rows that a measure is about, as a subquery: `subject`, `session`, `b` (number of the bucket), `g` (group) and `v` (value)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from consentryd.analytics.breakdown import ByCohorts, ByProperties
from consentryd.analytics.calendar import index_sql
from consentryd.analytics.condition import Condition, Matcher
from consentryd.analytics.exchange import MONEY
from consentryd.analytics.field import field_of
from consentryd.analytics.group import group_sql, named_sql, shown_sql, value_of
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.source import Setting, Source
from consentryd.analytics.trends.model import Measure
from consentryd.analytics.view import HISTORY

#: Who did it: the subject, or in the anonymous lane the day's token, which is another one tomorrow.
VISITOR: Final = "coalesce(CAST(e.subject AS VARCHAR), 'v' || e.visitor)"


class Naming(NamedTuple):
    """SQL for the group of a value `g`; it is null for groups not shown if it `leaves_out` any.

    Asking where none is left out costs as much as counting: DuckDB asks it of every row, before they are counted.
    """

    sql: str
    leaves_out: bool


NAMED: Final = Naming("g", leaves_out=False)


@dataclass(frozen=True, slots=True)
class Frame:
    """What all measures of a query have in common: its buckets, its groups and its filter.

    `cut` is a span left out: what the bucket under comparison had not reached yet. `shown` are the groups that stay apart; None: all.
    `accounts`: in the place of subjects stand the accounts of a region, all of whose buckets a statement must see then.
    """

    setting: Setting
    period: Period
    where: Condition | None
    breakdown: ByProperties | ByCohorts | None = None
    edges: tuple[tuple[float, ...] | None, ...] = ()
    shown: tuple[str, ...] | None = None
    other: bool = True
    cut: Span | None = None
    visitors: bool = False
    accounts: bool = False

    @property
    def span(self) -> Span:
        return Span(self.period.since, self.period.until)

    @property
    def naming(self) -> Naming | None:
        """The groups of rows whose `g` is the only property's value, where groups are made of such."""
        if not isinstance(self.breakdown, ByProperties) or len(self.breakdown.by) != 1 or any(self.edges):
            return None
        return Naming(shown_sql(named_sql("g"), self.shown, other=self.other), self.shown is not None and not self.other)

    def values(self, measure: Measure) -> str:
        """The same as `rows`, where there is a `naming`: `g` is still the value."""
        assert isinstance(self.breakdown, ByProperties)
        source = Source(self.setting)
        conditions = [source.matches(measure), *self._conditions(source)]
        return self._bucketed(self._inner(source, measure, conditions, value_of(self.breakdown.by[0], source).text))

    def rows(self, measure: Measure) -> str:
        """SELECT of `subject`, `session`, `b`, `g`, `v` (text) and what money needs, for the events of a measure in the period."""
        if measure.math in {"first_time_event", "first_match"}:
            return self._first_rows(measure)
        source = Source(self.setting)
        conditions = [source.matches(measure), *self._conditions(source)]
        return self._select(source, measure, conditions)

    def _first_rows(self, measure: Measure) -> str:
        """Of each subject the first such event of all history; the period and, for `first_time_event`, the filters are looked at after."""
        source = Source(self.setting, HISTORY)
        named = source.matches(Matcher(event=measure.event))
        filters = [source.holds(each) for each in (measure.where, self.where) if each is not None]
        filtered = " AND ".join(filters) or "true"
        wanted = f"{named} AND {filtered}" if measure.math == "first_match" else named
        who = source.account() if self.accounts else "e.subject"
        first = f"row_number() OVER (PARTITION BY {who} ORDER BY e.time, {self._ties(source, filtered)}e.event_id) = 1"
        inner = self._select(source, measure, [wanted, f"{who} IS NOT NULL"], extra=f", {filtered} AS fits, {first} AS is_first")
        times = f"t >= {self.period.since} AND t < {self.period.until}"
        return f"SELECT * FROM ({inner}) WHERE is_first AND fits AND {times}{self._cut_sql('t')}"

    def _ties(self, source: Source, filtered: str) -> str:
        """Of one instant an event that fits comes first, of several the first group by name; cohorts are groups of subjects."""
        group = "" if isinstance(self.breakdown, ByCohorts) else f"{group_sql(self.breakdown, source, self.edges)}, "
        return f"{filtered} DESC, {group}"

    def _select(self, source: Source, measure: Measure, conditions: Sequence[str], extra: str = "") -> str:
        inner = self._inner(source, measure, conditions, group_sql(self.breakdown, source, self.edges), extra)
        outer = self._bucketed(inner, f"({shown_sql('g', self.shown, other=self.other)} AS g)")
        return outer if self.shown is None or self.other else f"SELECT * FROM ({outer}) WHERE g IS NOT NULL"

    def _bucketed(self, inner: str, replaced: str = "") -> str:
        columns = f"* REPLACE {replaced}" if replaced else "*"
        return f"SELECT {columns}, {index_sql('t', self.period.edges)} AS b FROM ({inner})"

    def _inner(self, source: Source, measure: Measure, conditions: Sequence[str], group: str, extra: str = "") -> str:
        value = source.account() if measure.math == "unique_groups" else self._value(measure)
        subject = VISITOR if self.visitors else source.account() if self.accounts else "e.subject"
        return (
            f"SELECT {subject} AS subject, e.session, epoch_us(e.time) AS t, {group} AS g, {value} AS v, e.revenue, e.currency{extra}"
            f" FROM {source.sql} WHERE {' AND '.join(conditions)}"
        )

    def _value(self, measure: Measure) -> str:
        if measure.property is None:
            return "NULL"
        return f"CAST({self.setting.rates.amount_sql()} AS VARCHAR)" if is_money(measure) else field_of(measure.property).text

    def _conditions(self, source: Source) -> list[str]:
        found = [] if self.where is None else [source.holds(self.where)]
        cut = self._cut_sql("epoch_us(e.time)").removeprefix(" AND ")
        return [*found, cut] if cut else found

    def _cut_sql(self, time: str) -> str:
        return "" if self.cut is None else f" AND NOT ({time} >= {self.cut.since} AND {time} < {self.cut.until})"


def is_money(measure: Measure) -> bool:
    """Whether its numbers are amounts, which are converted; where values are only told apart they stay as they were sent."""
    return measure.property == MONEY and measure.math != "unique_values"


def as_number(text: str = "v") -> str:
    """SQL for a text as a finite number, else null."""
    return f"CASE WHEN isfinite(TRY_CAST({text} AS DOUBLE)) THEN TRY_CAST({text} AS DOUBLE) END"
