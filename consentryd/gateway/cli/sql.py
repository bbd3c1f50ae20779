"""`consentry sql`: read-only SQL over what is stored here."""

from __future__ import annotations

import secrets
import sys
from contextlib import ExitStack
from typing import Annotated

import typer

from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import say
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.gateway.cli.query import Form, check_site, open_engine, show_rows
from consentryd.model.clock import SystemClock


def sql(
    statement: Annotated[str, typer.Argument(help="One SELECT over events, sessions and subjects; `-` for standard input.")],
    config: ConfigOption = DEFAULT_CONFIG,
    site: Annotated[str, typer.Option("--site", help="The site to ask about.", metavar="NAME")] = installation.FIRST_SITE,
    region: Annotated[str | None, typer.Option("--region", help="Needed where there are several.", metavar="NAME")] = None,
    form: Annotated[Form, typer.Option("--format", "-f", help="How to print the rows.")] = Form.TABLE,
    as_json: JsonOption = False,
) -> None:
    """Run read-only SQL (DuckDB's) over the views of one site, as `POST /v1/sql` does.

    `events` has a row for each event, `sessions` for each session of a client, `subjects` for each subject. A subject is a number that
    means something within one statement only. Files, settings and the network are out of reach; docs/analytics/sql.md has the columns.
    """
    import orjson  # noqa: PLC0415 -- loaded with what follows

    from consentryd.analytics import format as forms  # noqa: PLC0415 -- Arrow and DuckDB take a second to load
    from consentryd.analytics.control import Control  # noqa: PLC0415 -- the same

    settings = installation.load(config)
    text = sys.stdin.read() if statement == "-" else statement
    with ExitStack() as stack:
        engine = open_engine(settings, stack)
        check_site(settings, engine, site)
        control = Control(settings.analytics.sql_seconds)
        found = engine.sql(text, site, SystemClock().now(), control, nonce=secrets.randbits(62), region=region)
    rows = found.table.to_pylist()
    if form is Form.CSV and not as_json:
        sys.stdout.write(forms.encode_table(found.table, forms.CSV).decode())
    elif as_json or form is Form.JSON:
        sys.stdout.write(orjson.dumps(rows, default=str, option=orjson.OPT_APPEND_NEWLINE).decode())
    else:
        show_rows(
            [
                {name: value if isinstance(value, int | float | str | None) else str(value) for name, value in row.items()}
                for row in rows
            ]
        )
    if found.more:
        say(
            f"There are more than {settings.analytics.sql_rows} rows; `analytics.sql_rows` sets how many are shown.",
            style="yellow",
        )
