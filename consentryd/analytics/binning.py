"""The bins of a numeric breakdown (section 1.0)."""

from __future__ import annotations

from collections.abc import Sequence

from consentryd.analytics.asked import Asked
from consentryd.analytics.breakdown import By
from consentryd.analytics.condition import Matcher
from consentryd.analytics.group import value_of
from consentryd.analytics.region_view import Span
from consentryd.analytics.source import Source

Edges = tuple[float, ...] | None


def edges_of(by: By, matchers: Sequence[Matcher], span: Span, asked: Asked) -> Edges:
    """The given edges, or those of bins of one width between the smallest and the largest value of these events; None without bins."""
    if by.bins is None:
        return None if by.edges is None else tuple(by.edges)
    source = Source(asked.setting)
    matches = " OR ".join(source.matches(matcher) for matcher in matchers)
    where = "true" if asked.question.where is None else source.holds(asked.question.where)
    number = value_of(by, source).number
    statement = f"SELECT min({number}) AS low, max({number}) AS high FROM {source.sql} WHERE ({matches}) AND {where}"
    table = asked.execution.gather(statement, span)
    lows = [low for low in table["low"].to_pylist() if low is not None]
    highs = [high for high in table["high"].to_pylist() if high is not None]
    if not lows:
        return (0.0, 1.0)
    low, high = min(lows), max(highs)
    width = (high - low) / by.bins or 1.0
    return (*(low + width * number for number in range(by.bins)), high if high > low else low + width)
