"""Columns of lake files as codes."""

from __future__ import annotations

import gc
from pathlib import Path

from consentryd.storage.coded import constants, read_columns
from consentryd.storage.delta import DeltaLake
from consentryd.storage.order import sort
from tests.storage.rows import event, table


def test_reading_a_file_leaves_nothing_that_only_the_collector_frees(tmp_path: Path) -> None:
    lake = DeltaLake(tmp_path)
    file = lake.write("2026-01", 3, [sort(table([event(number, days=31) for number in range(10)]))])
    assert file is not None
    (path,) = lake.paths([file])
    gc.collect()
    gc.disable()
    try:
        assert constants(path)["site"]
        assert sum(columns.rows for columns in read_columns(path, ["subject", "time"], ["event", "site"], 5)) == 10
        assert sum(rows.num_rows for rows in lake.read(file, rows=5)) == 10
        assert gc.collect() == 0
    finally:
        gc.enable()
