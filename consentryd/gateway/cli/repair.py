"""`consentry repair`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import complain, counted, say, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.model.clock import SECOND, SystemClock
from consentryd.model.error import ConfigError
from consentryd.storage.roster import forget_region, gone_regions


def repair(
    region: Annotated[str, typer.Argument(metavar="REGION", help="The region whose database lost its end.")],
    config: ConfigOption = DEFAULT_CONFIG,
    yes: Annotated[bool, typer.Option("--yes", help="Do it. Without, the command only says what is lost.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Go on with a region's database that lost its end (its `-wal`, for one) while the lake holds more, and of which there is no backup.

    `consentry restore` is better wherever there is one. What was only in the lost part stays lost: choices, requests of people,
    suppressions, holds, ids of events, who is who. Events in the lake of people who first came then are taken out: no
    request would find them any more. Numbers of log rows go on behind the lake's, and the region's ledger says what happened.

    Of a region whose database is gone altogether, and of which there is no backup, all is lost; with `--yes` it begins anew, empty.

    Refuses while a gateway serves the data directory. The database stays as it was in `<data directory>.before-repair`: nobody is erased
    from that, so delete it when all is well.
    """
    from consentryd.storage import repair as storage  # noqa: PLC0415 -- Arrow takes a second to load

    settings = installation.load(config)
    root = settings.storage.data_dir
    if region in gone_regions(root, [region]):
        begin_anew(root, region, yes=yes, as_json=as_json)
        return
    if region not in {folder.name for folder in installation.folders(settings)}:
        raise ConfigError(f"No region {region} holds data here; the regions are {', '.join(settings.regions)}.")
    evidence = None
    if yes:
        loss, evidence = storage.repair(root, region, SystemClock())
    else:
        loss = storage.assess(root, region)
    if as_json:
        show_json({**loss._asdict(), "repaired": yes, "evidence": None if evidence is None else str(evidence)})
        return
    until = datetime.fromtimestamp(loss.known_until / SECOND, UTC)
    known = f"{until:%Y-%m-%d %H:%M:%S} UTC" if loss.known_until else "the beginning"
    say(f"{region}: the database ends at log row {loss.last}, the lake at {loss.sealed}; nothing is known after {known}.")
    say(
        f"{'Taken out' if yes else 'To be taken out'}: {counted(loss.events, 'event')} in the lake "
        f"of {counted(loss.subjects, 'person', 'people')} whom nothing leads to."
    )
    complain(
        f"Choices and requests of people since {known} are lost. Repeat the requests from your own records: a withdrawal or an erasure "
        "that was confirmed is not in force any more."
    )
    if evidence is None:
        say(f"Nothing was changed. `consentry repair {region} --yes` does it; a gateway starts then.")
    else:
        say(f"The database as it was is in {evidence}. Nobody will be erased from that: delete it when all is well.")


def begin_anew(root: Path, region: str, *, yes: bool, as_json: bool) -> None:
    """A region without a database: nothing is left to go on with."""
    if yes:
        forget_region(root, region)
    if as_json:
        show_json({"region": region, "gone": True, "repaired": yes})
        return
    complain(
        f"{region}: the database is gone, and with it all events that were not in its lake, choices, requests, suppressions, holds and the "
        "ledger. Repeat requests and withdrawals from your own records: none that was confirmed is in force any more."
    )
    if yes:
        say(
            "The region begins anew with the next start. A folder of it that is still there may keep that from starting: move it away."
        )
    else:
        say(f"Nothing was changed. `consentry repair {region} --yes` lets the region begin anew.")
