"""A table of names and yes or no, the shape that own, Segment and RudderStack signals share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from consentryd.consent.purposes import Purposes
from consentryd.consent.signals.reading import Invalid, InvalidSignal

MAX_NAMES = 255


def choices(table: Any, what: str, *, unanswered: bool = False) -> Mapping[str, Any]:
    """The table when it is one of text to true or false (or null, where `unanswered` may be); anything else is malformed."""
    if not isinstance(table, Mapping) or len(table) > MAX_NAMES:
        raise InvalidSignal(Invalid.MALFORMED, f"{what} is not a table of names")
    known = (bool, type(None)) if unanswered else bool
    if not all(isinstance(name, str) and isinstance(value, known) for name, value in table.items()):
        raise InvalidSignal(Invalid.MALFORMED, f"{what} holds a value that is neither true nor false")
    return table


def sorted_out(chosen: Iterable[tuple[str, bool]], purposes: Purposes) -> tuple[frozenset[str], frozenset[str]]:
    """The purposes granted and denied. A purpose named twice is denied if it was denied once."""
    granted: set[str] = set()
    denied: set[str] = set()
    for name, yes in chosen:
        (granted if yes else denied).update(purposes.named(name))
    return frozenset(granted - denied), frozenset(denied)
