"""The command line as a person meets it: arguments in, text and an exit code out."""

import json
from dataclasses import dataclass

import pytest

from consentryd.gateway.cli import main


@dataclass(frozen=True)
class Told:
    code: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    for name in ("CONSENTRY_CONFIG", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def run(here, capsys):
    def _run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Told(code, captured.out, captured.err)

    return _run


@pytest.fixture
def installed(run):
    """The keys of an installation in the working directory."""
    return run("init", "--json").json
