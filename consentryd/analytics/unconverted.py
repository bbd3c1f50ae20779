"""Amounts that cohorts by revenue leave out, for want of a rate."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import DidMuch
from consentryd.analytics.deed import unconverted_sql
from consentryd.analytics.exchange import MONEY, warn_unconverted
from consentryd.analytics.region_view import Span
from consentryd.analytics.saved import names_cohorts
from consentryd.analytics.shape import Shape
from consentryd.analytics.source import Source

#: What two deeds may differ in that leave out the same amounts.
_WHATEVER: Final = {"aggregate": "sum", "op": "gte", "value": 0, "upto": None}


def warn_of_missing_rates(question: Shape, asked: Asked) -> None:
    """Says how many there are by currency, of the deeds in a question and in the saved cohorts that it names."""
    deeds: list[DidMuch] = []
    for deed in (deed for part in _parts(question, asked) for deed in _deeds(part) if deed.property == MONEY):
        alike = deed.model_copy(update=_WHATEVER)
        deeds += [] if alike in deeds else [alike]
    for deed in deeds:
        warn_unconverted(unconverted_sql(deed, Source(asked.setting)), Span(), asked)


def _parts(question: Shape, asked: Asked) -> Iterator[Shape]:
    """The question, and the rules of the saved cohorts that it or they name."""
    due, seen = [question], set[str]()
    while due:
        part = due.pop()
        yield part
        for name in names_cohorts(part) - seen:
            seen.add(name)
            audience = asked.audiences.get(name)
            due += [] if audience is None or audience.definition is None else [audience.definition]


def _deeds(part: Any) -> Iterator[DidMuch]:
    if isinstance(part, DidMuch):
        yield part
    if isinstance(part, list | tuple):
        for each in part:
            yield from _deeds(each)
    elif isinstance(part, Shape):
        for name in type(part).model_fields:
            yield from _deeds(getattr(part, name))
