"""Which event ids may have been seen: filters in memory that never say no to one that was."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

_FIRST_CAPACITY: Final = 1 << 20
_LAST_CAPACITY: Final = 1 << 24
_KEYS_PER_WORD: Final = 4
_LOW_SIX: Final = np.uint64(63)
_ONE: Final = np.uint64(1)
_SHIFTS: Final = (0, 6, 12, 18, 24)
_INDEX_SHIFT: Final = 40

#: The first and the last log row that a filter has ids of.
Span = tuple[int, int]


def bits_of(hashes: Hashes) -> Hashes:
    """The five bits that each hash sets in its word of a filter."""
    bits = np.zeros_like(hashes)
    for shift in _SHIFTS:
        bits |= _ONE << ((hashes >> np.uint64(shift)) & _LOW_SIX)
    return bits


def _bits_of(wanted: int) -> int:
    bits = 0
    for shift in _SHIFTS:
        bits |= 1 << ((wanted >> shift) & 63)
    return bits


class Filter:
    """A blocked Bloom filter: one 64-bit word for four ids, five bits an id. Says yes wrongly for about 3 ids in a thousand when full."""

    def __init__(self, capacity: int, first: int) -> None:
        self.capacity = capacity
        self.count = 0
        self.newest_at = 0
        self.span: Span = (first, first)
        self._words: Hashes = np.zeros(capacity // _KEYS_PER_WORD, np.uint64)
        self._last = len(self._words) - 1

    def contains(self, hashes: Hashes, bits: Hashes) -> npt.NDArray[np.bool_]:
        found: npt.NDArray[np.bool_] = (self._words[self._places(hashes)] & bits) == bits
        return found

    def has(self, wanted: int) -> bool:
        """The same of one hash, at a fiftieth of the price."""
        bits = _bits_of(wanted)
        return self._words.item((wanted >> _INDEX_SHIFT) & self._last) & bits == bits

    def add(self, hashes: Hashes, seq: int, newest_at: int) -> None:
        np.bitwise_or.at(self._words, self._places(hashes), bits_of(hashes))
        self.count += len(hashes)
        self.newest_at = max(self.newest_at, newest_at)
        self.span = (self.span[0], seq)

    def _places(self, hashes: Hashes) -> Hashes:
        return (hashes >> np.uint64(_INDEX_SHIFT)) & np.uint64(self._last)


class FilterChain:
    """Filters, newest last, two of each size before one is twice as large: what is not used yet is two fifths of all at the most.

    One whose newest id is past the window is forgotten whole.
    """

    def __init__(self) -> None:
        self._filters = [Filter(_FIRST_CAPACITY, 0)]

    def contains(self, hashes: Hashes) -> npt.NDArray[np.bool_]:
        bits = bits_of(hashes)
        found = self._filters[0].contains(hashes, bits)
        for each in self._filters[1:]:
            found |= each.contains(hashes, bits)
        return found

    def spans(self, wanted: int) -> list[Span]:
        """Where the one hash may stand, newest first."""
        return [each.span for each in reversed(self._filters) if each.has(wanted)]

    def add(self, hashes: Hashes, seq: int, newest_at: int) -> None:
        """The ids of log row `seq`, or of a run that ends with it. Rows come in order."""
        newest = self._filters[-1]
        if newest.count >= newest.capacity:
            newest = Filter(self._next_capacity(), seq)
            self._filters.append(newest)
        newest.add(hashes, seq, newest_at)

    def _next_capacity(self) -> int:
        """That of the newest; twice as much once there are two of it."""
        newest = [each.capacity for each in self._filters[-2:]]
        return min(newest[-1] * (2 if newest.count(newest[-1]) > 1 else 1), _LAST_CAPACITY)

    def expire(self, before: int) -> None:
        kept = [each for each in self._filters[:-1] if each.newest_at >= before]
        self._filters = [*kept, self._filters[-1]]
