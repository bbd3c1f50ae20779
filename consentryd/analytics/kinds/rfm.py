"""Subjects by recency, frequency and money, the segments these name, and who moved between them (section 1.16)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import Field

from consentryd.analytics import literal
from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.field import field_of
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period, Range
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.revenue.payment import day_of, warn_missing
from consentryd.analytics.shape import PropertyName
from consentryd.analytics.source import Source
from consentryd.analytics.statistics.array import Floats, Ints
from consentryd.analytics.statistics.rfm import QUINTILES, SEGMENTS, Scores, flow, grid, scores
from consentryd.analytics.suppression import Cell, Line, hidden_of
from consentryd.model.clock import DAY
from consentryd.model.error import Unprocessable

#: Where a flow comes from, or goes to, of subjects who are in one of the two ranges only.
OUTSIDE: Final = "(none)"
#: Amounts of money have 4 places.
_UNIT: Final = 10_000


class RfmQuery(Question):
    """Subjects by quintile of how lately, how often and for how much they did something in the range; `before`: who moved since."""

    kind: Literal["rfm"]
    event: Matcher = Field(description="What is counted, such as an order.")
    value: PropertyName = Field("revenue", description="The number that money is.")
    before: Range | None = Field(None, description="An earlier range, to see from which segment to which subjects moved.")


class RfmCell(Answered):
    """Scores 1 to 5; equal values share the lower one."""

    recency: int
    frequency: int
    monetary: int
    segment: str
    subjects: int | None


class RfmFlow(Answered):
    """Subjects who were in a segment in the earlier range and are in another, or the same, in the later; `(none)`: in no segment."""

    was: str
    became: str
    subjects: int | None


class RfmResult(Envelope):
    """`grid`: subjects by recency (rows, 5 first) and frequency (columns, 1 first)."""

    kind: Literal["rfm"] = "rfm"
    subjects: int | None
    cells: list[RfmCell]
    grid: list[list[int | None]]
    segments: dict[str, int | None]
    flows: list[RfmFlow]

    def rows(self) -> list[dict[str, Any]]:
        return [cell.model_dump() for cell in self.cells]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """The grid, the segments, and who moved."""
        columns = [str(number + 1) for number in range(QUINTILES)]
        found: dict[str, list[dict[str, Any]]] = {
            "recency (down) by frequency (across)": [
                {"": QUINTILES - number, **dict(zip(columns, row, strict=True))} for number, row in enumerate(self.grid)
            ],
            "segments": [{"segment": name, "subjects": count} for name, count in self.segments.items()],
        }
        return found | {"flows": [each.model_dump() for each in self.flows]}


class _Scored(NamedTuple):
    """Of one range: subjects ascending, and their scores."""

    subject: Ints
    scores: Scores


def answer(question: RfmQuery, asked: Asked) -> RfmResult:
    """Raises `Unprocessable` for the anonymous lane."""
    require_subjects(asked)
    period = asked.period("day")
    people = _scored(question, period, asked)
    found = people.scores
    before = None if question.before is None else _scored(question, asked.period("day", question.before), asked)
    counts = _Counts.of(found, None if before is None else _flows(before, people))
    hidden = hidden_of(counts.lines(), asked.least)

    def shown(cell: Cell, count: int) -> int | None:
        return None if cell in hidden else round(count * asked.scale)

    return RfmResult(
        **asked.envelope(period, interval=False),
        subjects=asked.shown(len(people.subject)),
        cells=[
            RfmCell(recency=r, frequency=f, monetary=m, segment=SEGMENTS[position], subjects=shown((r, f, m, position), count))
            for (r, f, m, position), count in sorted(counts.cells.items(), reverse=True)
        ],
        grid=[[shown((r, f), counts.grid[r, f]) for f in range(1, QUINTILES + 1)] for r in range(QUINTILES, 0, -1)],
        segments={name: shown(name, count) for name, count in counts.segments.most_common()},
        flows=[
            RfmFlow(was=was, became=became, subjects=shown((was, became), count)) for (was, became), count in counts.flows.items()
        ],
    )


class _Counts(NamedTuple):
    """How many subjects: by scores and segment, by recency and frequency, by segment, by segments of both ranges."""

    cells: Counter[tuple[int, int, int, int]]
    grid: dict[tuple[int, int], int]
    segments: Counter[str]
    flows: dict[tuple[str, str], int]

    @classmethod
    def of(cls, found: Scores, flows: dict[tuple[str, str], int] | None) -> _Counts:
        cells = Counter(zip(*(column.tolist() for column in found), strict=True))
        two = {(r + 1, f + 1): int(count) for (r, f), count in np.ndenumerate(grid(found.recency, found.frequency))}
        return cls(cells, two, Counter(SEGMENTS[position] for position in found.segment.tolist()), flows or {})

    def lines(self) -> list[Line]:
        """Cells add up to those of the grid and to segments, these to everybody, and who became of a segment to the segment."""
        return [
            Line(self.grid),
            Line(self.segments),
            *(Line({cell: count for cell, count in self.cells.items() if cell[:2] == place}, place) for place in self.grid),
            *(
                Line({cell: count for cell, count in self.cells.items() if SEGMENTS[cell[3]] == name}, name)
                for name in self.segments
            ),
            *(
                Line({pair: count for pair, count in self.flows.items() if pair[1] == name}, None if name == OUTSIDE else name)
                for name in {became for _, became in self.flows}
            ),
        ]


def subjects_in(question: RfmQuery, was: str | None, became: str | None, asked: Asked) -> list[int]:
    """Who is in a segment, or moved so. Raises `Unprocessable` for a segment that there is not."""
    require_subjects(asked)
    for name in (was, became):
        if name not in {None, OUTSIDE, *SEGMENTS}:
            raise Unprocessable("invalid", f"A segment is one of {', '.join(SEGMENTS)}.", field="segment")
    if (was is not None and question.before is None) or (was is None and became == OUTSIDE):
        raise Unprocessable("invalid", "Without `before` nobody moved.", field="was")
    now = _members(_scored(question, asked.period("day"), asked), became)
    if question.before is None or was is None:
        return sorted(now)
    then = _members(_scored(question, asked.period("day", question.before), asked), was)
    if became == OUTSIDE:
        return sorted(then - now)
    return sorted(now - then if was == OUTSIDE else now & then)


def subjects_with(question: RfmQuery, recency: int, frequency: int, monetary: int | None, asked: Asked) -> list[int]:
    """Who has these scores; without `monetary`, whatever they brought."""
    require_subjects(asked)
    people = _scored(question, asked.period("day"), asked)
    found = (people.scores.recency == recency) & (people.scores.frequency == frequency)
    if monetary is not None:
        found &= people.scores.monetary == monetary
    members: list[int] = people.subject[found].tolist()
    return members


def _members(people: _Scored, segment: str | None) -> set[int]:
    """Of a segment; of all where none is named, or where it is outside of them."""
    if segment in {None, OUTSIDE}:
        return set(people.subject.tolist())
    return set(people.subject[people.scores.segment == SEGMENTS.index(segment)].tolist())


def _flows(before: _Scored, after: _Scored) -> dict[tuple[str, str], int]:
    """The largest first; none of nobody."""
    counts = flow(before.subject, before.scores.segment, after.subject, after.scores.segment)
    names = [*SEGMENTS, OUTSIDE]
    places = [(int(row), int(column)) for row, column in zip(*np.nonzero(counts), strict=True)]
    ranked = sorted(places, key=lambda place: (-counts[place], place))
    return {(names[row], names[column]): int(counts[row, column]) for row, column in ranked}


def _scored(question: RfmQuery, period: Period, asked: Asked) -> _Scored:
    source = Source(asked.setting)
    conditions = [source.matches(question.event), "e.subject IS NOT NULL"]
    if question.where is not None:
        conditions.append(source.holds(question.where))
    where = f"FROM {source.sql} WHERE {' AND '.join(conditions)}"
    span = Span(period.since, period.until)
    paid = question.value == "revenue"
    foreign = f"e.currency <> {literal.text(asked.rates.base)}"
    number = f"fsum({field_of(question.value).number})"
    if paid:
        number = f"CAST(sum(e.revenue) FILTER (NOT coalesce({foreign}, false)) * {_UNIT} AS DOUBLE)"
    people = asked.execution.gather(
        f"SELECT e.subject AS s, max(epoch_us(e.time)) AS r, count(*) AS f, coalesce({number}, 0) AS m {where} GROUP BY e.subject",
        span,
    ).sort_by("s")
    subject = people["s"].cast(pa.int64()).to_numpy()
    money = people["m"].cast(pa.float64()).to_numpy().copy()
    if paid:
        others = (
            f"SELECT e.subject AS s, e.currency, epoch_us(e.time) // {DAY} AS day, sum(e.revenue) AS x, count(*) AS n {where}"
        )
        _add_foreign(
            subject, money, asked.execution.gather(f"{others} AND {foreign} AND e.revenue IS NOT NULL GROUP BY ALL", span), asked
        )
    last, often = (people[name].cast(pa.int64()).to_numpy() for name in ("r", "f"))
    return _Scored(subject, scores(last, often, money))


def _add_foreign(subject: Ints, money: Floats, others: pa.Table, asked: Asked) -> None:
    """Amounts in other currencies at the rate of their day; without one they are left out, with a warning. In whole units, whose sum is the
    same in any order: who brought as much has the same score."""
    missing: Counter[str] = Counter()
    for row in others.to_pylist():
        amount = asked.rates.convert(Decimal(row["x"]), row["currency"], day_of(row["day"]))
        if amount is None:
            missing[row["currency"]] += row["n"]
        else:
            money[np.searchsorted(subject, row["s"])] += int(amount * _UNIT)
    warn_missing(missing, asked)
