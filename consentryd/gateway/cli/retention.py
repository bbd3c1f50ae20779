"""`consentry privacy retention`: what is past its time."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import counted, say, show, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.model.clock import SystemClock


def retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Delete the events that are older than `site.retention` and `sites.NAME.retention` let them be. The gateway does it once a day.

    What is still in the log is sealed first; `--dry-run` seals nothing, and tells how many events there it did not look at. Whole files go
    where they can, others are rewritten; the region's ledger records how much went.
    """
    from consentryd.storage.database import open_database, transaction  # noqa: PLC0415 -- Arrow takes a second to load
    from consentryd.storage.delta import DeltaLake  # noqa: PLC0415
    from consentryd.storage.hold import held_subjects  # noqa: PLC0415
    from consentryd.storage.retention import note_retention, retain  # noqa: PLC0415
    from consentryd.storage.seal import Sealer  # noqa: PLC0415

    settings, now = installation.load(config), SystemClock().now()
    found, waiting = [], 0
    with installation.at_work(settings):
        for folder in installation.regions(settings):
            with closing(open_database(folder.database, "region", readonly=True)) as connection:
                waiting += connection.execute("SELECT coalesce(sum(events), 0) FROM log").fetchone()[0]
            lake = DeltaLake(folder.root, promoted=settings.analytics.promoted)
            if not dry_run:
                Sealer(folder.root, lake, zone=ZoneInfo(settings.analytics.timezone)).run(wait_s=60.0)
            with closing(open_database(folder.database, "region", readonly=True)) as connection:
                held = partial(held_subjects, connection)
                report = retain(lake, settings, now, region=folder.name, held=held, dry_run=dry_run, wait_s=60.0)
            if report.events and not dry_run:
                with closing(open_database(folder.database, "region")) as connection, transaction(connection):
                    note_retention(connection, now, report)
            found += [
                {"region": folder.name, "site": site, "lane": lane, "events": count}
                for (site, lane), count in report.events.items()
            ]
    if as_json:
        show_json({"dry_run": dry_run, "deleted": found, "not_looked_at": waiting if dry_run else 0})
        return
    if dry_run and waiting:
        say(f"Not looked at: {counted(waiting, 'event')} in the log; `consentry seal` moves them into the lake.")
    table = Table("region", "site", "lane", "events that would go" if dry_run else "events deleted", box=None)
    for each in found:
        table.add_row(str(each["region"]), str(each["site"]), str(each["lane"]), f"{each['events']:,}")
    show(table) if found else say("Nothing is past its time.")
