"""Opt-in rates from daily counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from consentryd.storage.statistic import Count

DIMENSIONS: Final = ("purpose", "day", "country", "device", "notice", "source")

#: Smaller groups are not shown: they might be told apart.
LEAST_GROUP: Final = 5


def opt_in_rates(counts: Iterable[Count], by: str, purpose: str | None) -> tuple[list[dict[str, Any]], int]:
    """Per purpose and value of `by`: how many chose, how many granted, and their share; and how many groups are not shown."""
    tallies: dict[str, dict[str, dict[str, int]]] = {}
    for count in counts:
        if purpose in {None, count.purpose}:
            groups = tallies.setdefault(count.purpose, {})
            tally = groups.setdefault(getattr(count, by), {"granted": 0, "denied": 0, "withdrawn": 0})
            tally[count.state] += count.times
    hidden = {name: _hidden(groups) for name, groups in tallies.items()}
    shown = [
        _group(name, by, value, tally)
        for name, groups in sorted(tallies.items())
        for value, tally in sorted(groups.items())
        if value not in hidden[name]
    ]
    return shown, sum(map(len, hidden.values()))


def _hidden(groups: Mapping[str, Mapping[str, int]]) -> set[str]:
    """Groups that are too small, and as many of the next larger ones as it takes for what is missing of the purpose's sum to be no small
    group again."""
    sizes = {value: sum(tally.values()) for value, tally in groups.items()}
    hidden: set[str] = set()
    missing = 0
    for value in sorted(sizes, key=lambda value: (sizes[value], value)):
        if sizes[value] >= LEAST_GROUP and not 0 < missing < LEAST_GROUP:
            break
        hidden.add(value)
        missing += sizes[value]
    return hidden


def _group(purpose: str, by: str, value: str, tally: dict[str, int]) -> dict[str, Any]:
    asked = tally["granted"] + tally["denied"]
    share = round(tally["granted"] / asked, 4) if asked else None
    own = {} if by == "purpose" else {by: value or None}
    return {"purpose": purpose, **own, **tally, "opt_in_rate": share}
