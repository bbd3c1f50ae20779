"""Cells behind which there are too few subjects are not shown, and cannot be worked out from those that are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import accumulate
from typing import Final

from consentryd.analytics.group import ALL
from consentryd.analytics.trends.aggregate import RANGE, Cell, Cells

_ROUNDS: Final = 100


def hide_small(cells: Cells, sizes: Cells, least: int) -> int:
    """Make null what has 1 to `least` - 1 subjects, and what would give it away; how many cells became so.

    A lone hidden bucket of a group follows from the group's total, a lone hidden group of a bucket from all rows together, and several small
    ones may be of the same few: there the smallest cell beside them is hidden too, until nothing stands alone.
    """
    inhabited = {cell: size for cell, size in sizes.items() if cell in cells and size > 0}
    hidden = {cell for cell, size in inhabited.items() if size < least}
    hidden |= {cell for cell in inhabited if 0 < sizes.get((cell[0], RANGE), least) < least}
    for _ in range(_ROUNDS):
        more = set(_beside(inhabited, hidden, least))
        if not more:
            break
        hidden |= more
    for cell in hidden:
        cells[cell] = None
    return len(hidden)


def summed(sizes: Cells) -> Cells:
    """The same of the buckets so far; the whole range stays."""
    found = {cell: size for cell, size in sizes.items() if cell[1] == RANGE}
    for group in {group for group, _ in sizes}:
        so_far = accumulate(sizes.get((group, bucket), 0) for bucket in range(max(bucket for _, bucket in sizes) + 1))
        found.update({(group, bucket): size for bucket, size in enumerate(so_far)})
    return found


def _beside(sizes: Cells, hidden: set[Cell], least: int) -> Iterable[Cell]:
    rows: dict[str, list[Cell]] = defaultdict(list)
    columns: dict[int, list[Cell]] = defaultdict(list)
    for group, bucket in sizes:
        if bucket != RANGE:
            rows[group].append((group, bucket))
        if group != ALL:
            columns[bucket].append((group, bucket))
    for group, row in rows.items():
        if (group, RANGE) not in hidden:
            alone = len(row) == 1 and row[0] in hidden and (group, RANGE) in sizes
            yield from [(group, RANGE)] if alone else _smallest_beside(row, sizes, hidden, least)
    for bucket, column in columns.items():
        together = (ALL, bucket)
        if together in sizes and together not in hidden:
            found = list(_smallest_beside(column, sizes, hidden, least))
            alone = len(column) == 1 and column[0] in hidden
            yield from [together] if alone else found


def _smallest_beside(line: list[Cell], sizes: Cells, hidden: set[Cell], least: int) -> Iterable[Cell]:
    """If one cell alone of a line is hidden, or only small ones, behind which the same few may be, the smallest of the others."""
    shown = [cell for cell in line if cell not in hidden]
    gone = [sizes[cell] for cell in line if cell in hidden]
    if gone and shown and (len(gone) == 1 or max(gone) < least):
        yield min(shown, key=lambda cell: (sizes[cell], cell))
