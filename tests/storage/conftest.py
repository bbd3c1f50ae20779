"""A region on disk and its lake, of both kinds."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.lake import Lake, MemoryLake
from tests.storage.rows import append_rows

Append = Callable[..., None]


@pytest.fixture
def region(tmp_path: Path) -> Path:
    folder = tmp_path / "eu"
    folder.mkdir()
    return folder


@pytest.fixture
def database(region: Path) -> Iterator[sqlite3.Connection]:
    connection = open_database(region / "region.db", "region")
    connection.execute("PRAGMA synchronous = OFF")
    yield connection
    connection.close()


@pytest.fixture
def append(database: sqlite3.Connection) -> Append:
    def fill(rows: Sequence[Sequence[Any]], **options: Any) -> None:
        append_rows(database, rows, **options)

    return fill


@pytest.fixture(params=["delta", "memory"])
def lake(request: pytest.FixtureRequest, region: Path) -> Lake:
    return DeltaLake(region) if request.param == "delta" else MemoryLake()
