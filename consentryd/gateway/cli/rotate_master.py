"""`consentry keys rotate-master`."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from consentryd.config.settings import Settings
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import say, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.model.error import ConfigError
from consentryd.storage.keys import retire_masters, rotate_master
from consentryd.storage.master import DEFAULT_FILE, MasterKey, load_master, write_master
from consentryd.storage.tenancy import moving_in, serving


def rotate(
    config: ConfigOption = DEFAULT_CONFIG,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            help="Where the new master key is: `file:PATH` (from the data directory), `env:NAME` or `command:ARGV`. "
            "Default: a new key in the default file.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Wrap the regions' keys by another master key. No data is touched, and running gateways need not stop.

    With `--to`, set `keys.master` to the same value afterwards. A crash on the way leaves keys that both masters open: run it again.

    A backup made before needs the old key where the data directory is lost; beside that the new one opens it. Make a backup now, or keep
    a copy of the old key for as long as older backups.
    """
    old, new, regions = rewrap(installation.load(config), to)
    if as_json:
        show_json({"old": old.id, "new": new.id, "regions": regions})
        return
    say(f"{', '.join(regions) or 'No region yet'}: wrapped by master key {new.id}; {old.id} opens nothing any more.")
    if to is not None:
        say("Set this in the settings file now:")
        say(f'[keys]\nmaster = "{to}"')


def rewrap(settings: Settings, to: str | None) -> tuple[MasterKey, MasterKey, list[str]]:
    """The old master key, the new one, and the regions whose keys it wraps now. Nobody moves in meanwhile, and no other rotation goes on:
    a ring that only the one wraps and a file that holds the other would open for nobody. Raises `ConfigError`."""
    data = settings.storage.data_dir
    with serving(data), moving_in(data):
        old = load_master(settings.keys.master, data, os.environ)
        if to is None and settings.keys.master is not None:
            raise ConfigError("keys.master names your own source of the key; name the new one with --to.")
        new = MasterKey.generate() if to is None else load_master(to, data, os.environ)
        regions = rotate_master(data, old, new)
        if to is None:
            write_master(data / DEFAULT_FILE, new)
        retire_masters(data, new)
    return old, new, regions
