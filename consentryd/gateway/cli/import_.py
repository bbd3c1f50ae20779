"""`consentry import`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Final, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from consentryd.config.settings import Settings
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import complain, counted, say, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.gateway.imports.combined import CombinedReader
from consentryd.gateway.imports.fingerprint import Fingerprint
from consentryd.gateway.imports.importer import Importer, Summary
from consentryd.gateway.imports.jsonl import JsonlReader
from consentryd.gateway.imports.source import Source
from consentryd.model.error import ConfigError
from consentryd.model.key import ApiKey, KeyKind
from consentryd.model.outcome import Outcome
from consentryd.storage.control import check_site_name
from consentryd.storage.keys import open_region_keys
from consentryd.storage.master import load_master
from consentryd.storage.roster import require_regions
from consentryd.storage.tenancy import moving_in, serving

STDIN: Final = "-"
#: Faulty lines shown to people; `--json` lists up to 1,000.
SHOWN: Final = 20

NOTHING_READ: Final = (
    "  no line is what is read here: one event as a JSON object in each line, or an access log in the combined format, as UTF-8. "
    "A JSON array becomes such lines with `jq -c '.[]'`."
)

READERS: Final[dict[str, type[JsonlReader | CombinedReader]]] = {"jsonl": JsonlReader, "combined": CombinedReader}


def import_(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Files, plain or compressed by gzip or zstd; `-` is standard input.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    site: Annotated[str, typer.Option(help="The site that the events belong to.", metavar="NAME")] = installation.FIRST_SITE,
    region: Annotated[str | None, typer.Option(help="Put all events into this region.", metavar="NAME")] = None,
    form: Annotated[
        Literal["auto", "jsonl", "combined"],
        typer.Option("--format", help="What the files hold; auto: told by the first line that fits."),
    ] = "auto",
    as_json: JsonOption = False,
) -> None:
    """Import event files or a web server's access logs, through the same pipeline as a server key's requests.

    `jsonl` is one native event a line, with its consent in `context.consent` and, where it has one, its `region`. `combined` is the
    access log of Apache and nginx, with or without a virtual host in front: each page served is counted in the anonymous lane, because
    nobody in a log was asked; images, scripts, redirects and errors are left out, bots dropped.

    Can be broken off and repeated, also beside a running gateway: within `storage.dedup_days` an event that is there already is a
    `duplicate`. Lines that cannot be read or are refused are reported by their number, never by what stands there; then the exit code
    is 1.
    """
    settings = installation.load(config)
    installation.check_control(settings)
    check_site_name(site)
    if region is not None and region not in settings.regions:
        raise ConfigError(f"There is no region {region}; the regions are {', '.join(settings.regions)}.")
    key = ApiKey("import", KeyKind.SERVER, site, "import", region, (), 0, None)
    for name in files:  # so that one that cannot be read stops the import before it begins; a pipe can be opened only once
        if not Path(name).is_fifo():
            _open(name).close()
    summaries = asyncio.run(_run(settings, key, files, form))
    if as_json:
        show_json([described(name, summary) for name, summary in summaries])
    else:
        for name, summary in summaries:
            _tell(name, summary)
    if any(summary.faulty for _, summary in summaries):
        raise typer.Exit(1)


def _open(name: str) -> BinaryIO:
    return os.fdopen(os.dup(sys.stdin.fileno()), "rb") if name == STDIN else Path(name).open("rb")


async def _run(settings: Settings, key: ApiKey, files: list[str], form: str) -> list[tuple[str, Summary]]:
    from consentryd.gateway.compose import open_services  # noqa: PLC0415 -- half a second that --help need not wait
    from consentryd.gateway.exposition import Worker  # noqa: PLC0415
    from consentryd.gateway.logs import open_logger  # noqa: PLC0415

    secret = fingerprint_key(settings)
    logger = open_logger(settings.server.model_copy(update={"log_level": "error"}))
    summaries = []
    async with open_services(settings, None, Worker(), logger) as services:
        with _progress() as progress:
            for name in files:
                fingerprint = Fingerprint(secret)
                reader = None if form == "auto" else READERS[form](fingerprint)
                importer = Importer(services.collector, key, services.clock, fingerprint, reader)
                with _open(name) as file:
                    summaries.append((name, await importer.run(Source(file), _bar(progress, name, file))))
    return summaries


def _bar(progress: Progress, name: str, file: BinaryIO) -> Callable[[int], None]:
    """A bar for one file, moved by the bytes done; without an end where the size is unknown."""
    size = os.fstat(file.fileno()).st_size or None
    task = progress.add_task("standard input" if name == STDIN else Path(name).name, total=size)
    return lambda done: progress.update(task, completed=done)


def fingerprint_key(settings: Settings) -> bytes:
    """The secret that ids of lines without one are made with: the first region's, so that it is as safe as the region's own."""
    data = settings.storage.data_dir
    region = next(iter(settings.regions))
    with serving(data), moving_in(data):
        require_regions(data, [region])
        return open_region_keys(data, region, load_master(settings.keys.master, data, os.environ)).dedup


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not console.is_terminal)


def described(name: str, summary: Summary) -> dict[str, Any]:
    return {
        "file": name,
        "lines": summary.lines,
        "outcomes": {str(outcome): count for outcome, count in sorted(summary.outcomes.items()) if count},
        "reasons": {str(reason): count for reason, count in sorted(summary.reasons.items())},
        "not_a_page": summary.not_a_page,
        "malformed": summary.malformed,
        "truncated": summary.truncated,
        "faults": [{"line": line, "fault": fault} for line, fault in summary.faults],
    }


def _tell(name: str, summary: Summary) -> None:
    parts = [f"{count:,} {outcome}" for outcome, count in summary.outcomes.most_common() if count]
    if summary.not_a_page:
        parts.append(counted(summary.not_a_page, "no page view"))
    if summary.malformed:
        parts.append(f"{summary.malformed:,} malformed")
    say(f"{name}: {counted(summary.lines, 'line')}: {', '.join(parts) or 'nothing to import'}")
    for reason, count in summary.reasons.most_common():
        say(f"  {count:,} {reason}")
    if summary.malformed == summary.lines > 0:
        complain(NOTHING_READ)
    else:
        _tell_faults(summary)
    if summary.truncated:
        complain("  the compressed data is damaged or ends too early; everything before that was imported")


def _tell_faults(summary: Summary) -> None:
    for line, fault in summary.faults[:SHOWN]:
        complain(f"  line {line}: {fault}")
    hidden = summary.malformed + summary.outcomes[Outcome.REJECTED] - min(SHOWN, len(summary.faults))
    if hidden > 0:
        complain(f"  and {counted(hidden, 'line')} more")
