"""Every kind of query, once: its model, and what answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from consentryd.analytics.asked import Asked
from consentryd.analytics.question import Envelope, Question
from consentryd.analytics.trends.answer import answer as answer_trends
from consentryd.analytics.trends.model import Trends, TrendsResult
from consentryd.model.error import BadRequest, Unprocessable

Query = Trends

ANSWERS: Final[Mapping[type[Question], Callable[[Any, Asked], Envelope]]] = {Trends: answer_trends}
RESULTS: Final[tuple[type[Envelope], ...]] = (TrendsResult,)

ADAPTER: Final[TypeAdapter[Question]] = TypeAdapter(Query)


def parse(body: bytes) -> Question:
    """A query from JSON. Raises `BadRequest`, and `Unprocessable` that names the first field at fault and lists all."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("bad_json", "The body is not JSON.") from None
    return read(value)


def read(value: Any) -> Question:
    """A query from JSON values. Raises `Unprocessable`."""
    try:
        return ADAPTER.validate_python(value)
    except ValidationError as error:
        problems = [_problem(each) for each in error.errors(include_url=False, include_context=False, include_input=False)]
        first = problems[0]
        raise Unprocessable(
            "invalid", f"`{first['field']}`: {first['problem']}.", field=first["field"], problems=problems[:20]
        ) from None


def _problem(error: Any) -> dict[str, str]:
    path = ".".join(str(part) for part in error["loc"] if not str(part).startswith("function-"))
    return {"field": path or "query", "problem": error["msg"].removeprefix("Value error, ").rstrip(".")}
