"""Opt-in rates from daily counts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from consentryd.storage.statistic import Count

DIMENSIONS: Final = ("purpose", "day", "country", "device", "notice", "source")

#: Smaller groups are not shown: they might be told apart.
LEAST_GROUP: Final = 5


def opt_in_rates(counts: Iterable[Count], by: str, purpose: str | None) -> tuple[list[dict[str, Any]], int]:
    """Per purpose and value of `by`: how many chose, how many granted, and their share; and how many groups are too small to show."""
    tallies: dict[tuple[str, str], dict[str, int]] = {}
    for count in counts:
        if purpose in {None, count.purpose}:
            tally = tallies.setdefault((count.purpose, getattr(count, by)), {"granted": 0, "denied": 0, "withdrawn": 0})
            tally[count.state] += count.times
    groups = [_group(name, by, value, tally) for (name, value), tally in sorted(tallies.items()) if _large(tally)]
    return groups, len(tallies) - len(groups)


def _large(tally: dict[str, int]) -> bool:
    return sum(tally.values()) >= LEAST_GROUP


def _group(purpose: str, by: str, value: str, tally: dict[str, int]) -> dict[str, Any]:
    asked = tally["granted"] + tally["denied"]
    share = round(tally["granted"] / asked, 4) if asked else None
    own = {} if by == "purpose" else {by: value or None}
    return {"purpose": purpose, **own, **tally, "opt_in_rate": share}
