"""Cells behind which there are too few subjects are not shown, and cannot be worked out from those that are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from consentryd.analytics.group import ALL
from consentryd.analytics.trends.aggregate import RANGE, Cell, Cells

_ROUNDS: Final = 100


def hide_small(cells: Cells, sizes: Cells, least: int) -> int:
    """Make null what has 1 to `least` - 1 subjects, and what would give it away; how many cells became so.

    A lone hidden bucket of a group follows from the group's total, a lone hidden group of a bucket from all rows together: there the
    smallest cell beside it is hidden too, until nothing stands alone.
    """
    inhabited = {cell: size for cell, size in sizes.items() if cell in cells and size > 0}
    hidden = {cell for cell, size in inhabited.items() if size < least}
    hidden |= {cell for cell in inhabited if 0 < sizes.get((cell[0], RANGE), least) < least}
    for _ in range(_ROUNDS):
        more = set(_beside(inhabited, hidden))
        if not more:
            break
        hidden |= more
    for cell in hidden:
        cells[cell] = None
    return len(hidden)


def hide_line(counts: Sequence[int], least: int) -> list[int | None]:
    """The same for counts of people in a row whose sum is known: what is small, and beside a lone one the smallest other."""
    if least <= 1 or not any(0 < count < least for count in counts):
        return list(counts)
    cells: Cells = {("line", place): count for place, count in enumerate(counts)}
    hide_small(cells, cells | {("line", RANGE): sum(counts)}, least)
    return list(cells.values())


def _beside(sizes: Cells, hidden: set[Cell]) -> Iterable[Cell]:
    rows: dict[str, list[Cell]] = defaultdict(list)
    columns: dict[int, list[Cell]] = defaultdict(list)
    for group, bucket in sizes:
        if bucket != RANGE:
            rows[group].append((group, bucket))
        if group != ALL:
            columns[bucket].append((group, bucket))
    for group, row in rows.items():
        if (group, RANGE) not in hidden:
            yield from _smallest_beside_one(row, sizes, hidden)
    for bucket, column in columns.items():
        together = (ALL, bucket)
        if together in sizes and together not in hidden:
            found = list(_smallest_beside_one(column, sizes, hidden))
            alone = len(column) == 1 and column[0] in hidden
            yield from [together] if alone else found


def _smallest_beside_one(line: list[Cell], sizes: Cells, hidden: set[Cell]) -> Iterable[Cell]:
    """If one cell alone of a line is hidden, the smallest of the others."""
    shown = [cell for cell in line if cell not in hidden]
    if len(line) - len(shown) == 1 and shown:
        yield min(shown, key=lambda cell: (sizes[cell], cell))
