"""`consentry serve` from an empty directory: what it prints works when it is pasted, and the next start reuses it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

import consentryd
from consentryd.config.settings import Settings
from consentryd.gateway.address import url_of
from consentryd.gateway.cli.option import DEFAULT_CONFIG
from consentryd.gateway.cli.serve import _served, _welcome
from consentryd.gateway.cli.welcome import ELSEWHERE
from consentryd.model.key import KeyKind

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(consentryd.__file__).parent.parent)}
LAST_LINE = "Health, numbers:"


@contextmanager
def serving(directory, *options):
    """The lines that the gateway prints until it takes events. Leaving stops it and expects exit code 0."""
    command = [sys.executable, "-m", "consentryd", "serve", "--port", "0", *options]
    with subprocess.Popen(
        command, cwd=directory, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        watchdog = threading.Timer(100, child.kill)
        watchdog.start()
        lines = []
        for line in child.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith(LAST_LINE):
                break
        try:
            yield lines
        finally:
            child.send_signal(signal.SIGTERM)
            _, errors = child.communicate()
            watchdog.cancel()
    assert child.returncode == 0, errors
    assert "csy_" not in errors


def paste(line):
    """What `curl` would do with the line: the answer."""
    arguments = shlex.split(line)
    options = {name: arguments[arguments.index(name) + 1] for name in ("-u", "-H", "-d")}
    (url,) = (argument for argument in arguments if argument.startswith("http"))
    request = urllib.request.Request(url, options["-d"].encode(), dict([options["-H"].split(": ")]))
    request.add_header("X-Write-Key", options["-u"].removesuffix(":"))
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def after(lines, title):
    start = next(number for number, line in enumerate(lines) if line.startswith(title)) + 1
    return [line[2:] for line in lines[start : lines.index("", start)]]


def test_what_the_first_start_prints_works_and_the_next_start_reuses_it(run, here):
    with serving(here) as lines:
        text = "\n".join(lines)
        secrets = set(re.findall(r"csy_\w+?_[\w-]{43}", text))
        assert {secret.split("_")[1] for secret in secrets} == {"write", "server", "privacy", "read"}
        assert paste(*after(lines, "Send an event that carries a grant"))["accepted"] == 1
        refused = paste(*after(lines, "The same without a grant"))
        assert refused["accepted"] == 0
        assert refused["results"][0]["outcome"] == "dropped"
        program = "\n".join(after(lines, "From Python"))
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["accepted"] == 1
        (script,) = re.findall(r'<script async src="([^"]+)" data-key="csy_write_[^"]+"></script>', text)
        assert script.endswith("/sdk.js")
        assert [row["event"] for row in run("events", "--json").json] == ["signup_completed"] * 2
        assert len(run("events", "--rejected", "--json").json) == 1

    with serving(here) as lines:
        text = "\n".join(lines)
        assert "csy_" not in text
        assert re.search(r"Keys were made on \d{4}-\d\d-\d\d \d\d:\d\d UTC in data/control.db; 4 are valid.", text)
        assert all(f"consentry {hint}" in text for hint in ("keys list", "keys create write", "snippet", "events"))
    assert len(run("events", "--json").json) == 2


def test_a_first_start_makes_the_folder_of_its_settings(tmp_path):
    with serving(tmp_path, "--config", "shop/consentry.toml") as lines:
        assert lines[0].startswith("Set up shop/consentry.toml.")
        assert "Read it back:     consentry events --config shop/consentry.toml" in lines
    assert (tmp_path / "shop" / "consentry.toml").is_file()
    assert (tmp_path / "shop" / "data" / "control.db").is_file()


def test_a_start_that_finds_keys_and_no_settings_says_that_defaults_hold(here, installed):
    with serving(here) as lines:
        assert not any("did not exist" in line for line in lines)
    with serving(here, "--config", "mistyped.toml") as lines:
        assert lines[0].startswith("mistyped.toml did not exist and was written.")
    with serving(here, "--config", "mistyped.toml") as lines:
        assert not any("did not exist" in line for line in lines)


def test_the_commands_of_a_later_start_reach_this_gateway(tmp_path):
    with serving(tmp_path, "--config", "shop/consentry.toml"):
        pass
    with serving(tmp_path, "--config", "shop/consentry.toml") as lines:
        address = lines[0].removeprefix("Consentry takes events at ")
        assert f"For a web page:   consentry snippet --url {address} --config shop/consentry.toml" in lines
        assert "`consentry keys list --config shop/consentry.toml`" in lines[1]
        command = next(line for line in lines if line.startswith("For a web page:")).split("consentry ", 1)[1]
        done = subprocess.run(
            [sys.executable, "-m", "consentryd", *shlex.split(command)],
            cwd=tmp_path, env=ENVIRONMENT, capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert f'src="{address}/sdk/' in done.stdout


def test_what_the_first_start_prints_works_where_grants_need_a_notice_and_another_purpose(run, here):
    here.joinpath("consentry.toml").write_text('[consent]\nnotices = ["2026-11", "2026-12"]\ndefault_purpose = "product"\n')
    with serving(here) as lines:
        assert paste(*after(lines, "Send an event that carries a grant"))["accepted"] == 1
        assert paste(*after(lines, "The same without a grant"))["accepted"] == 0
        done = subprocess.run([sys.executable, "-c", "\n".join(after(lines, "From Python"))], capture_output=True, check=True)
        assert json.loads(done.stdout)["accepted"] == 1
        element, hint = after(lines, "From a web page")
        assert element.endswith(' data-purpose="product" data-notice="2026-12"></script>')
        assert 'consentry.consent.grant("product")' in hint
    assert run("snippet").out.endswith(' data-purpose="product" data-notice="2026-12"></script>\n')


@pytest.mark.parametrize(("public", "said"), [(None, True), ("https://events.example/in", False)])
def test_where_every_address_is_listened_on_the_lines_name_one_that_works_and_say_so(public, said, run, installed):
    server = {"host": "0.0.0.0", "public_url": public}
    settings = Settings(server=server)
    for secrets in (None, dict.fromkeys(KeyKind, "csy")):
        lines = _welcome(settings, public or url_of(settings.server.host, 9000), secrets, DEFAULT_CONFIG)
        assert lines[0] == f"Consentry takes events at {public or 'http://localhost:9000'}"
        assert (ELSEWHERE in lines) is said


def test_a_region_that_is_named_twice_is_served_once():
    assert _served(Settings(), "eu, us,eu") == ["eu", "us"]
