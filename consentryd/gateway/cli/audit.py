"""`consentry privacy audit`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import bar, counted, say, show, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption

#: Kinds of findings that are shown to people; `--json` has all.
SHOWN: Final = 50
_LOGS: Final = "log files"
_COLUMNS: Final = ("place", "region", "site", "event", "path", "detector", "shape")


def audit(
    config: ConfigOption = DEFAULT_CONFIG,
    logs: Annotated[
        list[Path] | None,
        typer.Option(
            help="A log file, or a folder of them, to look through as well; repeatable. `rights.scan_dir` always is.", exists=True
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Look through everything stored (log, lake, dead letters) and log files for personal data.

    All detectors look, whatever the rules keep. Shows where how much was found, with one form of it (letters as `a`, digits as `9`),
    never a value. Exits with 1 if anything was found. The gateway may run meanwhile; it does the same on its own every
    `privacy.audit_interval_hours`.
    """
    from consentryd.rights.audit import audit as run  # noqa: PLC0415 -- Arrow takes a second to load

    settings = installation.load(config)
    scanned = [*(logs or ()), *([settings.rights.scan_dir] if settings.rights.scan_dir is not None else ())]
    regions = {folder.name: folder.root for folder in installation.regions(settings)}
    with bar("Looking at", quiet=as_json) as progress:
        report = run(regions, settings.privacy, scanned, progress).to_json()
    if as_json:
        show_json(report)
    else:
        _say(report)
    if report["findings"]:
        raise typer.Exit(1)


def _say(report: dict[str, Any]) -> None:
    looked_at = ", ".join(f"{count:,} in {place}" for place, count in report["looked_at"].items() if count)
    say(f"Looked at: {looked_at or 'nothing; nothing is stored yet'}.")
    if not report["findings"]:
        say("Nothing was found.", "green")
        return
    table = Table("count", *_COLUMNS, box=None, padding=(0, 2, 0, 0))
    for hit in report["hits"][:SHOWN]:
        table.add_row(f"{hit['count']:,}", *(str(hit[column]) for column in _COLUMNS))
    show(table)
    if len(report["hits"]) > SHOWN:
        say(f"... and {counted(len(report['hits']) - SHOWN, 'kind')} more; --json shows all.")
    if any(hit["place"] != _LOGS for hit in report["hits"]):
        say(
            "docs/scrubbing.md tells how rules and `privacy.allow` keep it out from now on, and `consentry privacy erase` how it goes."
        )
    if any(hit["place"] == _LOGS for hit in report["hits"]):
        say("Log files are written by other programs: have them log less, and delete these.")
