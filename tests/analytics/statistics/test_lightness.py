"""The statistics need numpy alone."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import importlib, pkgutil, sys
import consentryd.analytics.statistics as package
for module in pkgutil.iter_modules(package.__path__):
    importlib.import_module(f"{package.__name__}.{module.name}")
print(sorted({"scipy", "statsmodels", "pandas", "duckdb"} & set(sys.modules)))
"""


def test_neither_scipy_nor_a_database_is_imported():
    found = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
