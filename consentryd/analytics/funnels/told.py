"""A funnel's numbers as they may be shown: nothing from the first step on that too few subjects did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.funnels.model import Bins, EntryBucket, FunnelQuery, Overall, StepCount
from consentryd.analytics.kernel.conversion import Conversion, Histogram, Pair, rates, summary
from consentryd.analytics.kernel.funnel import Funnel
from consentryd.analytics.kernel.trend import Trend
from consentryd.analytics.period import Period
from consentryd.analytics.suppression import hide_line
from consentryd.analytics.trends.measuring import scaled


@dataclass(frozen=True, slots=True)
class Told:
    question: FunnelQuery
    plan: Funnel
    asked: Asked

    def cut(self, people: Sequence[int]) -> int:
        """The first step that is not shown."""
        return next((number for number, count in enumerate(people) if self.asked.hides(count)), len(people))

    def steps(self, numbers: Conversion, cut: int | None = None) -> list[StepCount]:
        """Step by step; `cut`: the first that is not shown, if that is not for its own smallness."""
        cut = self.cut(numbers.people.tolist()) if cut is None else cut
        first, previous = rates(numbers.counts, self.plan)
        counts = self._shown(numbers.counts.tolist(), cut)
        return [self._step(number, counts, (first[number], previous[number]), numbers) for number in range(len(counts))]

    def overall(self, numbers: Conversion, cut: int | None = None) -> Overall:
        chain = self.plan.mandatory
        shown = self._shown(numbers.counts.tolist(), self.cut(numbers.people.tolist()) if cut is None else cut)
        hidden = shown[chain[-1]] is None
        took = summary(np.empty(0, np.int64) if hidden else numbers.waits[chain[0], chain[-1]])
        return Overall(
            conversion=_ratio([shown[chain[0]], shown[chain[-1]]]), mean_s=took.mean, median_s=took.median, p90_s=took.p90
        )

    def excluded(self, numbers: Conversion) -> int | None:
        few = self.asked.hides(numbers.excluded_people)
        return None if few else int(scaled(numbers.excluded, self.asked.scale))

    def bins(self, found: Histogram | None, numbers: Conversion, pair: Pair) -> Bins | None:
        """The times between two steps, if as many did the later one as may be shown."""
        if found is None or self.cut(numbers.people.tolist()) <= pair[1]:
            return None
        counts = [
            None if count is None else scaled(count, self.asked.scale) for count in hide_line(found.counts, self.asked.least)
        ]
        return Bins(start_s=found.start, width_s=found.width, counts=counts)

    def trend(self, found: Trend, period: Period) -> list[EntryBucket]:
        done = period.complete(self.asked.now, self.asked.late + self.plan.window)
        rows = zip(period.labels(), found.reached.tolist(), found.people.tolist(), done, strict=True)
        shown = [(start, self._shown(counts, self.cut(people)), complete) for start, counts, people, complete in rows]
        return [
            EntryBucket(start=start, counts=counts, conversion=_ratio(counts), complete=complete)
            for start, counts, complete in shown
        ]

    def _step(
        self, number: int, counts: list[int | None], rate: tuple[float | None, float | None], numbers: Conversion
    ) -> StepCount:
        before = next((pair for pair in self.plan.pairs() if pair[1] == number), None)
        count = counts[number]
        took = summary(numbers.waits[before] if before is not None and count is not None else np.empty(0, np.int64))
        lost = None if before is None else counts[before[0]]
        return StepCount(
            name=step_name(self.question, number),
            count=count,
            conversion_from_first=None if count is None else rate[0],
            conversion_from_previous=None if count is None else rate[1],
            dropped=None if lost is None or count is None else lost - count,
            mean_s=took.mean,
            median_s=took.median,
            p90_s=took.p90,
        )

    def _shown(self, counts: Sequence[int], cut: int) -> list[int | None]:
        return [scaled(count, self.asked.scale) if number < cut else None for number, count in enumerate(counts)]


def step_name(question: FunnelQuery, number: int) -> str:
    step = question.steps[number]
    if question.order == "any":
        return f"{number + 1} steps"
    return step.name or " or ".join(step.names) or "any event"


def _ratio(counts: Iterable[int | None]) -> float | None:
    first, *_, last = counts
    return last / first if first and last is not None else None
