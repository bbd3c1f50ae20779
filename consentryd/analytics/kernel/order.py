"""Putting numbers in order, telling combinations of them apart, and looking for the largest: several times faster than a stable argsort."""

from __future__ import annotations

from typing import Final

import numpy as np

from consentryd.analytics.kernel.chain import Ints
from consentryd.analytics.kernel.change import changes

_TABLE: Final = 8


def order_of(number: Ints) -> Ints:
    """Positions by ascending number (0 or more), equal ones as they were.

    Number and position are sorted as one where 63 bits hold both: 25 ms for 1.2 million against 300 ms for a stable argsort.
    """
    bits = len(number).bit_length()
    if int(number.max(initial=0)) >> (63 - bits):
        return np.argsort(number, kind="stable")
    packed = number.astype(np.int64) << bits
    packed |= np.arange(len(number))
    packed.sort()
    packed &= (1 << bits) - 1
    return packed


def numbered(*columns: Ints) -> tuple[Ints, Ints]:
    """Positions of a line of each combination, these ascending, and by line the number of its combination.

    Combinations are packed into one number; a table of all there could be beats sorting them while it is no longer than a few lines each.
    """
    packed, room = _packed(columns)
    if room > _TABLE * (len(packed) + 1):
        return _told_apart(packed)
    place = np.full(room, -1, np.int64)
    place[packed] = np.arange(len(packed))
    there = place >= 0
    number = (np.cumsum(there) - 1)[packed]
    return place[there], number


def _packed(columns: tuple[Ints, ...]) -> tuple[Ints, int]:
    """The columns as one, in the same order, and the room of its values, which 63 bits must hold."""
    packed, room = np.zeros(len(columns[0]), np.int64), 1
    for column in columns:
        low = int(column.min(initial=0))
        span = int(column.max(initial=0)) - low + 1
        packed *= span
        packed += column - low
        room *= span
    assert room < 1 << 63
    return packed, room


def _told_apart(packed: Ints) -> tuple[Ints, Ints]:
    order = order_of(packed)
    new = changes(packed[order])
    number = np.empty(len(packed), np.int64)
    number[order] = np.cumsum(new) - 1
    return order[new], number


def people(number: Ints, subject: Ints, size: int) -> Ints:
    """By number, 0 to `size` - 1, how many subjects have it; subjects ascend."""
    order = order_of(number)
    grouped = number[order]
    new = np.flatnonzero(changes(grouped) | changes(subject[order]))
    return np.bincount(grouped[new], minlength=size)


def summed(number: Ints, values: Ints, size: int) -> Ints:
    """The sums of the values that have a number, for 0 to `size` - 1."""
    found = np.zeros(size, np.int64)
    np.add.at(found, number, values)
    return found


def leading(counts: Ints, limit: int) -> Ints:
    """Positions of all that are as large as the `limit` largest: what ranks them by more than their count needs to look at no other."""
    if limit >= len(counts):
        return np.arange(len(counts))
    return np.flatnonzero(counts >= np.partition(counts, -limit)[-limit])
