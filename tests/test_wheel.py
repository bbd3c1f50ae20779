"""The wheel, built and run away from the source: everything that is needed is inside."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent
COPIED = ("consentryd", "pyproject.toml", "README.md", "LICENSE", "NOTICE")


def _run(*arguments, cwd):
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}
    done = subprocess.run(
        [str(argument) for argument in arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The `bin` folder of an environment that holds the wheel and, by a path file, what this environment has."""
    place = tmp_path_factory.mktemp("wheel")
    copy = place / "source"
    copy.mkdir()
    for name in COPIED:
        if (SOURCE / name).exists():
            _run("cp", "-R", SOURCE / name, copy, cwd=place)
    offline = ["--quiet", "--no-index", "--no-deps", "--disable-pip-version-check"]
    _run(sys.executable, "-m", "pip", "wheel", *offline, "--no-build-isolation", "-w", place / "dist", copy, cwd=place)
    (wheel,) = (place / "dist").glob("consentryd-*.whl")
    venv.create(place / "venv", with_pip=False)
    (packages,) = (place / "venv").glob("lib/python*/site-packages")
    _run(sys.executable, "-m", "pip", "--python", place / "venv", "install", *offline, wheel, cwd=place)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place / "venv" / "bin"


def test_the_wheel_runs_where_there_is_no_source(installed, tmp_path):
    where = _run(installed / "python", "-c", "import consentryd; print(consentryd.__file__)", cwd=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent)
    assert "serve" in _run(installed / "consentry", "--help", cwd=tmp_path)
    keys = json.loads(_run(installed / "consentry", "init", "--json", cwd=tmp_path))
    assert len(keys) == 4
    assert {finding["state"] for finding in json.loads(_run(installed / "consentry", "doctor", "--json", cwd=tmp_path))} <= {
        "ok",
        "warn",
    }


def test_the_wheel_holds_every_data_file_and_licence_of_the_source(installed):
    package = Path(find_spec("consentryd").origin).parent
    wanted = {
        path.relative_to(package)
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }
    (inside,) = installed.parent.glob("lib/python*/site-packages/consentryd")
    missing = {str(path) for path in wanted if not (inside / path).is_file()}
    assert missing == set()
    (record,) = installed.parent.glob("lib/python*/site-packages/consentryd-*.dist-info/licenses")
    assert {path.name for path in record.iterdir()} >= {"LICENSE", "NOTICE"}
