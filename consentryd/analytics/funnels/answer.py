"""Answering funnels: everybody, groups, entries over time, and an earlier range beside them."""

from __future__ import annotations

from dataclasses import replace

from consentryd.analytics.asked import Asked
from consentryd.analytics.binning import edges_of
from consentryd.analytics.funnels.grouping import groups_of
from consentryd.analytics.funnels.model import Bins, FunnelBefore, FunnelQuery, FunnelResult
from consentryd.analytics.funnels.run import Run
from consentryd.analytics.funnels.told import Told
from consentryd.analytics.kernel.chain import Ints
from consentryd.analytics.kernel.conversion import Conversion, Pair, histogram
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import CompareKind, Period, compared
from consentryd.analytics.question import ResolvedRange


def answer(question: FunnelQuery, asked: Asked) -> FunnelResult:
    """Raises `Unprocessable` for the anonymous lane, whose visitors nobody follows."""
    require_subjects(asked)
    period = asked.period(question.trend or "day")
    run = run_of(question, period, asked)
    told = Told(question, run.plan, asked)
    total = run.total()
    pair = question.histogram or (run.plan.mandatory[0], run.plan.mandatory[-1])
    before = None if question.compare is None else _Before(run, period, question.compare)
    waits = _waits(run, total, pair)
    groups = groups_of(run, total, told)
    return FunnelResult(
        **asked.envelope(period, interval=question.trend is not None),
        steps=told.steps(total),
        overall=told.overall(total),
        excluded=told.excluded(total),
        complete=_complete(run),
        histogram=told.bins(histogram(waits, None if before is None else before.waits(pair)), total, pair),
        trend=None if question.trend is None else told.trend(run.trend(period), period),
        groups=groups.shown,
        suppressed_groups=groups.suppressed,
        suppressed_cells=groups.cells,
        groups_overlap=groups.overlap,
        compared_to=None if before is None else before.told(told, waits, pair),
    )


def run_of(question: FunnelQuery, period: Period, asked: Asked) -> Run:
    """The question, entered in a period."""
    plan = question.plan(period.since, period.until)
    texts = asked.execution.shared_texts(("funnel", question.definition_hash()))
    run = Run(question, plan, asked, texts)
    keys = [] if question.breakdown is None else question.breakdown.keys
    return replace(run, edges=tuple(edges_of(by, question.steps, run.span, asked) for by in keys))


class _Before:
    """The funnel of an earlier range. Of a bucket that is not over, entries up to as far into the one that it is compared with."""

    def __init__(self, run: Run, period: Period, kind: CompareKind) -> None:
        asked = run.asked
        moved = compared(period, kind)
        bucket = period.bucket_at(asked.now)
        passed = moved.until if bucket is None else moved.edges[bucket] + asked.now - period.edges[bucket]
        self._until = min(passed, moved.until)
        self._run = replace(run, plan=run.question.plan(moved.since, self._until))
        self._total = self._run.total()

    def waits(self, pair: Pair) -> Ints:
        return _waits(self._run, self._total, pair)

    def told(self, told: Told, waits: Ints, pair: Pair) -> FunnelBefore:
        asked, plan = self._run.asked, self._run.plan
        return FunnelBefore(
            range=ResolvedRange(from_=asked.label(plan.since), to=asked.label(self._until)),
            steps=told.steps(self._total),
            overall=told.overall(self._total),
            excluded=told.excluded(self._total),
            complete=_complete(self._run),
            histogram=self._bins(told, waits, pair),
        )

    def _bins(self, told: Told, waits: Ints, pair: Pair) -> Bins | None:
        return told.bins(histogram(self.waits(pair), waits), self._total, pair)


def _waits(run: Run, total: Conversion, pair: Pair) -> Ints:
    return total.waits[pair] if pair in total.waits else run.total([pair]).waits[pair]


def _complete(run: Run) -> bool:
    """Whether all who entered have had the whole window."""
    return run.plan.until + run.plan.window + run.asked.late <= run.asked.now
