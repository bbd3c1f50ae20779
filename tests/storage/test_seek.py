"""Finding single subjects: what is known of files is bounded, however many a lake has."""

from __future__ import annotations

from pathlib import Path

import pytest

from consentryd.storage import seek
from consentryd.storage.delta import DeltaLake
from consentryd.storage.order import sort
from tests.storage.rows import event, table


def test_so_many_files_are_known_at_once_and_all_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seek, "MOST_FILES", 3)
    lake = DeltaLake(tmp_path)
    files = [lake.write("2026-01", 3, [sort(table([event(number, subject=number % 2)]))]) for number in range(8)]
    lake.commit([file for file in files if file is not None])
    for _ in range(2):
        found = [lake.pick(file, [1], ["event_id"]).num_rows for file in files if file is not None]
        assert found == [0, 1] * 4
        assert len(lake._seeker._known) <= 3
