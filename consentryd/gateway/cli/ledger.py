"""`consentry ledger verify|checkpoint|inclusion|consistency`."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from consentryd.config.settings import Settings
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import complain, counted, say, say_all, show_json
from consentryd.gateway.cli.installation import RegionFolder
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.model.clock import SystemClock
from consentryd.model.error import ConfigError
from consentryd.storage.database import open_database
from consentryd.storage.keys import open_region_keys
from consentryd.storage.ledger import Ledger, verify_ledger
from consentryd.storage.master import load_master
from consentryd.storage.note import Verifier
from consentryd.storage.signing import SigningKeys, path_of, public_keys

app = typer.Typer(help="Check the ledgers, and make proofs from them.")

RegionOption = Annotated[str, typer.Option(help="The region whose ledger it is.", metavar="NAME")]


@app.command("verify")
def verify(
    config: ConfigOption = DEFAULT_CONFIG,
    region: Annotated[str | None, typer.Option(help="Only this region.", metavar="NAME")] = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute each ledger from its entries and hold it against its hashes and signed checkpoints. Exit code 1 names the first bad entry.

    Needs no master key: public keys suffice. The gateway may run meanwhile.
    """
    settings = installation.load(config)
    found = [_verified(settings, folder) for folder in _folders(settings, region)]
    if as_json:
        show_json(found)
    for each in found if not as_json else ():
        if each["problem"] is None:
            held = f"{counted(each['entries'], 'entry', 'entries')}, {counted(each['checkpoints'], 'checkpoint')}"
            say(f"{each['region']}: {held}, nothing was changed")
        else:
            complain(f"{each['region']}: entry {each['entry']} is bad: {each['problem']}")
    if not found and not as_json:
        say("Nothing is stored yet.")
    if any(each["problem"] for each in found):
        raise typer.Exit(1)


@app.command("checkpoint")
def checkpoint(region: RegionOption, config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Print the ledger's head as a signed note (C2SP tlog-checkpoint), for a witness to keep."""
    settings = installation.load(config)
    with _opened(settings, region) as ledger:
        data = settings.storage.data_dir
        keys = open_region_keys(data, region, load_master(settings.keys.master, data, os.environ))
        note = ledger.checkpoint(SigningKeys(data, region, keys.signing, SystemClock()).signer())
    if as_json:
        show_json({"note": note})
    else:
        sys.stdout.write(note)


@app.command("inclusion")
def inclusion(
    entry: Annotated[int, typer.Argument(help="The entry's number.", min=0)],
    region: RegionOption,
    size: Annotated[int | None, typer.Option(help="The tree's size; default: now.", min=1)] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Print the proof, a hash a line, that an entry is in the tree (RFC 9162, section 2.1.3)."""
    with _opened(installation.load(config), region) as ledger:
        size = size or ledger.size
        steps = list(map(_text, ledger.inclusion(entry, size)))
        leaf = _text(ledger.node(0, entry))
    if as_json:
        show_json({"entry": entry, "size": size, "leaf": leaf, "inclusion": steps})
    else:
        say_all(steps)


@app.command("consistency")
def consistency(
    first: Annotated[int, typer.Argument(help="The earlier size.", min=1)],
    region: RegionOption,
    second: Annotated[int | None, typer.Option(help="The later size; default: now.", min=1)] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Print the proof, a hash a line, that an earlier tree is the beginning of a later one (RFC 9162, section 2.1.4)."""
    with _opened(installation.load(config), region) as ledger:
        second = second or ledger.size
        steps = list(map(_text, ledger.consistency(first, second)))
    if as_json:
        show_json({"first": first, "second": second, "consistency": steps})
    else:
        say_all(steps)


def verifiers(settings: Settings, region: str) -> list[Verifier]:
    """The public keys of a region; none before it signed anything."""
    path = path_of(settings.storage.data_dir, region)
    return [key.verifier for key in public_keys(path)] if path.exists() else []


def _verified(settings: Settings, folder: RegionFolder) -> dict[str, Any]:
    with closing(open_database(folder.database, "region", readonly=True)) as connection:
        connection.execute("BEGIN")
        ledger = Ledger(connection)
        bad = verify_ledger(ledger, verifiers(settings, folder.name))
        return {
            "region": folder.name,
            "entries": ledger.size,
            "checkpoints": len(ledger.checkpoints()),
            "entry": None if bad is None else bad.number,
            "problem": None if bad is None else bad.problem,
        }


@contextmanager
def _opened(settings: Settings, region: str) -> Iterator[Ledger]:
    """A region's ledger. Numbers out of range become an error to read."""
    folder = _folders(settings, region)[0]
    with closing(open_database(Path(folder.database), "region", readonly=True)) as connection:
        try:
            yield Ledger(connection)
        except ValueError as error:
            raise ConfigError(f"That cannot be proven: {error}.") from None


def _folders(settings: Settings, region: str | None) -> list[RegionFolder]:
    folders = [folder for folder in installation.regions(settings) if region in {None, folder.name}]
    if not folders and region is not None:
        raise ConfigError(f"Region {region} holds nothing here; the regions are {', '.join(settings.regions)}.")
    return folders


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
