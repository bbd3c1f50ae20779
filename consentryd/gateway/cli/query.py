"""`consentry query`: a question asked of what is stored here."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from decimal import Decimal
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer
from rich.table import Table
from rich.text import Text

from consentryd.config.settings import Settings
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import counted, say, show, shown
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.gateway.cli.person import OPERATOR
from consentryd.gateway.document import parse
from consentryd.model.clock import SystemClock
from consentryd.model.error import BadRequest, ConfigError
from consentryd.storage.location import CONTROL
from consentryd.storage.saved import SavedStore

if TYPE_CHECKING:
    from consentryd.analytics.engine import Engine

#: What results have in common, and what is shown in another way.
_COMMON: Final = frozenset({
    "kind", "query_id", "definition_hash", "site", "resolved_range", "timezone", "generated_at", "watermark", "sampling",
    "min_group_size", "suppressed_groups", "warnings",
})  # fmt: skip
SPARKS: Final = "▁▂▃▄▅▆▇█"


class Form(StrEnum):
    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def query(
    question: Annotated[
        str,
        typer.Argument(
            help="A file with the query as JSON, `-` for standard input, or the name of a saved query.", metavar="FILE|NAME"
        ),
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    site: Annotated[str, typer.Option("--site", help="The site to ask about.", metavar="NAME")] = installation.FIRST_SITE,
    form: Annotated[Form, typer.Option("--format", "-f", help="How to print the answer.")] = Form.TABLE,
    table: Annotated[
        str | None,
        typer.Option("--table", help="Print one of the answer's tables only, by the title above it.", metavar="TITLE"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Answer a query from the log and the lake, as `POST /v1/query` does, and print a table.

    A query is JSON: `{"kind": "trends", "series": [{"event": "page_viewed", "math": "unique"}], "range": {"from": "-7d"}}`.
    docs/analytics/ has a page for every kind. The gateway may run meanwhile.
    """
    from consentryd.analytics import format as forms  # noqa: PLC0415 -- Arrow and DuckDB take a second to load
    from consentryd.analytics.kinds.person import PersonQuery  # noqa: PLC0415 -- the same
    from consentryd.analytics.query import read  # noqa: PLC0415 -- the same

    if table is not None and (as_json or form is Form.JSON):
        raise ConfigError("JSON has all tables of an answer: leave out `--table`.")
    settings = installation.load(config)
    parsed = read(_read(question, settings, site))
    if isinstance(parsed, PersonQuery):
        note_use(settings, [int(parsed.subject)], "report on one subject", site)
    with ExitStack() as stack:
        engine = open_engine(settings, stack)
        check_site(settings, engine, site)
        result = engine.ask(parsed, site, SystemClock().now())
    if as_json or form is Form.JSON:
        sys.stdout.write(forms.encode(result, forms.JSON).decode() + "\n")
    elif form is Form.CSV:
        sys.stdout.write(forms.encode(result, forms.CSV, table).decode())
    elif table is not None:
        show_rows(result.table(table))
    else:
        show_result(result.model_dump(), result.sheets())


def open_engine(settings: Settings, stack: ExitStack) -> Engine:
    """An engine over the regions that hold something here; `stack` closes it. Raises `ConfigError` if none does."""
    from consentryd.analytics.audience import AudienceBook  # noqa: PLC0415 -- the same
    from consentryd.analytics.engine import Engine  # noqa: PLC0415 -- the same
    from consentryd.storage.delta import DeltaLake  # noqa: PLC0415 -- the same
    from consentryd.storage.reader import Reader  # noqa: PLC0415 -- the same
    from consentryd.storage.retention import analysed_days  # noqa: PLC0415 -- the same

    folders = installation.regions(settings)
    if not folders:
        raise ConfigError("Nothing is stored here yet.")
    memory, threads = f"{settings.analytics.memory_mb}MB", settings.analytics.threads
    readers = {
        folder.name: stack.enter_context(closing(Reader(folder.root, DeltaLake(folder.root), memory=memory, threads=threads)))
        for folder in folders
    }
    saved = stack.enter_context(closing(SavedStore(settings.storage.data_dir / CONTROL, SystemClock())))
    book = AudienceBook(saved, {folder.name: folder.root for folder in folders})
    return Engine(readers, settings.analytics, book, partial(analysed_days, settings))


def check_site(settings: Settings, engine: Engine, site: str) -> None:
    """Raises `ConfigError` for a site of which there is neither a key nor an event: its name is misspelt."""
    with installation.control(settings) as control:
        keys = control.keys()
    sites = sorted({key.site for key in keys})
    if site not in sites and not engine.holds(site, SystemClock().now()):
        raise ConfigError(f"Nothing is stored of a site {site}; there are {', '.join(sites) or 'no keys of any'}.")


def note_use(settings: Settings, subjects: Sequence[int], why: str, site: str) -> None:
    """On record, as for a key that asks over HTTP, before anything is shown."""
    from consentryd.rights.usage import UsageRecord  # noqa: PLC0415 -- the same

    regions = {folder.name: folder.root for folder in installation.regions(settings)}
    with installation.at_work(settings):
        UsageRecord(regions, SystemClock(), lambda: secrets.token_hex(32)).note_subjects(subjects, why, OPERATOR, site)


def show_result(result: dict[str, Any], sheets: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Lines over time as sparklines with their totals, everything else as its single numbers and its tables."""
    if result["kind"] == "trends":
        _show_lines(result)
    else:
        _show_facts(result)
        for title, rows in sheets.items():
            if title and not rows:
                continue
            if title:
                say(f"\n{title}")
            show_rows(rows)
    for warning in result["warnings"]:
        say(f"{warning['message']} ({warning['count']})", style="yellow")
    if result["suppressed_groups"]:
        say(f"Too small to be shown: {counted(result['suppressed_groups'], 'group')}.", style="yellow")


def show_rows(rows: Sequence[dict[str, Any]]) -> None:
    """Rows of one shape as a table. Columns that are named by numbers, such as ages, are shaded by their values: a heatmap."""
    names = [name for name in dict.fromkeys(name for row in rows for name in row) if name != "rest" or any(map(_is_rest, rows))]
    top = max((_size(row.get(name)) for row in rows for name in names if name.isdigit()), default=0.0)
    table = Table(*names, box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*(_shaded(row.get(name), top if name.isdigit() else 0.0) for name in names))
    show(table)


def _is_rest(row: Mapping[str, Any]) -> bool:
    return row.get("rest") is True


def _shaded(value: Any, top: float) -> Text:
    """On a ground the greener, the closer the value is to the top one; terminals without colours show the text alone."""
    share = _size(value) / top if top > 0 else 0.0
    return Text(shown(_cell(value)), style=f"on rgb(0,{round(40 + 110 * share)},0)" if share > 0 else "")


def _size(value: Any) -> float:
    """A number, or an amount written as a text; 0 of all else, and below 0."""
    try:
        return max(0.0, float(value))
    except (TypeError, ValueError):
        return 0.0


def _show_facts(result: dict[str, Any]) -> None:
    """What a result says of the whole, one line each; without what every result has."""
    for name, value in result.items():
        if name in _COMMON:
            continue
        if isinstance(value, dict) and value and all(isinstance(each, str | int | float | None) for each in value.values()):
            say(f"{name}: {', '.join(f'{key} {_cell(each)}' for key, each in value.items())}")
        elif isinstance(value, str | int | float) or (isinstance(value, list) and value and all(map(_is_text, value))):
            say(f"{name}: {', '.join(value) if isinstance(value, list) else _cell(value)}")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _show_lines(result: dict[str, Any]) -> None:
    from consentryd.analytics.question import ResolvedRange  # noqa: PLC0415 -- loaded with the answer

    span = ResolvedRange(**result["resolved_range"])
    say(f"{span.days} by {span.interval}, {result['timezone']}")
    lines = result["series"]
    over_time = any(line["values"] for line in lines)
    compared = any(line["compared_to"] is not None for line in lines)
    names = [
        "series",
        "group",
        *(["over time", "last"] if over_time else []),
        "total",
        *(["before", "change"] if compared else []),
    ]
    table = Table(*names, box=None, padding=(0, 2, 0, 0))
    for line in lines:
        values = [point["value"] for point in line["values"]]
        cells = [sparkline(values), _cell(values[-1]) if values else ""] if over_time else []
        cells += [_cell(line["total"]), *(_before(line) if compared else [])]
        table.add_row(line["name"], _group(line), *cells)
    show(table)


def _group(line: Mapping[str, Any]) -> str:
    from consentryd.analytics.breakdown import joined  # noqa: PLC0415 -- loaded with the answer

    if line["group"] is None:
        return ""
    return joined(line["group"]) + (" (the rest)" if line["rest"] else "")


def _before(line: Mapping[str, Any]) -> list[str]:
    """The total of the earlier range, and by how much of it this one is more or less."""
    total, before = line["total"], line["compared_total"]
    base = abs(float(before or 0))  # an amount of nothing is the text `0.0000`
    change = f"{(float(total) - float(before)) / base:+.1%}" if total is not None and base else "-"
    return [_cell(before), change]


def sparkline(values: Sequence[Any]) -> str:
    """A bar for each value from 0 to the largest; a dot where there is none."""
    top = max((float(value) for value in values if value is not None), default=0.0)
    return "".join("·" if value is None else _bar(float(value), top) for value in values)


def _bar(value: float, top: float) -> str:
    if top <= 0 or value <= 0:
        return SPARKS[0]
    return SPARKS[min(len(SPARKS) - 1, round(value / top * (len(SPARKS) - 1)))]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.4g}" if abs(value) < 1 else f"{value:,.2f}"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, list | tuple) and value and all(isinstance(each, float) for each in value):
        return f"[{', '.join(map(_cell, value))}]"
    return str(value) if isinstance(value, str | Decimal) else orjson.dumps(value, default=str).decode()


def _read(question: str, settings: Settings, site: str) -> Any:
    if question == "-":
        return _parsed(sys.stdin.buffer.read(), "Standard input")
    path = Path(question)
    if path.exists() and not path.is_dir():  # a pipe will do: `consentry query <(...)`
        return _parsed(path.read_bytes(), question)
    with closing(SavedStore(settings.storage.data_dir / CONTROL, SystemClock())) as store:
        for saved in [*store.all(site, "query"), *store.all(site, "funnel")]:
            if question in {saved.name, saved.id}:
                return orjson.loads(saved.body)["definition"]
    raise ConfigError(f"There is neither a file nor a saved query {question}.")


def _parsed(text: bytes, name: str) -> Any:
    try:
        return parse(text)
    except BadRequest as error:
        raise ConfigError(error.message.replace("The body", name)) from None
