"""Imports go strictly downwards; siblings never import each other."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_layers_hold():
    # in a process of its own: it configures logging for everybody in its own
    told = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout


def test_a_gateway_that_only_collects_does_not_load_duckdb():
    asked = "import sys, consentryd.gateway.cli.app, consentryd.gateway.compose; print('duckdb' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_commands_load_the_heavy_libraries_only_when_they_need_them():
    asked = "import sys, consentryd.gateway.cli.app; print({'aiohttp', 'deltalake', 'numpy', 'pyarrow'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
