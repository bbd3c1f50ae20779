"""The endpoints that answer questions about what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pydantic import TypeAdapter

from consentryd.analytics import query
from consentryd.analytics.behind.point import POINT
from consentryd.analytics.format import MEDIA_TYPES
from consentryd.analytics.sandbox.model import STATEMENT
from consentryd.analytics.saved import SavedCohort, SavedQuery
from consentryd.gateway import saved, schemas
from consentryd.gateway.auth import READING
from consentryd.gateway.endpoint import Endpoint, Parameter
from consentryd.gateway.explanation import Supposition
from consentryd.gateway.model_schema import components, reference
from consentryd.gateway.queries import NDJSON, post_query, post_subjects
from consentryd.gateway.saved import Work
from consentryd.gateway.sql import post_sql
from consentryd.model.key import KeyKind
from consentryd.storage.saved import SavedType

_REQUESTS: Final[dict[str, TypeAdapter[Any]]] = {
    "Query": query.ADAPTER,
    "SavedQuery": TypeAdapter(SavedQuery),
    "SavedCohort": TypeAdapter(SavedCohort),
    "Statement": STATEMENT,
    "Supposition": TypeAdapter(Supposition),
    "Point": POINT,
}


_TRENDS: Final = {"kind": "trends", "series": [{"event": "signup_completed", "math": "unique"}], "range": {"from": "-7d"}}
_FUNNEL: Final = {"kind": "funnel", "steps": [{"event": "page_viewed"}, {"event": "signup_completed"}]}
_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "Query": _TRENDS,
    "SavedQuery": {"name": "Sign-up", "definition": _FUNNEL},
    "SavedCohort": {"name": "Signed up", "definition": {"type": "did", "event": "signup_completed"}},
    "Statement": {"sql": "SELECT event, count(*) AS events FROM events GROUP BY ALL ORDER BY ALL", "region": "eu"},
}


def query_schemas() -> dict[str, Any]:
    """What questions, suppositions and answers are made of, by name. Takes a second: they are many."""
    found = components(_REQUESTS, query.RESULTS)
    return {name: {**schema, "example": _EXAMPLES[name]} if name in _EXAMPLES else schema for name, schema in found.items()}


_ID: Final = Parameter("id", "Its id, or its name.", location="path", required=True)
_VERSION: Final = Parameter("version", "One of its versions; default: the newest.", {"type": "integer", "minimum": 1})
_TABLE: Final = Parameter(
    "table",
    "Of CSV, Arrow and Parquet: another table of the answer than its rows, by the title that `consentry query` shows above it.",
)
_SAVED: Final = {
    "type": "object",
    "required": ["id", "type", "name", "version"],
    "properties": {
        "id": {"type": "string"},
        "type": {"enum": ["query", "cohort", "funnel"]},
        "name": {"type": "string"},
        "version": {"type": "integer", "minimum": 1},
        "definition": {"type": "object", "nullable": True},
        "computed_at": {"type": "string", "nullable": True, "description": "When a cohort's members were looked up last."},
    },
}
_LIST: Final = {"type": "object", "required": ["saved"], "properties": {"saved": {"type": "array", "items": _SAVED}}}
_SUBJECTS: Final = {
    "type": "object",
    "required": ["subjects", "more"],
    "properties": {
        "subjects": {"type": "array", "items": {"type": "string"}},
        "more": {"type": "boolean"},
        "scores": {
            "type": "array",
            "description": "Of a prediction: each subject's chance, and the three features that move it most, in log-odds.",
            "items": {
                "type": "object",
                "properties": {
                    "chance": {"type": "number"},
                    "because": {
                        "type": "array",
                        "items": {"type": "object", "properties": {"feature": {"type": "string"}, "adds": {"type": "number"}}},
                    },
                },
            },
        },
    },
}
_WRITE: Final = (400, 401, 403, 409, 413, 415, 422, 429, 503)
_READ: Final = (401, 403, 429, 503)


def _saved(kind: SavedType, path: str, schema: str) -> Iterator[Endpoint]:
    """The endpoints of one type of saved things."""
    unless = " that nothing saved names" if kind == "cohort" else ""
    rows: tuple[tuple[str, str, str, Work, bool], ...] = (
        ("GET", path, f"Every saved {kind}, its newest version.", saved.read_all, False),
        ("POST", path, f"Saves a {kind} under a new name.", saved.create, True),
        ("GET", f"{path}/{{id}}", f"A saved {kind}, its newest version or another.", saved.read_one, False),
        ("PUT", f"{path}/{{id}}", f"The next version of a {kind}, perhaps under another name.", saved.replace, True),
        ("DELETE", f"{path}/{{id}}", f"Deletes a {kind}{unless}; its name is free again.", saved.delete, False),
        ("GET", f"{path}/{{id}}/versions", f"Every version of a {kind}, newest first.", saved.read_versions, False),
    )
    if kind == "cohort":
        rows += (
            ("POST", f"{path}/{{id}}/reckon", "Looks a dynamic cohort's members up now, for its history.", saved.reckon, False),
        )
    for method, where, summary, work, writes in rows:
        yield Endpoint(
            method=method,
            path=where,
            tag="Analytics",
            summary=summary,
            handler=saved.handle(kind, work),
            keys=READING,
            parameters=(_ID, _VERSION) if work is saved.read_one else (_ID,) if "{id}" in where else (),
            request=reference(schema) if writes else None,
            response=_LIST if work in {saved.read_all, saved.read_versions} else _SAVED,
            statuses=_WRITE
            if writes or work is saved.reckon
            else (*_READ, 409)
            if work is saved.delete
            else (400, *_READ)
            if work is saved.read_one
            else _READ,
        )


QUERY_ENDPOINTS: Final = (
    Endpoint(
        method="POST",
        path="/v1/query",
        tag="Analytics",
        summary="Answers a question about the key's site. `Accept` chooses JSON, CSV, Arrow, Parquet, or lines of progress and the result "
        f"({', '.join((*MEDIA_TYPES, NDJSON))}). Closing the request cancels it.",
        handler=post_query,
        keys=READING,
        parameters=(_TABLE,),
        request=reference("Query"),
        response={"oneOf": [reference(result.__name__) for result in query.RESULTS]},
        statuses=(400, 401, 403, 413, 415, 422, 429, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/query/{id}/subjects",
        tag="Analytics",
        summary="The subjects behind a number of an answer of the last week, at most 10,000. Written to the audit log.",
        handler=post_subjects,
        keys=frozenset({KeyKind.PRIVACY}),
        parameters=(Parameter("id", "The answer's `query_id`.", location="path", required=True),),
        request=reference("Point"),
        response=_SUBJECTS,
        statuses=(400, 401, 403, 413, 415, 422, 429, 503),
    ),
    Endpoint(
        method="POST",
        path="/v1/sql",
        tag="Analytics",
        summary="Read-only SQL over the views events, sessions and subjects of the key's site. `Accept` chooses JSON, CSV, Arrow, Parquet.",
        handler=post_sql,
        keys=READING,
        request=reference("Statement"),
        response=schemas.ANY_OBJECT,
        statuses=(400, 401, 403, 413, 415, 422, 429, 503),
    ),
    *_saved("query", "/v1/queries", "SavedQuery"),
    *_saved("funnel", "/v1/funnels", "SavedQuery"),
    *_saved("cohort", "/v1/cohorts", "SavedCohort"),
)
