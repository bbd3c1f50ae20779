"""Running analysts' SQL: checked, then on a connection that can read nothing but the region's files, within time, memory and rows."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from consentryd.analytics.control import Control
from consentryd.analytics.currency import Rates
from consentryd.analytics.region_view import RegionView, Span
from consentryd.analytics.rules import Rules
from consentryd.analytics.sandbox.check import check_sql
from consentryd.analytics.sandbox.plain import plain_columns, plain_times
from consentryd.analytics.sandbox.view import views
from consentryd.model.error import Unprocessable
from consentryd.storage.duck import duck
from consentryd.storage.reader import Snapshot


class SqlAnswer(NamedTuple):
    """At most as many rows as allowed; `more` says that there are others."""

    table: pa.Table
    more: bool


def answer_sql(
    sql: str, snapshot: Snapshot, rules: Rules, nonce: int, control: Control, rows: int, most_bytes: int, rates: Rates
) -> SqlAnswer:
    """Raises `Unprocessable` for what is not allowed, wrong, or too expensive; `Cancelled`."""
    check_sql(sql)
    connection = snapshot.connection
    view = RegionView("", snapshot, rules)
    for name, statement in views(nonce, rates).items():
        connection.execute(f"CREATE VIEW {name} AS {view.named(None, statement, Span())}")
    snapshot.lock()
    try:
        with control.running(connection):
            found = plain_times(plain_columns(connection.sql(sql).limit(rows + 1)).to_arrow_table())
    except duck().IOException:
        raise Unprocessable("invalid", "The statement would read something else than the views.", field="sql") from None
    except _refusals() as error:
        raise Unprocessable("invalid", _told(error), field="sql") from None
    if found.nbytes > most_bytes:
        raise Unprocessable("too_expensive", "The answer would be too large: ask for less of each row.", limit_bytes=most_bytes)
    return SqlAnswer(found.slice(0, rows), found.num_rows > rows)


def _refusals() -> tuple[type[Exception], ...]:
    found = duck()
    return found.ProgrammingError, found.DataError, found.NotSupportedError, found.InvalidInputException


def _told(error: Exception) -> str:
    """What DuckDB says of the mistake, its first line: it speaks of the statement and the views' columns."""
    return str(error).partition("\n")[0][:300]
