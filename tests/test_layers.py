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


def test_a_gateway_that_only_collects_loads_neither_duckdb_nor_what_checks_tracking_plans():
    asked = "import sys, consentryd.gateway.cli.app, consentryd.gateway.compose; print({'duckdb', 'jsonschema_rs'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"


def test_conditions_of_questions_are_compiled_when_one_is_asked():
    asked = "from consentryd.analytics import condition, query; print(condition.DidThen.__pydantic_complete__)"
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_commands_load_the_heavy_libraries_only_when_they_need_them():
    asked = "import sys, consentryd.gateway.cli.app; print({'aiohttp', 'deltalake', 'numpy', 'pyarrow'} & set(sys.modules))"
    told = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "set()"
