"""Matrices as they may be shown: no cell of too few, and none that would follow from the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from consentryd.analytics.kernel.chain import Bools, Ints
from consentryd.analytics.kernel.retention import Matrix
from consentryd.analytics.retention.model import Cohort
from consentryd.analytics.retention.run import Run
from consentryd.analytics.trends.measuring import scaled


class Hidden(NamedTuple):
    """What of a matrix is not shown: `size` bool[cohorts], `cells` bool[cohorts, periods]."""

    size: Bools
    cells: Bools

    @property
    def number(self) -> int:
        return int(self.size.sum()) + int(self.cells.sum())


def hidden_of(found: Matrix, least: int) -> Hidden:
    """Cohorts of too few members with all their cells, and cells of too few, or whose amount is of too few."""
    size = _few(found.size, least)
    few = _few(found.retained, least) | _few(found.worth, least)
    return Hidden(size, (few | size[:, None]) & (found.retained > 0))


def hidden_of_groups(groups: Sequence[Matrix], rest: Matrix | None, total: Matrix, least: int) -> list[Hidden]:
    """Of groups that share no member. Where one group's number alone is hidden, or that of the `rest` that is not shown, it would follow
    from the total's, and so would that of a few together: then the smallest beside them are hidden too."""
    if least <= 1 or not groups:
        return [hidden_of(found, least) for found in groups]
    whole = hidden_of(total, least)
    every = [*groups, *([] if rest is None else [rest])]
    size = np.array([_few(found.size, least) for found in every])
    if rest is not None:
        size[-1] = rest.size > 0
    size = _beside(size, np.array([found.size for found in every]), ~whole.size, least)
    retained, worth = (np.array([getattr(found, name) for found in every]) for name in ("retained", "worth"))
    cells = (_few(retained, least) | _few(worth, least) | size[:, :, None]) & (retained > 0)
    for counts in (retained, worth):
        cells = _beside(cells, counts, ~whole.cells, least)
    return [Hidden(size[number], cells[number]) for number in range(len(groups))]


def _few(counts: Ints, least: int) -> Bools:
    found: Bools = (counts > 0) & (counts < least)
    return found


def _beside(hidden: Bools, counts: Ints, told: Bools, least: int) -> Bools:
    """With the smallest other groups where one alone is hidden of a number whose total is told, or several that are few together. Groups
    are the first axis."""
    found = hidden
    for _ in range(len(counts)):
        gone = found & (counts > 0)
        few = gone.any(axis=0) & ((gone.sum(axis=0) == 1) | (np.where(gone, counts, 0).sum(axis=0) < least)) & told
        others = np.where(found | (counts == 0), np.iinfo(np.int64).max, counts)
        smallest = others.argmin(axis=0)
        there = np.take_along_axis(others, smallest[None], axis=0)[0] < np.iinfo(np.int64).max
        if not (few & there).any():
            break
        number = np.arange(len(counts)).reshape(-1, *[1] * (counts.ndim - 1))
        found = found | ((number == smallest) & (few & there))
    return found


@dataclass(frozen=True, slots=True)
class Told:
    run: Run

    def cohorts(self, found: Matrix, hidden: Hidden) -> list[Cohort]:
        complete = self.complete(found)
        return [
            self._cohort(start, number, found, hidden, complete[number]) for number, start in enumerate(self.run.period.labels())
        ]

    def curve(self, found: Matrix, hidden: Hidden) -> list[float | None]:
        """Over the cells that are complete and shown, so that it tells of no other."""
        shown = np.array(self.complete(found)) & (found.size > 0)[:, None] & ~hidden.cells & ~hidden.size[:, None]
        shares = found.retained / np.maximum(found.size, 1)[:, None]
        weights = np.where(shown, found.size[:, None] if self.run.question.mean == "weighted" else 1, 0)
        totals = weights.sum(axis=0)
        means = (shares * weights).sum(axis=0) / np.maximum(totals, 1)
        return [float(mean) if total else None for mean, total in zip(means, totals, strict=True)]

    def complete(self, found: Matrix) -> list[list[bool]]:
        """Calendar: the last bucket of the period has ended. Rolling: it has for the member that started last."""
        run = self.run
        now, edges = run.asked.now - run.asked.late, run.observed.edges
        ends = np.cumsum([1, *run.brackets]).tolist()
        if run.unit is None:
            return [[edges[cohort + end] <= now for end in ends] for cohort in range(run.period.buckets)]
        latest = np.where(found.latest >= 0, found.latest, np.asarray(edges[: run.period.buckets]))
        return [[int(time) + end * run.unit <= now for end in ends] for time in latest]

    def _cohort(self, start: str, number: int, found: Matrix, hidden: Hidden, complete: list[bool]) -> Cohort:
        size, scale = int(found.size[number]), self.run.asked.scale
        cells = zip(found.retained[number].tolist(), found.amount[number].tolist(), hidden.cells[number].tolist(), strict=True)
        few = bool(hidden.size[number])
        rows = [(None, None) if few or gone else (people, total) for people, total, gone in cells]
        return Cohort(
            start=start,
            size=None if few else scaled(size, scale),
            values=[None if people is None else self._value(people, total or 0.0) for people, total in rows],
            shares=[None if people is None or not size else people / size for people, _ in rows],
            complete=complete,
        )

    def _value(self, people: int, total: float) -> int | float | None:
        scale = self.run.asked.scale
        match self.run.question.metric:
            case "subjects":
                return scaled(people, scale)  # type: ignore[no-any-return]
            case "events":
                return scaled(round(total), scale)  # type: ignore[no-any-return]
            case "sum":
                return scaled(total, scale)  # type: ignore[no-any-return]
            case "avg":
                return total / people if people else None
