"""One subject's report: tiles and tables over its events (section 1.15 as a template that any of them fits)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.exchange import MONEY, amount_sql, warn_unconverted, without_rate_sql
from consentryd.analytics.field import field_of
from consentryd.analytics.lane import require_subjects
from consentryd.analytics.period import Period
from consentryd.analytics.question import Answered, Envelope, Question
from consentryd.analytics.region_view import Span
from consentryd.analytics.shape import PropertyName, Shape, Text
from consentryd.analytics.source import Source
from consentryd.analytics.view import HISTORY
from consentryd.model.identity import MAX_SUBJECT

_TIMELINE: Final = 200
_EVENT: Final = "{'t': epoch_us(e.time), 'n': e.event, 'p': e.path}"
Sum = Literal["count", "sum", "distinct", "mean", "last", "covered", "ratio"]


class Number(Matcher):
    """A number of the report: how many events, or the sum, the mean, the last or the distinct values of a property over them.

    `covered`: how much their intervals from `property` to `until` cover, what is covered twice once; `whole` makes it the share of the
    largest value of that property, 1 at most. `ratio`: the sum over these events by that over those of `denominator`; null of nothing.
    `mean_over` makes a number the mean of what it is for each value of that property, each counting once, those without it left out.
    `divide` scales it: 60 makes minutes of seconds. `decimals` rounds it.
    """

    name: Text
    of: Sum = "count"
    property: PropertyName | None = None
    until: PropertyName | None = Field(None, description="Where the interval ends that begins at `property`; for `covered`.")
    whole: PropertyName | None = Field(
        None, description="What the intervals are parts of, such as a video's length; for `covered`."
    )
    denominator: Matcher | None = Field(None, description="The events whose sum a `ratio` is by.")
    mean_over: PropertyName | None = Field(None, description="Such as a session's name; not of `last`.")
    divide: float = Field(1, gt=0)
    decimals: int | None = Field(None, ge=0, le=6)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.of == "count") == (self.property is not None):
            raise ValueError("all but `count` need a `property`")
        if (self.of == "covered") != (self.until is not None) or (self.whole is not None and self.of != "covered"):
            raise ValueError("`covered` needs `until`, and nothing else has it or `whole`")
        if (self.of == "ratio") != (self.denominator is not None):
            raise ValueError("`ratio` needs a `denominator`, and nothing else has one")
        if self.of == "last" and self.mean_over is not None:
            raise ValueError("of the last value there is no mean")
        return self


class ReportTable(Shape):
    """A row for each value of `by`, with numbers over its events."""

    name: Text
    by: PropertyName
    columns: list[Number] = Field(min_length=1, max_length=20)
    limit: int = Field(100, ge=1, le=1_000)

    @model_validator(mode="after")
    def _of_rows(self) -> Self:
        if any(column.mean_over is not None for column in self.columns):
            raise ValueError("a row is of one value: its numbers are no means over values")
        return self


class PersonQuery(Question):
    """What one subject did in the range. `docs/analytics/person.md` has the 28 items of a video platform's report as such a template."""

    kind: Literal["person"]
    subject: str = Field(pattern=r"^\d{1,19}$", description="The subject's number, as `/v1/query/{id}/subjects` gives it.")
    traits: list[PropertyName] = Field(default=[], max_length=20)
    cohorts: list[Text] = Field(default=[], max_length=20, description="Saved ones, by id or name.")
    numbers: list[Number] = Field(default=[], max_length=50)
    tables: list[ReportTable] = Field(default=[], max_length=10)
    timeline: bool = True

    @field_validator("subject")
    @classmethod
    def _a_subject(cls, value: str) -> str:
        if int(value) > MAX_SUBJECT:
            raise ValueError("is no subject's number")
        return value


class TableRows(Answered):
    name: str
    rows: list[dict[str, Any]]


class PersonEvent(Answered):
    time: str
    event: str
    path: str | None


class PersonResult(Envelope):
    kind: Literal["person"] = "person"
    first_seen: str | None
    last_seen: str | None
    events: int
    traits: dict[str, str | None]
    cohorts: dict[str, bool] = Field(default_factory=dict, description="Whether it is in each cohort now.")
    numbers: dict[str, float | int | str | None]
    tables: list[TableRows]
    timeline: list[PersonEvent] = Field(description="The newest 200 events, newest first.")

    def rows(self) -> list[dict[str, Any]]:
        """The numbers, and after them those of the tables with their table and row."""
        numbers = [{"name": name, "value": value, "table": None, "row": None} for name, value in self.numbers.items()]
        return numbers + [
            {"name": name, "value": value, "table": table.name, "row": row["value"]}
            for table in self.tables
            for row in table.rows
            for name, value in row.items()
            if name != "value"
        ]

    def sheets(self) -> dict[str, list[dict[str, Any]]]:
        """The numbers, the tables, and the newest events."""
        numbers = [{"name": name, "value": value} for name, value in self.numbers.items()]
        found = {"": numbers} | {table.name: table.rows for table in self.tables}
        return found | ({"newest events": [event.model_dump() for event in self.timeline]} if self.timeline else {})


def answer(question: PersonQuery, asked: Asked) -> PersonResult:
    """Raises `Unprocessable` for the anonymous lane, and where groups of one may not be shown."""
    require_subjects(asked)
    asked.refuse_single("A report on one subject shows a group of one.")
    period = asked.period("day")
    run = _Run(question, asked, period)
    run.warn_unconverted()
    seen = run.overall()
    first, last = _least(seen["a"]), _most(seen["b"])
    return PersonResult(
        **asked.envelope(period, interval=False),
        first_seen=None if first is None else asked.label(first),
        last_seen=None if last is None else asked.label(last),
        events=sum(seen["n"]),
        traits={name: run.trait(name) for name in question.traits},
        cohorts={name: run.is_member(name) for name in question.cohorts},
        numbers={
            number.name: _number(number, seen[f"n{place}"]) if number.mean_over is None else run.mean(number, number.mean_over)
            for place, number in enumerate(question.numbers)
        },
        tables=[TableRows(name=table.name, rows=run.table(table)) for table in question.tables],
        timeline=[
            PersonEvent(time=asked.label(each["t"]), event=each["n"], path=each["p"])
            for events in seen.get("newest", [])
            for each in events or []
        ],
    )


class _Run:
    def __init__(self, question: PersonQuery, asked: Asked, period: Period) -> None:
        self._question, self._asked = question, asked
        self._span = Span(period.since, period.until)
        self._execution = asked.execution.of_subject(int(question.subject))

    def query(self, selected: str, source: Source | None = None, where: str = "true", rest: str = "") -> dict[str, list[Any]]:
        source = source or Source(self._asked.setting)
        own = self._own(source)
        statement = f"SELECT {selected} FROM {source.sql} WHERE {own} AND {where} {rest}"
        return self._execution.gather(statement, self._span).to_pydict()  # type: ignore[no-any-return]

    def warn_unconverted(self) -> None:
        """Of the events that sums, means and ratios of money are over."""
        columns = [column for table in self._question.tables for column in table.columns]
        sums = [
            each for each in (*self._question.numbers, *columns) if each.property == MONEY and each.of in {"sum", "mean", "ratio"}
        ]
        if not sums:
            return
        source = Source(self._asked.setting)
        matchers = [matcher for each in sums for matcher in (each, each.denominator) if matcher is not None]
        conditions = [self._own(source), f"({' OR '.join(source.matches(matcher) for matcher in matchers)})"]
        asked = replace(self._asked, execution=self._execution)
        warn_unconverted(without_rate_sql(source, conditions), self._span, asked)

    def _own(self, source: Source) -> str:
        """Of the subject, and within the question's own filter."""
        where = self._question.where
        return f"e.subject = {int(self._question.subject)}" + ("" if where is None else f" AND {source.holds(where)}")

    def trait(self, name: str) -> str | None:
        """As the last identify call said, whenever that was, and whatever the question's own filter."""
        source = Source(self._asked.setting, HISTORY)
        value = source.trait(name, "latest").text
        statement = f"SELECT any_value({value}) AS v FROM {source.sql} WHERE e.subject = {int(self._question.subject)}"
        found = self._execution.gather(statement, self._span)["v"].to_pylist()
        return next((value for value in found if value is not None), None)

    def is_member(self, cohort: str) -> bool:
        """By all its events, those outside the range too, and whatever the question's own filter."""
        source = Source(self._asked.setting, HISTORY)
        member = source.member(cohort)
        statement = f"SELECT bool_or({member}) AS v FROM {source.sql} WHERE e.subject = {int(self._question.subject)}"
        return any(self._execution.gather(statement, self._span)["v"].to_pylist())

    def overall(self) -> dict[str, list[Any]]:
        """By region: first and last event `a` and `b`, how many `n`, the report's numbers `n0`, `n1` ..., and the `newest` events.

        All at once: a statement costs 10 ms of its own.
        """
        source = Source(self._asked.setting)
        numbers = [
            f"{_sql(number, source)} AS n{place}"
            for place, number in enumerate(self._question.numbers)
            if number.mean_over is None
        ]
        selected = ["min(epoch_us(e.time)) AS a", "max(epoch_us(e.time)) AS b", "count(*) AS n", *numbers]
        if self._question.timeline:
            selected.append(f"list({_EVENT} ORDER BY e.time DESC, e.event_id)[1:{_TIMELINE}] AS newest")
        return self.query(", ".join(selected), source)

    def table(self, table: ReportTable) -> list[dict[str, Any]]:
        source = Source(self._asked.setting)
        matchers = [matcher for column in table.columns for matcher in (column, column.denominator) if matcher is not None]
        truths = [source.matches(matcher) for matcher in matchers]
        columns = ", ".join(f"{_sql(column, source)} AS c{n}" for n, column in enumerate(table.columns))
        key = field_of(table.by).text
        rest = f"GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT {table.limit}"
        found = self.query(f"{key} AS k, {columns}", source, f"{key} IS NOT NULL AND ({' OR '.join(truths)})", rest)
        return [
            {"value": key, **{c.name: _rounded(found[f"c{n}"][row], c) for n, c in enumerate(table.columns)}}
            for row, key in enumerate(found["k"])
        ]

    def mean(self, number: Number, over: str) -> float | None:
        """The mean of what a number is for each value of a property; of those for which it is known."""
        source = Source(self._asked.setting)
        selected, truth = _sql(number, source), source.matches(number.denominator or number)
        key = field_of(over).text
        found = self.query(f"{key} AS k, {selected} AS n", source, f"{key} IS NOT NULL AND {truth}", "GROUP BY 1")["n"]
        plain = number.model_copy(update={"divide": 1.0, "decimals": None})
        known = [value for each in found if (value := _rounded(each, plain)) is not None]
        return _scaled(sum(known) / len(known), number) if known else None


def _number(number: Number, found: list[Any]) -> Any:
    """A number of the report, from the region that has any."""
    if number.of == "covered":
        return _rounded([part for parts in found for part in parts or []], number)
    if number.of == "ratio":
        return _rounded([sum(parts[side] for parts in found) for side in (0, 1)], number)
    nothing = 0 if number.of in {"count", "sum", "distinct"} else None
    known = [value for value in found if value is not None]
    return _rounded(next(filter(None, known), known[0] if known else nothing), number)


def _sql(number: Number, source: Source) -> str:
    only = f" FILTER ({source.matches(number)})"
    if number.property is None:
        return f"count(*){only}"
    field, amount = field_of(number.property), amount_sql(number.property, source.setting.rates)
    match number.of:
        case "sum":
            return f"coalesce(fsum({amount}){only}, 0)"
        case "mean":
            return f"avg({amount}){only}"
        case "distinct":
            return f"count(DISTINCT {field.text}){only}"
        case "covered":
            parts = [field_of(name).number for name in (number.property, number.until or "", number.whole or number.property)]
            return f"list([{', '.join(parts)}]){only}"
        case "ratio":
            assert number.denominator is not None
            sums = (f"coalesce(fsum({amount}) FILTER ({truth}), 0)" for truth in (
                source.matches(number), source.matches(number.denominator)
            ))  # fmt: skip
            return f"[{', '.join(sums)}]"
        case _:
            return f"last({field.text} ORDER BY e.time, e.event_id){only}"


def _covered(parts: list[list[float | None]], number: Number) -> float | None:
    """The length of the union of intervals [a, b], those without an end or of no length left out; or its share of the whole."""
    intervals = sorted((a, b) for a, b, _ in parts if a is not None and b is not None and b > a)
    total, reached = 0.0, float("-inf")
    for begin, end in intervals:
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    if number.whole is None:
        return total
    whole = max((size for *_, size in parts if size is not None), default=0.0)
    return min(1.0, total / whole) if whole > 0 else None


def _rounded(value: Any, number: Number) -> Any:
    if number.of == "covered":
        value = _covered(value or [], number)
    if number.of == "ratio":
        above, below = value
        value = above / below if below else None
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and number.of != "last":
        return _scaled(value, number)
    return value


def _scaled(value: float, number: Number) -> float:
    value = value / number.divide if number.divide != 1 else value
    return round(value, number.decimals) if number.decimals is not None else value


def _least(values: list[int | None]) -> int | None:
    return min((value for value in values if value is not None), default=None)


def _most(values: list[int | None]) -> int | None:
    return max((value for value in values if value is not None), default=None)
