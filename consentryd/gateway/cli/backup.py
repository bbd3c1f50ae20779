"""`consentry backup` and `consentry restore`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from consentryd.consent.policy import Policy
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import complain, counted, say, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.model.clock import SystemClock
from consentryd.model.error import ConfigError
from consentryd.storage.master import DEFAULT_FILE, load_master


def backup(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to make.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Copy everything that is stored into a new folder, consistent although the gateway serves meanwhile.

    Everything is read and checked: of a damaged database or lake file the command says which it is, and makes no backup.

    The master key is not in it: keep that elsewhere. `rights.backup_days` tells certificates of erasure how long you keep backups.
    """
    from consentryd.storage.backup import back_up  # noqa: PLC0415 -- Arrow takes a second to load

    settings = installation.load(config)
    installation.check_control(settings)
    with installation.at_work(settings):
        report = back_up(settings.storage.data_dir, folder, SystemClock())
    if as_json:
        show_json(report._asdict())
    else:
        size = f"{counted(report.files, 'file')}, {counted(report.size, 'byte')}"
        say(
            f"{size}, of {'region' if len(report.regions) == 1 else 'regions'} {', '.join(report.regions) or 'none'} are in {folder}."
        )


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
    """Put a backup in the place of the data directory. Refuses while a gateway serves that, or a command works on it: stop it first.

    Whoever was erased since the backup is erased from it again, and what was decided since holds: suppressions, withdrawals, restrictions,
    legal holds as they are now, API keys made and revoked, a rotated master key. Only then it takes its place. What was rectified since is
    as it was in the backup, and the command says how many requests that are. Regions that the backup does not know stay as they are.

    The replaced directory stays beside it as `<name>.before-restore`. Nobody is erased from that: delete it when all is well.
    """
    from consentryd.storage.restore import place_for_old  # noqa: PLC0415 -- Arrow takes a second to load
    from consentryd.storage.restore import restore as run  # noqa: PLC0415

    settings = installation.load(config)
    root = settings.storage.data_dir
    place_for_old(root)
    purposes = Policy(settings.consent).purposes.by_name

    def keeps(purpose: str) -> bool:
        return purpose in purposes and purposes[purpose].on_withdrawal == "keep"

    if settings.keys.master is None and not (root / DEFAULT_FILE).exists():
        raise ConfigError(f"{root / DEFAULT_FILE} is missing: put the master key there that was in use when the backup was made.")
    master = load_master(settings.keys.master, root, os.environ)
    report = run(root, folder, master, SystemClock(), since, keeps)
    if as_json:
        replaced = None if report.replaced is None else str(report.replaced)
        show_json({**report._asdict(), "regions": [each._asdict() for each in report.regions], "replaced": replaced})
        return
    for each in report.regions:
        erased = f"{counted(each.subjects, 'erased person', 'erased people')} and {counted(each.events, 'event')} of theirs"
        say(f"{each.region}: restored; taken out again: {erased}.")
    if rectified := max((each.rectifications for each in report.regions), default=0):
        complain(
            f"Since the backup: {counted(rectified, 'rectification')}. To be made again, for what was corrected is as it was."
        )
    for region in report.kept:
        say(f"{region}: not in the backup; it stays as it was.")
    if not report.keys_followed:
        complain(
            "API keys are those of the backup: nothing tells which were made and revoked since. Look at `consentry keys list`."
        )
    if report.replaced is not None:
        say(f"What was there before is in {report.replaced}. Nobody will be erased from that: delete it when all is well.")
