"""Answering trends: choose the groups, measure the range and its comparison, apply formulas, suppress, smooth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import ByCohorts
from consentryd.analytics.group import ALL, EVERYONE, OTHER, label_of
from consentryd.analytics.period import Period, compared
from consentryd.analytics.region_view import Span
from consentryd.analytics.source import Source
from consentryd.analytics.trends.aggregate import RANGE, Cells, Levels
from consentryd.analytics.trends.formula import Formula
from consentryd.analytics.trends.grouping import Shown, choose_groups, parts_of
from consentryd.analytics.trends.measuring import (
    behind_cells,
    empty_of,
    last_complete,
    measure_cells,
    non_numeric_cells,
    series_cells,
)
from consentryd.analytics.trends.model import COUNTS, LETTERS, Line, Point, Series, Trends, TrendsResult
from consentryd.analytics.trends.privacy import hide_small, summed
from consentryd.analytics.trends.rows import Frame
from consentryd.analytics.trends.trailing import WINDOWS, degrades
from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable

MAX_CELLS: Final = 10_000
_DISTINCT: Final = frozenset({"unique", "unique_sessions", "unique_groups", "unique_values"})


class Measured(NamedTuple):
    """Each letter's cells, of formulas those that are withheld, and how many were hidden because few subjects are behind them."""

    cells: Mapping[str, Cells]
    hidden: int = 0


def answer(question: Trends, asked: Asked) -> TrendsResult:
    """Raises `Unprocessable` for what cannot be answered of daily visitors, or has too many cells."""
    period = asked.period(question.interval)
    _check_lane(question, period, asked)
    if question.count_by == "group" and question.sampling < 1:
        raise Unprocessable("invalid", "A sample is one of subjects: accounts would lose some of theirs.", field="sampling")
    shown = shown_of(question, period, asked)
    _check_cells(question, shown)
    current = _measure(question, shown, asked)
    before = None
    if question.compare is not None:
        before = _measure(question, shown._replace(frame=_before(question, shown.frame, asked)), asked)
    _count_future(question, period, asked)
    lines = _Lines(question, shown, asked).lines(current, before)
    return TrendsResult(
        **asked.envelope(period),
        series=lines,
        suppressed_groups=shown.suppressed,
        suppressed_cells=current.hidden + (before.hidden if before else 0),
        groups_overlap=isinstance(question.breakdown, ByCohorts),
    )


def shown_of(question: Trends, period: Period, asked: Asked) -> Shown:
    """The groups that are shown, and the frame that has them."""
    frame = Frame(
        asked.setting,
        period,
        question.where,
        question.breakdown,
        visitors=question.lane != "consented",
        accounts=question.count_by == "group",
    )
    if question.breakdown is not None and not isinstance(question.breakdown, ByCohorts):
        frame = replace(frame, edges=(None,) * len(question.breakdown.by))
    return choose_groups(question.series, frame, asked)


def _check_lane(question: Trends, period: Period, asked: Asked) -> None:
    """Distinct visitors of more than a day cannot be told apart without following them."""
    if question.lane == "consented":
        return
    per_person = {part.math for part in parts_of(question.series)} - {
        "total",
        "sum",
        "avg",
        "min",
        "max",
        "unique_values",
        "revenue",
    }
    if per_person and (question.interval not in {"minute", "hour", "day"} or question.display != "series"):
        raise Unprocessable(
            "invalid",
            "Visitors of the anonymous lane change their token every day: who they are beyond a day is not known.",
            field="lane",
        )
    if per_person - {"unique"}:
        raise Unprocessable("invalid", "Of the anonymous lane, counts and `unique` by day are known only.", field="lane")
    if per_person and period.buckets:
        asked.warn("anonymous_visitors")


def _check_cells(question: Trends, shown: Shown) -> None:
    cells = (len(shown.groups) + 1) * shown.frame.period.buckets * len(question.series)
    if shown.groups and cells > MAX_CELLS:
        raise Unprocessable(
            "too_expensive", "Groups times buckets times series are too many.", cells=cells, limit=MAX_CELLS, field="breakdown"
        )


def _before(question: Trends, frame: Frame, asked: Asked) -> Frame:
    """The frame of the comparison: nothing of what the period has not reached yet."""
    assert question.compare is not None
    moved = compared(frame.period, question.compare)
    bucket = frame.period.bucket_at(asked.now)
    if bucket is None or question.compare_partial == "whole":
        return replace(frame, period=moved)
    reached = moved.edges[bucket] + asked.now - frame.period.edges[bucket]
    return replace(frame, period=moved, cut=Span(min(reached, moved.edges[bucket + 1]), moved.until))


def _measure(question: Trends, shown: Shown, asked: Asked) -> Measured:
    overlap = isinstance(question.breakdown, ByCohorts)
    levels = Levels(buckets=question.display != "total", together=question.breakdown is not None and not overlap)
    found: dict[str, Cells] = {}
    sizes: dict[str, Cells] = {}
    hidden = 0
    for letter, series in zip(LETTERS, question.series, strict=False):
        cells = series_cells(series, shown.frame, levels, asked, cumulative=question.display == "cumulative")
        if asked.least:
            sizes[letter] = _sizes(question, series, shown.frame, levels, asked)
            hidden += hide_small(cells, sizes[letter], asked.least)
            if series.math in WINDOWS and not degrades(series.math, question.interval):
                _hide_last(cells, shown.frame, asked)
        if overlap:
            _everyone_as_all(cells)
            _everyone_as_all(sizes.get(letter, {}))
        running = question.display == "cumulative"
        found[letter] = _running(cells, shown.frame.period.buckets, empty_of(series)) if running else cells
    for number, formula in enumerate(question.formulas, start=1):
        found[f"F{number}"] = _withheld(Formula(formula.expression, LETTERS[: len(question.series)]), sizes, question, asked)
    return Measured(found, hidden)


def _everyone_as_all(cells: Cells) -> None:
    cells.update({(ALL, bucket): value for (group, bucket), value in list(cells.items()) if group == EVERYONE})


def _sizes(question: Trends, series: Series, frame: Frame, levels: Levels, asked: Asked) -> Cells:
    """The fewest subjects behind a cell: of a ratio those of its smaller part, of a running number of subjects the new ones, of a
    window all in it."""
    sizes: Cells = {}
    for part in parts_of([series]):
        counts = behind_cells(part, frame, levels, asked)
        cumulative = question.display == "cumulative" and part.math == "unique"
        if cumulative or part.math in WINDOWS:
            found = measure_cells(part, frame, levels, asked, cumulative=cumulative)
            counts |= {cell: round(count / asked.scale) for cell, count in found.items() if cell[1] != RANGE}
        for cell, count in counts.items():
            sizes[cell] = min(sizes.get(cell, count), count)
    return sizes


def _hide_last(cells: Cells, frame: Frame, asked: Asked) -> None:
    """Of a window the whole range has the number of its last complete bucket."""
    last = last_complete(frame, asked)
    if last is not None:
        cells.update({(group, RANGE): None for (group, bucket), value in list(cells.items()) if bucket == last and value is None})


def _withheld(formula: Formula, sizes: Mapping[str, Cells], question: Trends, asked: Asked) -> Cells:
    """The cells of a formula that would tell of few, as nulls."""
    if asked.least <= 1:
        return {}
    every = [sizes] if question.display != "cumulative" else [sizes, {letter: summed(cells) for letter, cells in sizes.items()}]
    cells = {cell for counts in sizes.values() for cell in counts}
    return {
        cell: None
        for cell in cells
        if any(
            formula.tells_few({letter: counts[letter].get(cell, 0) for letter in formula.letters}, asked.least)
            for counts in every
        )
    }


def _count_future(question: Trends, period: Period, asked: Asked) -> None:
    """Events from clocks that run ahead are in no query; where the range reaches that far, it is said."""
    horizon = asked.execution.rules.horizon
    if period.until <= horizon:
        return
    ahead = asked.execution.with_rules(replace(asked.execution.rules, horizon=period.until + DAY))
    source = Source(asked.setting)
    matches = " OR ".join(source.matches(part) for part in parts_of(question.series))
    where = "true" if question.where is None else source.holds(question.where)
    table = ahead.gather(f"SELECT count(*) AS x FROM {source.sql} WHERE ({matches}) AND {where}", Span(horizon, period.until))
    asked.warn("future_events", sum(table["x"].to_pylist()))


class _Lines:
    """Cells as lines: series by series, then formulas, each for all rows and for every group."""

    def __init__(self, question: Trends, shown: Shown, asked: Asked) -> None:
        self._question = question
        self._shown = shown
        self._asked = asked
        self._period = shown.frame.period
        self._letters = LETTERS[: len(question.series)]

    def lines(self, current: Measured, compared: Measured | None) -> list[Line]:
        groups = (ALL, *self._shown.groups)
        found = []
        for letter, series in zip(self._letters, self._question.series, strict=True):
            skipped = self._non_numeric(series)
            for group in groups:
                value = _Cell(letter, group, empty_of(series))
                found.append(
                    self._line(letter, series.name or _name(series), value, current, compared, skipped.get((group, RANGE)))
                )
        for number, formula in enumerate(self._question.formulas, start=1):
            compiled = Formula(formula.expression, self._letters)
            for group in groups:
                cell = _Formula(compiled, group, self._question.series, f"F{number}")
                found.append(self._line(f"F{number}", formula.name or formula.expression, cell, current, compared, None))
        return found

    def _line(
        self, series: str, name: str, cell: _Cell | _Formula, current: Measured, compared: Measured | None, skipped: int | None
    ) -> Line:
        return Line(
            series=series,
            name=name,
            group=label_of(cell.group, self._question.breakdown),
            rest=cell.group == OTHER,
            values=self._points(cell, current.cells, self._period),
            total=cell.value(current.cells, RANGE),
            total_semantics=self._semantics(series),
            compared_to=None if compared is None else self._points(cell, compared.cells, self._compared_period()),
            compared_total=None if compared is None else cell.value(compared.cells, RANGE),
            non_numeric=skipped,
        )

    def _points(self, cell: _Cell | _Formula, cells: Mapping[str, Cells], period: Period) -> list[Point]:
        if self._question.display == "total":
            return []
        values = [cell.value(cells, bucket) for bucket in range(period.buckets)]
        if self._question.smoothing is not None:
            values = _smoothed(values, self._question.smoothing)
        complete = self._asked.complete(period)
        return [
            Point(start=start, value=value, complete=done)
            for start, value, done in zip(period.labels(), values, complete, strict=True)
        ]

    def _compared_period(self) -> Period:
        assert self._question.compare is not None
        return compared(self._period, self._question.compare)

    def _non_numeric(self, series: Series) -> Cells:
        together = self._question.breakdown is not None and not isinstance(self._question.breakdown, ByCohorts)
        return non_numeric_cells(series, self._shown.frame, Levels(buckets=False, together=together), self._asked)

    def _semantics(self, letter: str) -> str:
        if letter.startswith("F") and letter != "F":
            return "the formula over the totals"
        math = self._question.series[LETTERS.index(letter)].math
        if math in _DISTINCT:
            return "distinct over the range"
        if math in {"weekly_active", "monthly_active"}:
            return "the last complete bucket"
        return "sum over the range" if math in COUNTS else "computed over the range"


class _Cell(NamedTuple):
    letter: str
    group: str
    empty: Any

    def value(self, cells: Mapping[str, Cells], bucket: int) -> Any:
        return cells[self.letter].get((self.group, bucket), self.empty)


class _Formula(NamedTuple):
    formula: Formula
    group: str
    series: Sequence[Series]
    name: str

    def value(self, cells: Mapping[str, Cells], bucket: int) -> Any:
        if (self.group, bucket) in cells[self.name]:
            return None
        return self.formula({letter: self._part(letter, cells, bucket) for letter in self.formula.letters})

    def _part(self, letter: str, cells: Mapping[str, Cells], bucket: int) -> Any:
        series = self.series[LETTERS.index(letter)]
        return cells[letter].get((self.group, bucket), empty_of(series) if series.math in COUNTS else None)


def _name(series: Series) -> str:
    what = " or ".join(series.names) or "any event"
    return f"{series.math} of {series.property} of {what}" if series.property else f"{series.math} of {what}"


def _running(cells: Cells, buckets: int, empty: Any) -> Cells:
    """The sums of each group's buckets so far; null from the first one on that is not shown, of which later sums would tell."""
    found = {cell: value for cell, value in cells.items() if cell[1] == RANGE}
    for group in {group for group, _ in cells}:
        total = empty
        for bucket in range(buckets):
            value = cells.get((group, bucket), empty)
            total = None if total is None or value is None else total + value
            found[group, bucket] = total
    return found


def _smoothed(values: Sequence[Any], width: int) -> list[Any]:
    found = []
    for end in range(1, len(values) + 1):
        known = [value for value in values[max(0, end - width) : end] if value is not None]
        found.append(sum(known) / len(known) if known else None)
    return found
