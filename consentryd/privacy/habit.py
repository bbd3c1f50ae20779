"""Which events always hold personal data, by their name: the first look at such a one would be for nothing."""

from __future__ import annotations

from typing import Final

from consentryd.model.memory import keep

#: So many events of a name in a row, and the next is expected to be one more.
ENOUGH: Final = 8
MOST_NAMES: Final = 4_096


class Habits:
    """Names are known by their hash: they may be personal data themselves."""

    def __init__(self) -> None:
        self._in_a_row: Final[dict[int, int]] = {}

    def in_a_row(self, event: str) -> int:
        """How many events of this name were dense, one after the other, up to the last one."""
        return self._in_a_row.get(hash(event), 0)

    def was_dense(self, event: str) -> None:
        keep(self._in_a_row, hash(event), self.in_a_row(event) + 1, MOST_NAMES)

    def was_not(self, event: str) -> None:
        self._in_a_row.pop(hash(event), None)
