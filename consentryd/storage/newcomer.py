"""Ids of newcomers: random, but near each other for a while, so that those of one commit share a page of the index.

The low 24 bits of each are random by themselves: samples of subjects are taken by them.
"""

from __future__ import annotations

from typing import Final

from consentryd.model.chance import Chance

#: So many ids follow one another, with gaps of up to 2^24 between them, in a random one of 2^32 ranges.
_NEIGHBOURS: Final = 64
_RANGE_BITS: Final = 31
_GAP_BYTES: Final = 3


class Newcomers:
    """Draws subject ids, 1 to 2^63 - 1. Belongs to one thread of one process."""

    def __init__(self) -> None:
        self._chance: Final = Chance()
        self._last = 0
        self._left = 0

    def draw(self) -> int:
        """An id that was not drawn before by this one, and that hardly any other draws."""
        if not self._left:
            self._last, self._left = self._chance.number() >> _RANGE_BITS << _RANGE_BITS, _NEIGHBOURS
        self._left -= 1
        self._last += 1 + int.from_bytes(self._chance.take(_GAP_BYTES), "little")
        return self._last
