"""`consentry events`: what is stored, and what was refused, for people."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

import orjson
import typer
from rich.table import Table
from rich.text import Text

from consentryd.config.settings import Settings
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import complain, fits, say, say_all, show, show_json, shown
from consentryd.gateway.cli.installation import RegionFolder
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption, SiteOption
from consentryd.model.clock import SECOND
from consentryd.storage import rejected
from consentryd.storage.database import open_database
from consentryd.storage.rejected import Letter

POLL_S: Final = 1.0
#: Between two looks of `--follow` at most so many events are shown; the rest is counted by `/metrics`.
FOLLOWED: Final = 1000
MAX_LAST: Final = 100_000

Row = dict[str, Any]


def events(
    config: ConfigOption = DEFAULT_CONFIG,
    site: SiteOption = None,
    last: Annotated[int, typer.Option("--last", "-n", min=1, max=MAX_LAST, help="How many of the newest.")] = 20,
    refused: Annotated[bool, typer.Option("--rejected", help="Show what was refused or dropped instead, and why.")] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on showing what arrives, until Ctrl-C.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the newest events of all regions as they are stored, oldest first.

    An event shows as soon as its sender has its answer. `lane` is `consented`, or `anonymous` for what was only counted: of that only the
    hour is kept, so that it stands where its hour begins, before all that came in it. Where a terminal is too narrow for a table, each event
    is a line. What is shown is all there is: no IP address, user agent or raw user id is stored.

    `--rejected` shows the dead letters: the shape of what was refused, kept for `storage.rejected_days`. With `--json` one JSON list;
    with `--follow --json` one JSON object a line. `--follow` looks once a second and shows the last 1,000 of what came; a line on standard
    error says where that may not be all.
    """
    settings = installation.load(config)
    with installation.control(settings) as store:
        keys = store.keys()
    with _Source(settings, site, refused) as source:
        if not follow:
            rows = source.newest(last)
            if as_json:
                show_json(rows)
            elif rows:
                _show_table(rows, refused)
            else:
                say(_nothing(site, {key.site for key in keys}, refused))
            return
        for row in source.following(last):
            show_json(row) if as_json else say(_line(row, refused))


class _Source:
    """The newest rows over all regions. Readers stay open, for they keep what they have converted."""

    def __init__(self, settings: Settings, site: str | None, refused: bool) -> None:
        self._settings, self._site = settings, site
        self._refused = refused
        self._readers: dict[str, Any] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def newest(self, count: int) -> list[Row]:
        regions = installation.regions(self._settings)
        if self._refused:
            letters = rejected.latest({region.name: self._letters(region, count) for region in regions}, count)
            return [_letter_row(region, letter) for region, letter in letters]
        rows = [row for region in regions for row in self._stored(region, count)]
        rows.sort(key=lambda row: (row["received_at"], row["time"]))
        return rows[-count:]

    def following(self, last: int) -> Iterator[Row]:
        """The `last` rows, then for ever each new one. Rows may look alike, so they are counted rather than recognised."""
        rows = self.newest(max(last, FOLLOWED))
        yield from rows[-last:]
        while True:
            known = Counter(map(_identity, rows))
            time.sleep(POLL_S)
            rows = self.newest(FOLLOWED)
            fresh = 0
            for row in rows:
                identity = _identity(row)
                if known[identity]:
                    known[identity] -= 1
                else:
                    fresh += 1
                    yield row
            if fresh == FOLLOWED:
                complain("Perhaps more came since the last look than are shown.")

    def _letters(self, region: RegionFolder, count: int) -> list[Letter]:
        with closing(open_database(region.database, "region", readonly=True)) as connection:
            return rejected.newest(connection, count, self._site)

    def _stored(self, region: RegionFolder, count: int) -> Iterator[Row]:
        if region.name not in self._readers:
            self._readers[region.name] = self._stack.enter_context(closing(_open_reader(region)))
        with self._readers[region.name].snapshot() as snapshot:
            rows = snapshot.newest(count, site=self._site).to_pylist()
        for row in rows:
            known = {name: value for name, value in row.items() if value is not None}
            known.update({name: orjson.loads(known[name]) for name in ("properties", "redactions") if name in known})
            if "revenue" in known:
                known["revenue"] = str(known["revenue"])
            yield {"region": region.name, **known}


def _open_reader(region: RegionFolder) -> Any:
    from consentryd.storage.delta import DeltaLake  # noqa: PLC0415 -- Arrow and DuckDB take a second to load
    from consentryd.storage.reader import Reader  # noqa: PLC0415 -- the same

    return Reader(region.root, DeltaLake(region.root))


def _letter_row(region: str, letter: Letter) -> Row:
    row = {"region": region, **letter._asdict(), "event": orjson.loads(letter.event)}
    return {**row, "received_at": datetime.fromtimestamp(letter.received_at / SECOND, UTC)}


def _identity(row: Row) -> bytes:
    return orjson.dumps(row, default=str)


_STORED: Final = ("received_at", "region", "site", "lane", "event", "country", "device", "page", "properties")
_REFUSED: Final = ("received_at", "region", "site", "outcome", "reason", "event")


def _nothing(site: str | None, sites: Collection[str], refused: bool) -> str:
    """That there is nothing; of a site without keys, which may be a mistyped one, also which sites have some."""
    of_site = "" if site is None else f" of site `{site}`"
    if site is not None and site not in sites:
        return (
            f"Nothing {'was refused' if refused else 'is stored'}{of_site}. The sites with keys are {', '.join(sorted(sites))}."
        )
    if refused:
        return f"Nothing{of_site} was refused."
    return f"Nothing{of_site} is stored yet. `consentry events --rejected` shows what was refused."


def _show_table(rows: list[Row], refused: bool) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in _REFUSED if refused else _STORED:
        # what may be long gives way first; nothing is broken into lines
        table.add_column(column, no_wrap=not (column in {"properties", "page"} or (refused and column == "event")))
    for row in rows:
        table.add_row(*(Text(shown(cell), no_wrap=True, overflow="ellipsis") for cell in _cells(row, refused)))
    if fits(table):
        show(table)
    else:
        say_all(_line(row, refused) for row in rows)


def _line(row: Row, refused: bool) -> str:
    return "  ".join(cell for cell in _cells(row, refused) if cell)


def _cells(row: Row, refused: bool) -> list[str]:
    shown = {
        **row,
        "received_at": row["received_at"].strftime("%Y-%m-%d %H:%M:%S"),
        "page": f"{row.get('host', '')}{row.get('path', '')}",
        "properties": _compact(row.get("properties")),
    }
    if refused:
        shown["event"] = _compact(row["event"])
    return [str(shown.get(column, "")) for column in (_REFUSED if refused else _STORED)]


def _compact(value: Any) -> str:
    return orjson.dumps(value).decode() if value else ""
