"""`consentry backup` and `consentry restore`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import say, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.model.clock import SystemClock
from consentryd.storage.master import load_master


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Copy everything that is stored into a new folder, consistent although the gateway serves meanwhile.

    The master key is not in it: keep that elsewhere. `rights.backup_days` tells certificates of erasure how long you keep backups.
    """
    from consentryd.storage.backup import back_up  # noqa: PLC0415 -- Arrow takes a second to load

    settings = installation.load(config)
    report = back_up(settings.storage.data_dir, folder, SystemClock())
    if as_json:
        show_json(report._asdict())
    else:
        say(f"{report.files} files, {report.size:,} bytes, of regions {', '.join(report.regions) or 'none'} are in {folder}.")


def restore(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that `consentry backup` made.")],
    since: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="A later data directory, or a folder of <region>/region.db files, that knows who was erased since the backup; "
            "default: the data directory that is replaced.",
        ),
    ] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the place of the data directory. Stop the gateway first.

    Whoever was erased since the backup is erased from it again, suppressions and withdrawals since then stay in force, and only then it
    takes its place. The replaced directory stays beside it as `<name>.before-restore`.
    """
    from consentryd.storage.restore import restore as run  # noqa: PLC0415 -- Arrow takes a second to load

    settings = installation.load(config)
    root = settings.storage.data_dir
    done = run(root, folder, load_master(settings.keys.master, root, os.environ), SystemClock(), since)
    if as_json:
        show_json([each._asdict() for each in done])
        return
    for each in done:
        say(f"{each.region}: restored; {each.subjects} erased people and {each.events:,} events of theirs were taken out again.")
