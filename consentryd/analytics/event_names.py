"""Names of events that a question has and that nothing stored is called: mostly they are misspelt."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from consentryd.analytics import literal
from consentryd.analytics.asked import Asked
from consentryd.analytics.condition import Matcher
from consentryd.analytics.region_view import Span
from consentryd.analytics.shape import Shape
from consentryd.analytics.view import HISTORY

#: Names that are remembered of a site.
_MOST: Final = 10_000


class EventNames:
    """Remembers names that were found, so that only new ones are looked for: that reads one column of all events. Shared by threads."""

    def __init__(self) -> None:
        self._known: dict[str, frozenset[str]] = {}
        self._lock = threading.Lock()

    def warn_of_unknown(self, question: Shape, asked: Asked) -> None:
        """Says which names no event of the site has, of any lane and time. Where small groups are hidden it says nothing: one event is one
        person's."""
        known = self._known.get(asked.site, frozenset())
        new = set(_names(question)) - known
        if not new or asked.least > 1:
            return
        rules = replace(asked.execution.rules, lanes="all", sampling=1.0, test_traffic=())
        statement = f"SELECT DISTINCT e.event AS name FROM {HISTORY} e WHERE e.event IN {literal.texts(sorted(new))}"
        found = asked.execution.with_rules(rules).gather(statement, Span(), together=True)["name"].to_pylist()
        with self._lock:
            known = self._known.get(asked.site, frozenset())
            self._known[asked.site] = (known if len(known) < _MOST else frozenset()).union(found)
        for name in sorted(new.difference(found)):
            asked.warn(f"unknown_event {name}")


def _names(part: Any) -> Iterator[str]:
    """The names of events anywhere within a question."""
    if isinstance(part, list | tuple):
        for each in part:
            yield from _names(each)
    elif isinstance(part, Shape):
        if isinstance(part, Matcher):
            yield from part.names
        for name in type(part).model_fields:
            yield from _names(getattr(part, name))
