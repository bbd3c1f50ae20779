"""What Arrow and Delta are told before they are used."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

PROGRAM = """
import sys
import numpy as np
import pyarrow as pa
from consentryd.storage.schema import EVENT_SCHEMA, keep_pandas_out
if {kept}: keep_pandas_out()
pa.array([1]), pa.array(np.arange(2)), pa.table([np.arange(2)], names=["n"]), EVENT_SCHEMA.empty_table().to_pylist()
print("pandas" in sys.modules, len(pa.table({{"n": [1]}}).to_pandas()))
"""


@pytest.mark.skipif(importlib.util.find_spec("pandas") is None, reason="nothing to keep out")
@pytest.mark.parametrize("kept", [True, False])
def test_pandas_is_imported_by_whoever_asks_for_it_and_not_by_arrow(kept: bool) -> None:
    out = subprocess.run([sys.executable, "-c", PROGRAM.format(kept=kept)], capture_output=True, text=True, check=True).stdout
    assert out.split() == [str(not kept), "1"]
