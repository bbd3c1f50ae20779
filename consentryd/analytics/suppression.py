"""What may not be shown: numbers of too few subjects, and those from which such a number would follow (complementary suppression)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple, TypeVar

Cell = Hashable
Name = TypeVar("Name", bound=Hashable)


class Line(NamedTuple):
    """Numbers whose sum is known: by cell how many subjects are behind it.

    `whole`: the cell that shows the sum; None: it is known anyway. `shared`: a subject may be behind several cells, so that the largest
    alone says how many there are at least.
    """

    parts: Mapping[Any, int]
    whole: Cell | None = None
    shared: bool = False

    def beside(self, hidden: AbstractSet[Cell], least: int) -> Iterator[Cell]:
        """One more cell to hide, where what is hidden would follow from the rest, or would tell of fewer than `least` together."""
        gone = [cell for cell in self.parts if cell in hidden]
        summed = self.whole is None or self.whole not in hidden
        told = (max if self.shared else sum)([0, *(self.parts[cell] for cell in gone)])
        enough = not gone or (len(gone) > 1 and told >= least)
        if (summed and enough) or (not summed and gone):
            return
        others = (cell for cell, size in self.parts.items() if size and cell not in hidden)
        smallest = min(others, key=self.parts.__getitem__, default=None)
        if smallest is not None:
            yield smallest
        elif summed and self.whole is not None:
            yield self.whole
        elif summed and told >= least:
            yield from [cell for cell in self.parts if cell not in hidden][:1]


def hidden_of(lines: Sequence[Line], least: int, gone: AbstractSet[Cell] = frozenset()) -> set[Cell]:
    """The cells that may not be shown: small ones, those that are `gone` for another reason, and beside them the smallest others, until no
    line tells of fewer than `least`."""
    if least <= 1:
        return set()
    hidden: set[Cell] = {*gone} | {cell for line in lines for cell, size in line.parts.items() if 0 < size < least}
    crossing: dict[Cell, list[int]] = defaultdict(list)
    for number, line in enumerate(lines):
        for cell in line.parts if line.whole is None else [*line.parts, line.whole]:
            crossing[cell].append(number)
    touched = {number for cell in hidden for number in crossing[cell]}
    while touched:
        more: set[Cell] = set()
        for number in sorted(touched):
            found = set(lines[number].beside(hidden, least))
            hidden |= found
            more |= found
        touched = {number for cell in more for number in crossing[cell]}
    return hidden


def hide_line(counts: Sequence[int], least: int) -> list[int | None]:
    """Counts of subjects in a row, each in one of them, whose sum is known, as they may be shown."""
    hidden = hidden_of([Line(dict(enumerate(counts)))], least)
    return [None if place in hidden else count for place, count in enumerate(counts)]


def running(sizes: Iterable[int], least: int, *, shared: bool = False) -> list[bool]:
    """Which running sums may be shown, where so many subjects are hidden at each place: none that would tell, beside the last one shown, of
    fewer than `least` of them. `shared`: a subject may be at several places."""
    found, since = [], 0
    for size in sizes:
        since = max(since, size) if shared else since + size
        found.append(not 0 < since < least)
        since = 0 if found[-1] else since
    return found


def steps(numbers: Iterable[Sequence[int]], least: int) -> list[bool]:
    """Which of numbers in a row may be shown: those that are of nobody or `least` more, or fewer, than the last ones shown."""
    last: Sequence[int] | None = None
    found = []
    for row in numbers:
        found.append(last is None or not any(0 < abs(new - old) < least for new, old in zip(row, last, strict=True)))
        last = row if found[-1] else last
    return found


class Balance(NamedTuple):
    """What of a bucket may be shown: its level at the end, and what moved it there."""

    level: bool
    moves: bool


def balances(
    levels: Sequence[int], moves: Sequence[Sequence[int]], least: int, people: Callable[[Sequence[int]], int] = max
) -> list[Balance]:
    """Of levels (one more than buckets: that before the first, which is not shown) and how many subjects moved in each bucket, by kind.

    A level is the one before and all moves. Where a move is hidden, all of its bucket are, and the levels after it until `least` subjects
    have moved since the last one shown; `people`: how many at least those of several kinds are.
    """
    if least <= 1:
        return [Balance(level=True, moves=True)] * len(moves)
    small = [0 < level < least for level in levels]
    found, since, shown = [], 0, False
    for number, row in enumerate(moves):
        told = not (since or small[number] or small[number + 1] or any(0 < count < least for count in row))
        since = 0 if told or not shown else max(since, people(row))
        level = not small[number + 1] and not 0 < since < least
        shown, since = shown or level, 0 if level else since
        found.append(Balance(level, told))
    return found


def largest(
    ranked: Sequence[Name], sizes: Mapping[Any, int], limit: int, least: int, unnamed: int = 0
) -> tuple[list[Name], list[Name]]:
    """The first `limit` that are large enough, and those that are to be shown as one: where a small one would follow from the whole, all
    others, joined by the next smallest until one of them is large enough. Subjects may be behind several; `unnamed`: behind none of them.
    """
    shown = [name for name in ranked[:limit] if sizes[name] >= max(least, 1)]
    kept = set(shown)
    rest = [name for name in ranked if name not in kept]
    if least <= 1 or not any(0 < size < least for size in (unnamed, *(sizes[name] for name in rest))):
        return shown, []
    while shown and max((sizes[name] for name in rest), default=0) < least:
        rest.append(shown.pop())
    return shown, rest if any(sizes[name] >= least for name in rest) else []
