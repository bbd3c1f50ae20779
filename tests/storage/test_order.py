"""Merging sorted files: the order of events, in few steps."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from consentryd.storage.order import Source, merge, sort
from tests.storage.rows import event, table


def parts(events: pa.Table, rows: int) -> Iterator[pa.Table]:
    return (events.slice(start, rows) for start in range(0, events.num_rows, rows))


@pytest.mark.parametrize("rows", [1, 7, 50])
@pytest.mark.parametrize("subjects", [1, 40, 2**62])
def test_sorted_sources_become_one_in_order(rows: int, subjects: int) -> None:
    draw = np.random.default_rng(7)
    made = [event(number, subject=int(draw.integers(1, subjects + 1)) if number % 5 else None) for number in range(300)]
    sources = [sort(table(made[start::4])) for start in range(4)]
    merged = pa.concat_tables(merge([Source(parts(each, rows), each.num_rows) for each in sources]))
    assert merged.equals(sort(table(made)))


def test_heads_that_end_far_apart_are_not_merged_in_small_steps() -> None:
    draw, rows, files = np.random.default_rng(7), 50, 8
    sources = [
        sort(table([event(1_000 * file + number, subject=int(draw.integers(1, 2**62))) for number in range(600)]))
        for file in range(files)
    ]
    steps = list(merge([Source(parts(each, rows), each.num_rows) for each in sources]))
    assert sum(map(len, steps)) == 600 * files
    assert len(steps) < 3 * 600 / rows
