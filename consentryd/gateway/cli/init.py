"""`consentry init`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from consentryd.gateway.cli import installation
from consentryd.gateway.cli.check_config import check_contents
from consentryd.gateway.cli.console import say, say_all, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, JsonOption
from consentryd.gateway.cli.welcome import key_lines


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Where; made if it does not exist.")] = Path(),
    as_json: JsonOption = False,
) -> None:
    """Set up an installation: settings, a data directory and four keys.

    Writes `consentry.toml`, in which every setting stands with its default, and `data/`, and prints a write key, a server key, a
    privacy key and a read key for a site called `default`. The keys are shown this once: only their hashes are stored.

    With `--json` the output is `{"write_key", "server_key", "privacy_key", "read_key"}`.

    Refuses to touch what exists. `consentry serve` does the same by itself where nothing was set up.
    """
    config = directory / DEFAULT_CONFIG
    if not config.exists():
        check_contents(installation.load(None, os.environ))
    secrets = installation.create(config, os.environ)
    if as_json:
        show_json({f"{kind}_key": secret for kind, secret in secrets.items()})
        return
    say(
        f"Wrote {config} and {installation.load(config).storage.data_dir}. The keys of site `{installation.FIRST_SITE}`, shown this once:"
    )
    say_all(key_lines(secrets))
    where = "" if directory == Path() else f" --config {config}"
    say(f"Next: consentry serve{where}")
