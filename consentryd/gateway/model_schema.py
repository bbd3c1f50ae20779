"""Schemas of pydantic models in the dialect of OpenAPI 3.0, which knows neither null as a type nor `const`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode

Schema = dict[str, Any]

_REF = "#/components/schemas/{model}"


def reference(name: str) -> Schema:
    """A reference to a schema of the document's components."""
    return {"$ref": _REF.format(model=name)}


def components(adapters: Mapping[str, TypeAdapter[Any]], models: Iterable[type[BaseModel]]) -> dict[str, Schema]:
    """The schemas that requests (`adapters`, by name) and answers (`models`) are made of, by name."""
    found: dict[str, Schema] = {}
    for name, adapter in adapters.items():
        _collect(found, name, adapter, "validation")
    for model in models:
        _collect(found, model.__name__, TypeAdapter(model), "serialization")
    return {name: _translated(schema) for name, schema in sorted(found.items())}


def _collect(found: dict[str, Schema], name: str, adapter: TypeAdapter[Any], mode: JsonSchemaMode) -> None:
    schema = adapter.json_schema(ref_template=_REF, mode=mode)
    found.update(schema.pop("$defs", {}))
    if schema.get("$ref") != _REF.format(model=name):
        found[name] = schema


def _translated(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_translated(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {
        name: _named(value) if name == "properties" else _translated(value) for name, value in schema.items() if name != "const"
    }
    if "const" in schema:
        found["enum"] = [schema["const"]]
    for bound, limit in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if isinstance(found.get(bound), int | float):
            found[limit], found[bound] = found[bound], True
    if "$ref" in found and len(found) > 1:
        found["allOf"] = [{"$ref": found.pop("$ref")}]
    return _nullable(found)


def _named(properties: Mapping[str, Any]) -> Schema:
    """Fields, whose names are no keywords."""
    return {name: _translated(value) for name, value in properties.items()}


def _nullable(schema: Schema) -> Schema:
    for word in _UNIONS:
        options = schema.get(word)
        if isinstance(options, list) and {"type": "null"} in options:
            rest = [option for option in options if option != {"type": "null"}]
            merged = {name: value for name, value in schema.items() if name != word}
            if len(rest) == 1 and "$ref" not in rest[0]:
                return {**rest[0], **merged, "nullable": True}
            return {**merged, word: rest, "nullable": True}
    if schema.get("type") == "null":
        return {**{name: value for name, value in schema.items() if name != "type"}, "enum": [None], "nullable": True}
    return schema


_UNIONS: tuple[Literal["anyOf", "oneOf"], ...] = ("anyOf", "oneOf")
