"""`consentry privacy uses`."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

import typer
from rich.table import Table

from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import say, show, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.gateway.cli.person import SitesOption, choose_sites
from consentryd.model.clock import SystemClock


def uses(
    limit: Annotated[int, typer.Option(help="How many of the newest.", min=1, max=1000)] = 100,
    before: Annotated[
        str | None, typer.Option(help="Only older ones than the last page's; it names this.", metavar="MARK")
    ] = None,
    site: SitesOption = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Show who used people's data: which key, when, why, and the commitments to whom it was about. Newest first.

    Read from the regions' ledgers, which `consentry ledger verify` holds against their signed checkpoints. Needs no master key.
    """
    from consentryd.rights.usage import UsageRecord  # noqa: PLC0415 -- loaded when it is needed

    settings = installation.load(config)
    with installation.control(settings) as store:
        keys = store.keys()
    sites = choose_sites(settings, site)
    regions = {folder.name: folder.root for folder in installation.regions(settings)}
    page = UsageRecord(regions, SystemClock(), lambda: secrets.token_hex(32)).page(sites, limit, before)
    if as_json:
        show_json(page)
    else:
        _say(page, {key.id: key.name for key in keys})


def _say(page: dict[str, Any], names: dict[str, str]) -> None:
    if not page["uses"]:
        say("Nobody's data was used.")
        return
    table = Table("when", "who", "why", "people", "region", "entry", box=None, padding=(0, 2, 0, 0))
    for use in page["uses"]:
        who = f"{use['who']} ({names[use['who']]})" if names.get(use["who"]) else use["who"]
        if use["kind"] == "legal_hold":  # no entry says of whom
            why, people = f"legal hold{' lifted' if use['lifted'] else ''}: {use['reason']}", ""
        else:
            why, people = use["why"], str(use.get("people") or len(use["commitments"]) or "")
        table.add_row(use["at"][:19], who, why, people, use["region"], str(use["entry"]))
    show(table)
    if page["next"]:
        say(f"Older ones: --before {page['next']}")
