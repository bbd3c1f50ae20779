"""What is asked of rollups, and which questions may ask it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.region_view import Span


class Wanted(NamedTuple):
    """Events by name, one tuple of names for each definition, of which none is any event; `edges` of the buckets they are put in.

    `history`: also who did it before the first bucket.
    """

    definitions: tuple[tuple[str, ...], ...]
    edges: tuple[int, ...]
    history: bool = False

    @property
    def buckets(self) -> int:
        return len(self.edges) - 1

    @property
    def span(self) -> Span:
        return Span(None if self.history else self.edges[0], self.edges[-1])

    def fits(self, days: tuple[int, ...]) -> bool:
        """Whether every edge is between two days of these, or outside of them."""
        inside = [edge for edge in self.edges if days[0] < edge < days[-1]]
        return set(inside) <= set(days)

    def places(self, days: tuple[int, ...]) -> list[int]:
        """By day the number of its bucket; -1 before the first, and one more than there are after the last."""
        found: list[int] = (np.searchsorted(np.asarray(self.edges), np.asarray(days[:-1]), side="right") - 1).tolist()
        return found


def wanted_of(asked: Asked, matchers: Sequence[Matcher], edges: tuple[int, ...], *, history: bool = False) -> Wanted | None:
    """None if the question looks at more of events than their name, day and subject."""
    rules = asked.execution.rules
    if rules.lanes != "consented" or rules.test_traffic or asked.question.where is not None:
        return None
    if any(matcher.where is not None for matcher in matchers):
        return None
    return Wanted(tuple(tuple(matcher.names) for matcher in matchers), edges, history)
