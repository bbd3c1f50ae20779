"""`POST /v1/sql`: read-only SQL over the views `events`, `sessions` and `subjects` of the key's site."""

from __future__ import annotations

import secrets
from typing import Any, Final

import orjson
import pyarrow as pa
from aiohttp import web

from consentryd.analytics import format as forms
from consentryd.analytics.control import Control
from consentryd.analytics.query import checked
from consentryd.analytics.sandbox.answer import SqlAnswer
from consentryd.analytics.sandbox.model import STATEMENT
from consentryd.gateway import document
from consentryd.gateway.answer import answer
from consentryd.gateway.auth import READING
from consentryd.gateway.door import DOOR
from consentryd.gateway.queries import gone_of, read_body, wanted
from consentryd.gateway.services import SERVICES

_NONCE_BITS: Final = 62


async def post_sql(request: web.Request) -> web.StreamResponse:
    services = request.app[SERVICES]
    key = request.app[DOOR].check_reader(request, services.clients.caller(request), READING)
    statement = checked(STATEMENT, document.parse(await read_body(request)))
    querying = services.require_querying()
    control = Control(querying.settings.sql_seconds)
    now, nonce = services.clock.now(), secrets.randbits(_NONCE_BITS)
    media_type = wanted(request.headers.get("Accept"), forms.MEDIA_TYPES)

    def work() -> tuple[bytes, bool]:
        """The answer as it is sent, written here for that may take as long as finding it, and whether there were more rows."""
        found = querying.engine.sql(
            statement.sql, key.site, now, control, nonce=nonce, region=statement.region, least=key.min_group_size
        )
        return encode(found, media_type), found.more

    written, more = await querying.run(key, control, gone_of(request), work)
    response = answer(written, media_type)
    if media_type != forms.JSON:
        response.headers["X-More-Rows"] = "true" if more else "false"
    return response


def encode(found: SqlAnswer, media_type: str) -> bytes:
    """The answer in one of `forms.MEDIA_TYPES`."""
    if media_type == forms.JSON:
        return orjson.dumps(describe(found), default=str, option=orjson.OPT_NON_STR_KEYS)
    return forms.encode_table(found.table, media_type)


def describe(found: SqlAnswer) -> dict[str, Any]:
    """`columns` with name and type, `rows` as lists, and whether there were more."""
    return {
        "columns": [{"name": field.name, "type": str(field.type)} for field in found.table.schema],
        "rows": [list(row) for row in _rows(found.table)],
        "more": found.more,
    }


def _rows(table: pa.Table) -> Any:
    return zip(*(column.to_pylist() for column in table.columns), strict=True)
