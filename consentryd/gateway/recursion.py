"""Schemas that lead back to themselves, for readers that write every reference out: a condition is made of conditions, in a dozen ways."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_REFERENCE = "$ref"


def cut(document: Mapping[str, Any]) -> dict[str, Any]:
    """An OpenAPI document in which the components that lead back to themselves are named where they were referred to."""
    schemas = document["components"]["schemas"]
    next_to = {name: frozenset(_references(schema)) for name, schema in schemas.items()}
    recursive = {name for name in schemas if name in _reached(name, next_to)}
    return {**document, "components": {**document["components"], "schemas": _named(schemas, recursive)}}


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if _REFERENCE in schema:
            yield _component(schema)
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            yield from _references(part)


def _component(schema: Mapping[str, str]) -> str:
    return schema[_REFERENCE].rpartition("/")[2]


def _reached(name: str, next_to: Mapping[str, frozenset[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [name]
    while waiting:
        new = next_to[waiting.pop()] - found
        found |= new
        waiting += new
    return found


def _named(schema: Any, recursive: set[str]) -> Any:
    if isinstance(schema, list):
        return [_named(part, recursive) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if _REFERENCE in schema and (name := _component(schema)) in recursive:
        return {"type": "object", "title": name}
    return {key: _named(value, recursive) for key, value in schema.items()}
