"""`consentry keys rotate-signing`."""

from __future__ import annotations

import asyncio
import os
import secrets
from typing import Annotated, Any

import typer

from consentryd.config.settings import Settings
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import say, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.model.clock import SystemClock
from consentryd.model.error import ConfigError
from consentryd.storage.keys import open_region_keys
from consentryd.storage.master import load_master


def rotate_signing(
    config: ConfigOption = DEFAULT_CONFIG,
    region: Annotated[str | None, typer.Option(help="Only this region.", metavar="NAME")] = None,
    as_json: JsonOption = False,
) -> None:
    """Sign receipts and checkpoints with a new key from now on. The old secret is destroyed; what it signed still verifies.

    Running gateways follow at their next signature. The ledger notes the new key.
    """
    settings = installation.load(config)
    folders = [folder for folder in installation.regions(settings) if region in {None, folder.name}]
    if not folders:
        raise ConfigError("There is no such region with anything in it.")
    with installation.at_work(settings):
        rotated = [_rotate(settings, folder.name) for folder in folders]
    if as_json:
        show_json(rotated)
    for each in rotated if not as_json else ():
        say(f"{each['region']}: key {each['new']} signs from now on, {each['old']} is retired")


def _rotate(settings: Settings, region: str) -> dict[str, Any]:
    from consentryd.rights.registrar import Registrar  # noqa: PLC0415 -- loads a store, for which --help need not wait
    from consentryd.storage.region import RegionStore  # noqa: PLC0415 -- the same

    data, clock = settings.storage.data_dir, SystemClock()
    keys = open_region_keys(data, region, load_master(settings.keys.master, data, os.environ))
    store = RegionStore(data / region, keys, settings.storage, clock, lambda: secrets.randbits(63))
    store.open()
    try:
        old, new = store.signing.rotate()
        asyncio.run(Registrar({region: store}).note_signing_keys())
    finally:
        store.close()
    return {"region": region, "old": old.id, "new": new.id}
