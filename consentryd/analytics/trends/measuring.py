"""A measure's cells: the statement for its math, run over all buckets, finished and scaled."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import ByCohorts
from consentryd.analytics.exchange import MONEY, warn_unconverted
from consentryd.analytics.group import EVERYONE
from consentryd.analytics.period import Period
from consentryd.analytics.region_view import Span
from consentryd.analytics.trends import revenue, trailing
from consentryd.analytics.trends.aggregate import (
    NON_NUMERIC,
    RANGE,
    UNIQUE,
    Aggregate,
    Cell,
    Cells,
    Levels,
    aggregate_of,
    cumulative_unique,
)
from consentryd.analytics.trends.formula import Formula
from consentryd.analytics.trends.model import OF_PROPERTY, Measure, Series
from consentryd.analytics.trends.rolled import rolled_cells, rolled_trailing
from consentryd.analytics.trends.rows import Frame, as_number, is_money

_HISTORY: Final = frozenset({"first_time_event", "first_match"})
_ROLLED: Final = frozenset({"total", *_HISTORY})
_RATIO: Final = Formula("A / B", "AB")


def series_cells(series: Series, frame: Frame, levels: Levels, asked: Asked, *, cumulative: bool = False) -> Cells:
    """The cells of a series; a ratio's are its parts', divided cell by cell, totals too."""
    if series.numerator is None or series.denominator is None:
        return measure_cells(series, frame, levels, asked, cumulative=cumulative)
    above, below = (measure_cells(part, frame, levels, asked) for part in (series.numerator, series.denominator))
    missing = [empty_of(part) for part in (series.numerator, series.denominator)]
    return {cell: _RATIO({"A": above.get(cell, missing[0]), "B": below.get(cell, missing[1])}) for cell in {**above, **below}}


def measure_cells(measure: Measure, frame: Frame, levels: Levels, asked: Asked, *, cumulative: bool = False) -> Cells:
    """The value of every cell that has rows. Counts of a sample are scaled."""
    math = measure.math
    if is_money(measure):
        _warn_unconverted(measure, frame, asked)
    if math in trailing.WINDOWS and not trailing.degrades(math, frame.period.interval):
        return _trailing_cells(measure, frame, levels, asked)
    if math == "revenue":
        return _revenue_cells(measure, frame, levels, asked)
    aggregate = UNIQUE if math in trailing.WINDOWS else aggregate_of(math)
    if aggregate is UNIQUE or math in _ROLLED:
        known = rolled_cells(measure, frame, asked, buckets=levels.buckets, cumulative=cumulative)
        if known is not None:
            return {cell: scaled(value, asked.scale) for cell, value in known.items()}
    if aggregate.of_values is not None and math not in _HISTORY:
        cells = aggregate.finish(asked.execution.gather(_statement(aggregate, measure, frame, levels), frame.span, together=True))
        return {cell: scaled(value, asked.scale) for cell, value in cells.items()} if aggregate.scaled else cells
    rows = frame.rows(measure)
    if math == "unique_groups":
        return _account_cells(aggregate, aggregate.statement(rows, levels), frame, asked)
    cells = aggregate.finish(gathered(frame, aggregate.statement(rows, levels), frame.span, asked))
    if cumulative and aggregate is UNIQUE:
        firsts = gathered(frame, cumulative_unique(rows, levels), frame.span, asked)
        cells = {cell: value for cell, value in cells.items() if cell[1] == RANGE} | aggregate.finish(firsts)
    return {cell: scaled(value, asked.scale) for cell, value in cells.items()} if aggregate.scaled else cells


def gathered(frame: Frame, statement: str, span: Span, asked: Asked) -> pa.Table:
    """A statement's rows over all buckets. An account's people lie in many of them, so that accounts are counted over a whole region."""
    return asked.execution.gather(statement, span, whole=frame.accounts)


def _account_cells(aggregate: Aggregate, statement: str, frame: Frame, asked: Asked) -> Cells:
    """Accounts of one name in two regions are two, as they are where accounts are counted in the place of subjects."""
    found: defaultdict[str, list[pa.Table]] = defaultdict(list)
    for region, table in asked.execution.partials(statement, frame.span, whole=frame.accounts):
        found[region].append(table)
    cells: Counter[Cell] = Counter()
    for tables in found.values():
        cells.update(aggregate.finish(pa.concat_tables(tables, promote_options="permissive")))
    return dict(cells)


def _statement(aggregate: Aggregate, measure: Measure, frame: Frame, levels: Levels) -> str:
    """Of an aggregate that adds up."""
    if aggregate.of_values is None or frame.naming is None:
        return aggregate.statement(frame.rows(measure), levels)
    return aggregate.of_values(frame.values(measure), levels, frame.naming)


def subject_cells(measure: Measure, frame: Frame, levels: Levels, asked: Asked) -> Cells:
    """How many subjects are behind each cell of a measure, in the sample."""
    counted = Measure(event=measure.event, where=measure.where, math="unique")
    if measure.math in _HISTORY:
        return measure_cells(measure, frame, levels, asked)
    known = rolled_cells(counted, frame, asked, buckets=levels.buckets, cumulative=False)
    if known is not None:
        return known
    return UNIQUE.finish(gathered(frame, UNIQUE.statement(frame.rows(counted), levels), frame.span, asked))


def behind_cells(measure: Measure, frame: Frame, levels: Levels, asked: Asked) -> Cells:
    """How many subjects, in the sample, the value of each cell is of: where it is made of a value, those who have one."""
    valued = _valued(measure)
    return (
        subject_cells(measure, frame, levels, asked) if valued is None else _subjects_with(valued, measure, frame, levels, asked)
    )


def _valued(measure: Measure) -> str | None:
    """What tells the rows that a measure of a value is made of."""
    match measure.math:
        case "revenue":
            return "revenue IS NOT NULL"
        case "unique_sessions":
            return "session IS NOT NULL"
        case "unique_values" | "unique_groups":
            return "nullif(v, '') IS NOT NULL"
        case math:
            return f"{as_number()} IS NOT NULL" if math in OF_PROPERTY else None


def _subjects_with(condition: str, measure: Measure, frame: Frame, levels: Levels, asked: Asked) -> Cells:
    rows = f"SELECT * FROM ({frame.rows(measure)}) WHERE {condition}"
    return UNIQUE.finish(gathered(frame, UNIQUE.statement(rows, levels), frame.span, asked))


def non_numeric_cells(measure: Measure, frame: Frame, levels: Levels, asked: Asked) -> Cells:
    """Rows of each cell whose value is there but no number; null where they are of too few subjects."""
    if measure.math not in OF_PROPERTY - {"unique_values"}:
        return {}
    cells = NON_NUMERIC.finish(asked.execution.gather(NON_NUMERIC.statement(frame.rows(measure), levels), frame.span))
    if asked.least > 1:
        people = _subjects_with(f"v IS NOT NULL AND {as_number()} IS NULL", measure, frame, levels, asked)
        cells |= {cell: None for cell, count in people.items() if asked.hides(count)}
    return cells


def empty_of(measure: Measure) -> Any:
    """The value of a cell without rows: 0 of counts and sums, else null."""
    match measure.math:
        case "revenue":
            return revenue.ZERO
        case "ratio":
            return None
        case "weekly_active" | "monthly_active":
            return 0
        case math:
            return aggregate_of(math).empty


def scaled(value: Any, scale: float) -> Any:
    """A count of a sample as an estimate of the whole; whole numbers stay whole."""
    if scale == 1.0 or value is None:
        return value
    if isinstance(value, Decimal):
        return (value * Decimal(repr(scale))).quantize(revenue.ZERO)
    return round(value * scale) if isinstance(value, int) else value * scale


def _trailing_cells(measure: Measure, frame: Frame, levels: Levels, asked: Asked) -> Cells:
    """At each bucket's last day; of the whole range, that of the last complete bucket."""
    window = trailing.WINDOWS[measure.math]
    days = trailing.days_of(frame.period, window)
    known = rolled_trailing(measure, frame, days, window, asked)
    cells = _trailing_by_events(measure, frame, days, levels, asked) if known is None else known
    last = last_complete(frame, asked)
    cells.update({(group, RANGE): value for (group, bucket), value in list(cells.items()) if bucket == last})
    return {cell: scaled(value, asked.scale) for cell, value in cells.items()}


def last_complete(frame: Frame, asked: Asked) -> int | None:
    """The number of the last bucket that is over; of a comparison, of the last that is compared with one that is."""
    reached = asked.now if frame.cut is None or frame.cut.since is None else frame.cut.since
    return max((bucket for bucket, done in enumerate(frame.period.complete(reached, asked.late)) if done), default=None)


def _trailing_by_events(measure: Measure, frame: Frame, days: Period, levels: Levels, asked: Asked) -> Cells:
    rows = replace(frame, period=days).rows(measure)
    statement = trailing.statement(rows, trailing.WINDOWS[measure.math], together=levels.together)
    return trailing.active(gathered(frame, statement, Span(days.since, days.until), asked), frame.period, days)


def _warn_unconverted(measure: Measure, frame: Frame, asked: Asked) -> None:
    """Of the groups that are shown; where these are cohorts, of everyone."""
    once = f" AND g = '{EVERYONE}'" if isinstance(frame.breakdown, ByCohorts) else ""
    missing = f"revenue IS NOT NULL AND v IS NULL{once}"
    rows = _amounts(measure, frame)
    statement = f"SELECT currency, count(*) AS n FROM ({rows}) WHERE {missing} GROUP BY currency"
    warn_unconverted(statement, frame.span, asked, rows)


def _amounts(measure: Measure, frame: Frame) -> str:
    """The amounts that a measure of revenue is of, whatever it makes of them."""
    return frame.rows(Measure(event=measure.event, where=measure.where, math="sum", property=MONEY))


def _revenue_cells(measure: Measure, frame: Frame, levels: Levels, asked: Asked) -> Cells:
    table = asked.execution.gather(revenue.statement(frame.rows(measure), levels), frame.span)
    cells, missing = revenue.convert(table, asked.rates)
    for currency, count in missing.items():
        asked.warn(f"missing_rate {currency}", count, _amounts(measure, frame))
    return {cell: scaled(value, asked.scale) for cell, value in cells.items()}
