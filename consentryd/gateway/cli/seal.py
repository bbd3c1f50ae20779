"""`consentry seal`."""

from __future__ import annotations

from typing import Annotated, Final
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import say, show, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.model.error import ConfigError

WAIT_S: Final = 60.0


def seal(
    config: ConfigOption = DEFAULT_CONFIG,
    region: Annotated[str | None, typer.Option(help="Only this region.", metavar="NAME")] = None,
    as_json: JsonOption = False,
) -> None:
    """Move what the log holds into the lake now, rather than when `storage.seal_events` or `storage.seal_interval_s` says.

    Useful before a backup or before another program reads the lake's files. The gateway may run meanwhile; nothing is lost or doubled
    if this command is killed. Waits up to a minute for another seal to end.
    """
    from consentryd.storage.delta import DeltaLake  # noqa: PLC0415 -- Arrow takes a second to load
    from consentryd.storage.seal import Sealer  # noqa: PLC0415 -- the same

    settings = installation.load(config)
    if region is not None and region not in settings.regions:
        raise ConfigError(f"There is no region {region}; the regions are {', '.join(settings.regions)}.")
    folders = [folder for folder in installation.regions(settings) if region in {None, folder.name}]
    zone = ZoneInfo(settings.analytics.timezone)
    with installation.at_work(settings):
        reports = {
            folder.name: Sealer(folder.root, DeltaLake(folder.root, promoted=settings.analytics.promoted), zone=zone).run(
                wait_s=WAIT_S
            )
            for folder in folders
        }
    if as_json:
        show_json([{"region": name, "events": report.events, "files": report.files} for name, report in reports.items()])
    elif not reports:
        say("Nothing is stored yet.")
    else:
        table = Table("region", "events sealed", "files", "seconds", box=None)
        for name, report in reports.items():
            table.add_row(name, f"{report.events:,}", str(report.files), f"{report.seconds:.2f}")
        show(table)
