from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rights.estate import Estate, opened


@pytest.fixture
def estate(tmp_path: Path) -> Iterator[Estate]:
    with opened(tmp_path / "data") as estate:
        yield estate
