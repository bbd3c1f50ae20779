"""A funnel over every bucket's stream, and the parts added up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Final

from consentryd.analytics import literal
from consentryd.analytics.account import streams_of
from consentryd.analytics.asked import Asked
from consentryd.analytics.field import field_of
from consentryd.analytics.funnels.model import FunnelQuery
from consentryd.analytics.group import values_sql
from consentryd.analytics.kernel.chain import Chains
from consentryd.analytics.kernel.conversion import Conversion, Pair, conversion, nothing
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.hold import held_chains
from consentryd.analytics.kernel.solution import chains_of
from consentryd.analytics.kernel.trend import Trend, trend
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.source import Source
from consentryd.analytics.stream import Stream
from consentryd.analytics.streaming import Column, Selection, Texts

GROUP: Final = "group"


@dataclass(frozen=True, slots=True)
class Run:
    """One question asked of one range of entries; `cohort`: of the members of a saved one only. `edges`: of a numeric breakdown's bins."""

    question: FunnelQuery
    plan: Funnel
    asked: Asked
    texts: Texts = field(default_factory=Texts)
    cohort: str | None = None
    edges: tuple[tuple[float, ...] | None, ...] = ()

    @property
    def span(self) -> Span:
        """When events may be: up to a window after the range, and for the first ever from the beginning."""
        since = None if self.question.entry == "first_ever" else self.plan.since
        return Span(since, self.plan.until + self.plan.window)

    @property
    def held(self) -> tuple[str, ...]:
        return tuple(self.question.held)

    def total(self, pairs: Sequence[Pair] | None = None) -> Conversion:
        """The numbers of everybody; `pairs`: of steps whose times are wanted."""
        wanted = self.plan.pairs() if pairs is None else tuple(pairs)
        work = partial(_conversion, plan=self.plan, held=self.held, pairs=wanted)
        name = ("funnel", self.plan, self.held, wanted)
        parts = streams_of(self.asked, self.selection(), self.span, work, name, join=Conversion.joined)
        return Conversion.joined([nothing(self.plan, wanted), *parts])

    def trend(self, period: Period) -> Trend:
        work = partial(trend, funnel=self.plan, edges=period.edges, held=self.held)
        parts = streams_of(self.asked, self.selection(), self.span, work, ("trend", self.plan, self.held, period.edges))
        return reduce(Trend.merge, parts)

    def selection(self, *, grouped: bool = False) -> Selection:
        """Steps, then exclusions, as definitions; strict funnels see every event that is not ignored."""
        question = self.question
        source = Source(self.asked.setting)
        where = None if question.where is None else source.holds(question.where)
        steps: Iterable[str] = [source.matches(step) for step in question.steps]
        if where is not None:
            steps = [
                f"({step} AND {where})" if number == 0 or question.apply_to == "every_step" else step
                for number, step in enumerate(steps)
            ]
        bars = [source.matches(each) for each in question.exclusions]
        columns = [Column(name, "integer", "e.session") if name == "session" else _text(name) for name in self.held]
        if grouped and question.breakdown is not None:
            columns.append(Column(GROUP, "text", values_sql(question.breakdown.keys, source, self.edges)))
        conditions = [f"(e.event IS NULL OR e.event NOT IN {literal.texts(question.ignore)})"] if question.ignore else []
        if self.cohort is not None:
            conditions.append(source.member(self.cohort))
        account = source.account() if question.count_by == "group" else None
        return Selection(source, [*steps, *bars], columns, conditions, every=question.order == "strict", account=account)


def lines_of(stream: Stream, plan: Funnel, held: tuple[str, ...]) -> Chains:
    """A line for each subject, or for each attempt."""
    return held_chains(stream, plan, held) if held else chains_of(stream, plan)


def _conversion(stream: Stream, *, plan: Funnel, held: tuple[str, ...], pairs: tuple[Pair, ...]) -> Conversion:
    return conversion(lines_of(stream, plan, held), pairs)


def _text(name: str) -> Column:
    return Column(name, "text", field_of(name).text)
