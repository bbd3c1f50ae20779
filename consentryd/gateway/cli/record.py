"""`consentry privacy record`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer

from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import bar
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption
from consentryd.model.clock import SystemClock


class Format(StrEnum):
    MD = "md"
    JSON = "json"


def record(
    config: ConfigOption = DEFAULT_CONFIG,
    form: Annotated[Format, typer.Option("--format", help="Markdown for people, or JSON for programs.")] = Format.MD,
    as_json: Annotated[bool, typer.Option("--json", help="The same as `--format json`.")] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write it there instead of printing it.", metavar="FILE")
    ] = None,
) -> None:
    """Make the record of processing (GDPR article 30) and the data map from the settings and from everything that is stored.

    Sites, events and their properties with kinds and shares, purposes, retention, regions, recipients, rules of redaction with counts,
    keys and measures. Every stored event is read once; no value of one is shown. docs/record.md has an example.
    """
    from consentryd.rights.record import make_record  # noqa: PLC0415 -- Arrow takes a second to load
    from consentryd.rights.record_page import page  # noqa: PLC0415 -- the same

    settings = installation.load(config)
    regions = {folder.name: folder.root for folder in installation.regions(settings)}
    with bar("Reading", quiet=False) as progress:
        made = make_record(settings, regions, SystemClock().now(), progress)
    if as_json or form is Format.JSON:
        text = orjson.dumps(made, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
    else:
        text = page(made)
    if output is None:
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        output.write_text(text, encoding="utf-8")
