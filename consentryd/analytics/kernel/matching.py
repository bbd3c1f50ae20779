"""Which events of one instant do which steps, each event one step at most (R-F3, R-F4)."""

from __future__ import annotations

from collections.abc import Sequence


def fill(masks: Sequence[int], chain: Sequence[int], first: int, end: int) -> list[int]:
    """Events that do steps `chain[first]`, `chain[first + 1]`, ... below place `end`: as many as these events can do, in order of steps.

    `masks` has, for each event, the bits of the steps it matches.
    """
    taken: dict[int, int] = {}
    place = first
    while place < end and _seat(masks, chain, place, taken, set()):
        place += 1
    return sorted(taken, key=taken.__getitem__)


def most(masks: Sequence[int], steps: Sequence[int]) -> int:
    """How many of the steps these events can do, in any order."""
    taken: dict[int, int] = {}
    return sum(_seat(masks, steps, place, taken, set()) for place in range(len(steps)))


def _seat(masks: Sequence[int], chain: Sequence[int], place: int, taken: dict[int, int], seen: set[int]) -> bool:
    """Augmenting path: an event for one more step, others moving if they must."""
    for event, mask in enumerate(masks):
        if mask >> chain[place] & 1 and event not in seen:
            seen.add(event)
            if event not in taken or _seat(masks, chain, taken[event], taken, seen):
                taken[event] = place
                return True
    return False
