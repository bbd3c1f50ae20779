"""The commands as a whole: help, version, errors, exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import consentryd
from consentryd import __version__
from consentryd.gateway.cli.app import app
from consentryd.gateway.cli.reference import commands

COMMANDS = list(commands(app))


def test_help_names_every_command(run):
    told = run("--help")
    assert told.code == 0
    assert run().out == told.out
    for name, _ in COMMANDS:
        assert name.split()[1] in told.out


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_every_command_and_each_of_its_options_is_explained(run, name, command):
    told = run(*name.split()[1:], "--help")
    assert told.code == 0
    assert len(command.help) > 60
    for parameter in command.params:
        assert parameter.help, parameter.name
        assert parameter.help.split()[0].strip("`") in told.out


def test_every_command_that_prints_data_takes_json():
    without = {name for name, command in COMMANDS if not any("--json" in parameter.opts for parameter in command.params)}
    assert without <= {"consentry serve", "consentry demo"}


def test_version(run):
    assert run("--version").out == f"consentry {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["--nonsense"],
        ["serve", "--port", "many"],
        ["serve", "--port", "80000"],
        ["serve", "--workers", "65"],
        ["serve", "--workers", "0"],
        ["keys", "list", "extra"],
    ],
)
def test_wrong_usage_is_one_line_and_two(run, arguments):
    told = run(*arguments)
    assert (told.code, told.out) == (2, "")
    assert len(told.err.splitlines()) == 1
    assert ". `consentry --help` and" in told.err


def test_it_runs_as_a_module_and_a_failure_shows_no_traceback(here):
    environment = {**os.environ, "PYTHONPATH": str(Path(consentryd.__file__).parent.parent)}
    done = subprocess.run(
        [sys.executable, "-m", "consentryd", "doctor"], capture_output=True, text=True, check=False, env=environment
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    assert "consentry.toml does not exist" in done.stdout


def test_an_option_out_of_range_is_named_as_it_was_given(run, installed):
    assert "--port" in run("serve", "--port", "80000").err
    assert "--workers" in run("serve", "--workers", "65").err


def test_a_first_start_makes_no_keys_under_settings_that_stop_it(run, here):
    (here / "consentry.toml").write_text('[keys]\nmaster = "vault:x"\n')
    told = run("serve", "--port", "0")
    assert (told.code, told.out, told.err) == (1, "", "keys.master must be file:PATH, env:NAME or command:ARGV.\n")
    assert not (here / "data" / "control.db").exists()


def test_init_makes_no_keys_under_settings_that_stop_the_start(run, here, monkeypatch):
    monkeypatch.setenv("CONSENTRY_KEYS_MASTER", "vault:x")
    told = run("init")
    assert (told.code, told.out) == (1, "")
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["serve", "--regions", "mars"], "--regions names mars, but the regions are eu, us."),
        (["serve", "--regions", ","], "--regions names no region."),
    ],
)
def test_serve_refuses_what_cannot_be(run, installed, arguments, says):
    told = run(*arguments)
    assert told.code == 1
    assert says in told.err
