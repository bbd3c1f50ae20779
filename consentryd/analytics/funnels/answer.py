"""Answering funnels: the kernel over every bucket's stream, and the parts added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import NamedTuple

import numpy as np

from consentryd.analytics import literal
from consentryd.analytics.account import streams_of
from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import NONE_LABEL, OTHER_LABEL
from consentryd.analytics.field import field_of
from consentryd.analytics.funnels.model import (
    Bins,
    EntryBucket,
    FunnelGroup,
    FunnelQuery,
    FunnelResult,
    Overall,
    StepCount,
)
from consentryd.analytics.group import value_of
from consentryd.analytics.kernel import attribution
from consentryd.analytics.kernel.chain import Chains
from consentryd.analytics.kernel.conversion import Conversion, conversion, histogram, nothing, rates, summary
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.hold import held_chains
from consentryd.analytics.kernel.solution import chains_of
from consentryd.analytics.kernel.trend import Trend, trend
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.source import Source
from consentryd.analytics.stream import NONE, Int32s, Stream
from consentryd.analytics.streaming import Column, Selection, Texts
from consentryd.analytics.trends.measuring import scaled

_GROUP = "group"
_OTHER = -2


def answer(question: FunnelQuery, asked: Asked) -> FunnelResult:
    """Raises `Unprocessable` for the anonymous lane, whose visitors nobody follows."""
    require_subjects(asked)
    period = asked.period(question.trend or "day")
    plan = question.plan(period.since, period.until)
    texts = asked.execution.shared_texts(("funnel", question.definition_hash()))
    funnel = _Run(question, plan, asked, span_of(question, period, plan), texts)
    total = funnel.total()
    groups, suppressed, overlap = funnel.groups()
    pair = question.histogram or (plan.mandatory[0], plan.mandatory[-1])
    waits = total.waits[pair] if pair in total.waits else funnel.total([pair]).waits[pair]
    found = histogram(waits) if total.counts[pair[1]] >= asked.least else None
    return FunnelResult(
        **asked.envelope(period, interval=question.trend is not None),
        steps=funnel.steps(total),
        overall=funnel.overall(total),
        excluded=funnel.excluded(total),
        complete=period.until + plan.window + asked.late <= asked.now,
        histogram=None if found is None else Bins(start_s=found.start, width_s=found.width, counts=found.counts),
        trend=None if question.trend is None else funnel.trend(period),
        groups=groups,
        suppressed_groups=suppressed,
        groups_overlap=overlap,
    )


def selection_of(question: FunnelQuery, asked: Asked) -> Selection:
    """The events that a funnel looks at."""
    return _Run(question, question.plan(0, 1), asked, Span()).selection()


def span_of(question: FunnelQuery, period: Period, plan: Funnel) -> Span:
    """When these may be: up to a window after the range, and for the first ever from the beginning."""
    return Span(None if question.entry == "first_ever" else period.since, period.until + plan.window)


class _Grouped(NamedTuple):
    by_code: Mapping[int, Conversion]
    overlap: bool


@dataclass(frozen=True, slots=True)
class _Run:
    question: FunnelQuery
    plan: Funnel
    asked: Asked
    span: Span
    texts: Texts = field(default_factory=Texts)

    def total(self, pairs: Sequence[tuple[int, int]] | None = None) -> Conversion:
        wanted = self.plan.pairs() if pairs is None else tuple(pairs)
        work = partial(_conversion, plan=self.plan, held=tuple(self.question.held), pairs=wanted)
        parts = streams_of(self.asked, self.selection(), self.span, work, ("funnel", self.plan, wanted))
        return Conversion.joined([nothing(self.plan, wanted), *parts])

    def trend(self, period: Period) -> list[EntryBucket]:
        work = partial(_trend, plan=self.plan, edges=period.edges)
        parts = list(streams_of(self.asked, self.selection(), self.span, work, ("trend", self.plan, period.edges)))
        reached = reduce(Trend.merge, parts).reached.tolist()
        done = period.complete(self.asked.now, self.asked.late + self.plan.window)
        return [
            EntryBucket(start=start, counts=self._shown(counts), conversion=_ratio(self._shown(counts)), complete=complete)
            for start, counts, complete in zip(period.labels(), reached, done, strict=True)
        ]

    def groups(self) -> tuple[list[FunnelGroup], int, bool]:
        """The groups shown, how many were left out for being small, and whether subjects are in several."""
        breakdown = self.question.breakdown
        if breakdown is None:
            return [], 0, False
        every = self._grouped(None)
        texts = self.texts.known.get(_GROUP, [])
        ranked = sorted(every.by_code, key=lambda code: (-int(every.by_code[code].counts[0]), _label(code, texts)))
        large = [code for code in ranked if every.by_code[code].counts[0] >= max(self.asked.least, 1)]
        top = large[: breakdown.limit]
        found = dict(every.by_code)
        suppressed = 0
        if len(top) < len(ranked):
            rest = self._grouped(np.array(top, np.int32)).by_code.get(_OTHER)
            if rest is not None and rest.counts[0] >= max(self.asked.least, 1):
                found[_OTHER] = rest
                top.append(_OTHER)
            else:
                suppressed = len(ranked) - len(top)
        shown = [
            FunnelGroup(
                group=_label(code, texts),
                steps=self.steps(found[code]),
                overall=self.overall(found[code]),
                excluded=self.excluded(found[code]),
            )
            for code in top
        ]
        return shown, suppressed, every.overlap

    def _grouped(self, kept: Int32s | None) -> _Grouped:
        """Numbers by code of the group; with `kept`, all other codes are one."""
        work = partial(_by_group, plan=self.plan, question=self.question, kept=kept)
        name = ("groups", self.plan, self.question.definition_hash(), None if kept is None else kept.tobytes())
        parts = list(streams_of(self.asked, self.selection(grouped=True), self.span, work, name, self.texts))
        merged: dict[int, Conversion] = {}
        for part in parts:
            for code, numbers in part.by_code.items():
                merged[code] = merged[code].merge(numbers) if code in merged else numbers
        return _Grouped(merged, any(part.overlap for part in parts))

    def selection(self, *, grouped: bool = False) -> Selection:
        """Steps, then exclusions, as definitions; strict funnels see every event that is not ignored."""
        source = Source(self.asked.setting)
        where = None if self.question.where is None else source.holds(self.question.where)
        steps = [source.matches(step) for step in self.question.steps]
        if where is not None:
            steps = [
                f"({step} AND {where})" if number == 0 or self.question.apply_to == "every_step" else step
                for number, step in enumerate(steps)
            ]
        bars = [source.matches(each) for each in self.question.exclusions]
        columns = [Column(name, "integer", "e.session") if name == "session" else _text(name) for name in self.question.held]
        if grouped and self.question.breakdown is not None:
            columns.append(Column(_GROUP, "text", value_of(self.question.breakdown.by, source).text))
        ignored = self.question.ignore
        conditions = [f"e.event NOT IN {literal.texts(ignored)}"] if ignored else []
        account = source.account() if self.question.count_by == "group" else None
        return Selection(source, [*steps, *bars], columns, conditions, every=self.question.order == "strict", account=account)

    def steps(self, numbers: Conversion) -> list[StepCount]:
        first, previous = rates(numbers.counts, self.plan)
        counts = self._shown(numbers.counts.tolist())
        return [
            self._step(number, counts, first[number], previous[number], numbers) for number in range(len(self.question.steps))
        ]

    def _step(
        self, number: int, counts: list[int | None], first: float | None, previous: float | None, numbers: Conversion
    ) -> StepCount:
        before = next((pair for pair in self.plan.pairs() if pair[1] == number), None)
        count = counts[number]
        took = summary(numbers.waits[before] if before is not None and count is not None else np.empty(0, np.int64))
        lost = None if before is None else counts[before[0]]
        return StepCount(
            name=_step_name(self.question, number),
            count=count,
            conversion_from_first=None if count is None else first,
            conversion_from_previous=None if count is None else previous,
            dropped=None if lost is None or count is None else lost - count,
            mean_s=took.mean,
            median_s=took.median,
            p90_s=took.p90,
        )

    def overall(self, numbers: Conversion) -> Overall:
        chain = self.plan.mandatory
        shown = self._shown(numbers.counts.tolist())
        hidden = shown[chain[-1]] is None
        took = summary(np.empty(0, np.int64) if hidden else numbers.waits[chain[0], chain[-1]])
        return Overall(
            conversion=_ratio([shown[chain[0]], shown[chain[-1]]]), mean_s=took.mean, median_s=took.median, p90_s=took.p90
        )

    def excluded(self, numbers: Conversion) -> int | None:
        few = self.asked.hides(numbers.excluded)
        return None if few else int(scaled(numbers.excluded, self.asked.scale))

    def _shown(self, counts: Sequence[int]) -> list[int | None]:
        """Counts as they may be shown: from the first small one on, nothing."""
        small = next((number for number, count in enumerate(counts) if self.asked.hides(count)), len(counts))
        return [scaled(count, self.asked.scale) if number < small else None for number, count in enumerate(counts)]


def _chains(stream: Stream, plan: Funnel, held: tuple[str, ...]) -> Chains:
    return held_chains(stream, plan, held) if held else chains_of(stream, plan)


def _conversion(stream: Stream, *, plan: Funnel, held: tuple[str, ...], pairs: tuple[tuple[int, int], ...]) -> Conversion:
    return conversion(_chains(stream, plan, held), pairs)


def _trend(stream: Stream, *, plan: Funnel, edges: tuple[int, ...]) -> Trend:
    return trend(stream, plan, edges)


def _by_group(stream: Stream, *, plan: Funnel, question: FunnelQuery, kept: Int32s | None) -> _Grouped:
    if kept is not None:
        codes = stream.values[_GROUP]
        other = np.where(np.isin(codes, kept), codes, _OTHER)
        stream = stream._replace(values={**stream.values, _GROUP: other.astype(np.int32)})
    grouped = _attributed(stream, plan, question)
    return _Grouped(grouped.conversions(plan.pairs()), grouped.overlap)


def _attributed(stream: Stream, plan: Funnel, question: FunnelQuery) -> attribution.Grouped:
    breakdown = question.breakdown
    assert breakdown is not None
    if breakdown.by.of == "subject":
        return attribution.at_step(chains_of(stream, plan), attribution.column_of(stream, plan, _GROUP, 0), 0)
    match breakdown.attribution:
        case "all_steps":
            return attribution.all_steps(stream, plan, _GROUP)
        case "step" if breakdown.step == 0 and plan.order == "ordered":
            return attribution.at_first_step(stream, plan, _GROUP)
        case "step":
            column = attribution.column_of(stream, plan, _GROUP, breakdown.step)
            return attribution.at_step(chains_of(stream, plan), column, breakdown.step)
        case touch:
            columns = [attribution.column_of(stream, plan, _GROUP, step) for step in range(len(plan.steps))]
            return attribution.touched(chains_of(stream, plan), columns, last=touch == "last_touch")


def _text(name: str) -> Column:
    return Column(name, "text", field_of(name).text)


def _label(code: int, texts: Sequence[str]) -> str:
    return OTHER_LABEL if code == _OTHER else NONE_LABEL if code == NONE else texts[code]


def _step_name(question: FunnelQuery, number: int) -> str:
    step = question.steps[number]
    if question.order == "any":
        return f"{number + 1} steps"
    return step.name or " or ".join(step.names) or "any event"


def _ratio(counts: Iterable[int | None]) -> float | None:
    first, *_, last = counts
    return last / first if first and last is not None else None
