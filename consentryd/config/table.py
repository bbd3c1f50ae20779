"""The settings as rows: what the loader suggests, the example file shows and the reference lists."""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from consentryd.config.settings import Settings

PREFIX: Final = "CONSENTRY_"
NAMED: Final = "NAME"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `path` is its way from the top, with `NAME` where the operator chooses a name (of a region, of a site).

    `written` is the annotation as it stands in the model: `field` has lost the words that describe its type.
    """

    path: tuple[str, ...]
    field: FieldInfo
    written: Any

    @property
    def key(self) -> str:
        return ".".join(self.path)

    @property
    def section(self) -> tuple[str, ...]:
        return self.path[:-1]

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return PREFIX + "_".join(self.path).upper()

    @property
    def description(self) -> str:
        return self.field.description or ""

    @property
    def default(self) -> str:
        """As TOML. An unset setting is written as an empty text."""
        return toml(self.field.default)

    @property
    def allowed(self) -> str:
        """In words, from the same annotation that validates it."""
        kinds = [kind for kind in _members(self.written) if kind is not type(None)]
        bounds = [*filter(None, map(_bound, self.field.metadata))]
        return ", ".join([*map(_words, kinds), *bounds])

    @property
    def takes_list(self) -> bool:
        return get_origin(self.field.annotation) is list

    @property
    def takes_table(self) -> bool:
        return get_origin(self.field.annotation) is dict

    @property
    def takes_path(self) -> bool:
        return Path in _members(self.field.annotation)

    @property
    def secret(self) -> bool:
        return SecretStr in _members(self.field.annotation)


@dataclass(frozen=True, slots=True)
class Row:
    """A setting that is a list of tables: what one of them, `path` and its number, may hold."""

    path: tuple[str, ...]
    model: type[BaseModel]

    @property
    def depth(self) -> int:
        """How long the way to one of the tables is."""
        return len(self.path) + 1

    def allowed(self, name: str) -> str:
        field = self.model.model_fields.get(name)
        return name if field is None else Setting((*self.path, name), field, _written(self.model)[name]).allowed


def rows(model: type[BaseModel] = Settings) -> list[Row]:
    return [Row(setting.path, kind) for setting in _walk(model, ()) if (kind := _listed(setting.field)) is not None]


def _listed(field: FieldInfo) -> type[BaseModel] | None:
    if get_origin(field.annotation) is not list:
        return None
    (kind,) = get_args(field.annotation)
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def settings_table(model: type[BaseModel] = Settings) -> list[Setting]:
    """Every setting once, in the order of the model."""
    return list(_walk(model, ()))


def named_tables(model: type[BaseModel] = Settings) -> list[str]:
    """The top-level tables whose entries the operator names: regions and sites."""
    return [name for name, field in model.model_fields.items() if get_origin(field.annotation) is dict and section_of(field)]


def _walk(model: type[BaseModel], path: tuple[str, ...]) -> Iterator[Setting]:
    for name, field in model.model_fields.items():
        here = (*path, name)
        inner = section_of(field)
        if inner is None:
            yield Setting(here, field, _written(model)[name])
        else:
            yield from _walk(inner, here if get_origin(field.annotation) is not dict else (*here, NAMED))


@cache
def _written(model: type[BaseModel]) -> dict[str, Any]:
    return get_type_hints(model, include_extras=True)


def name_of(table: str, model: type[BaseModel] = Settings) -> str:
    """What the names in a table of `named_tables` may look like."""
    return _words(get_args(model.model_fields[table].annotation)[0])


def section_of(field: FieldInfo) -> type[BaseModel] | None:
    """The model of a field that is a section, or a table of sections."""
    kind: Any = field.annotation
    if get_origin(kind) is dict:
        kind = get_args(kind)[1]
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in {Union, types.UnionType} else (annotation,)


_WORDS: Final[dict[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path",
    SecretStr: "secret text",
}


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(kind))
    if get_origin(kind) is list:
        return f"list of {_words(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        name, value = get_args(kind)
        return f"table of {_words(name)} to {_words(value)}"
    if get_origin(kind) is Annotated:
        described = (part.description for part in kind.__metadata__ if isinstance(part, FieldInfo))
        return next(filter(None, described), None) or _words(get_args(kind)[0])
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "table"
    return _WORDS.get(kind) or str(getattr(kind, "__name__", kind))


def _bound(constraint: Any) -> str | None:
    match constraint:
        case Ge():
            return f"at least {constraint.ge}"
        case Gt():
            return f"more than {constraint.gt}"
        case Le():
            return f"at most {constraint.le}"
        case _:
            return None


def toml(value: Any) -> str:
    match value:
        case None | SecretStr():
            return '""'
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(inner)}" for key, inner in value.items()) + "}"
        case str() | Path():
            return json.dumps(str(value), ensure_ascii=False)
        case _:
            return json.dumps(value)
