"""How old, and how far ahead, a choice may be."""

from __future__ import annotations

from typing import NamedTuple

from consentryd.consent.signals.reading import Invalid, InvalidSignal


class Stale(InvalidSignal):
    """A choice out of its time. `until` is when that may change: the moment a future-dated choice comes into force."""

    def __init__(self, reason: Invalid, detail: str, until: int) -> None:
        super().__init__(reason, detail)
        self.until = until


class Freshness(NamedTuple):
    """All times in UTC microseconds."""

    now: int
    max_age: int
    max_future: int

    def until(self, at: int) -> int:
        """The moment from which a choice made `at` counts no longer. Raises `Stale` when it does not count now."""
        if at > self.now + self.max_future:
            raise Stale(Invalid.FUTURE_DATED, "the choice lies in the future", at - self.max_future)
        if at + self.max_age < self.now:
            raise Stale(Invalid.EXPIRED, "the choice is too old", 2**62)
        return at + self.max_age + 1
