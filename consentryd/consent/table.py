"""The tables of policy: those that ship in `config/`, or the operator's own."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from consentryd.model.error import ConfigError

Table = TypeVar("Table", bound=BaseModel)

#: Mistakes that pydantic words for programmers.
_WORDS: Final = {
    "missing": "is missing",
    "extra_forbidden": "is not known",
    "model_type": "must be a table",
    "dict_type": "must be a table",
}


def load_table(kind: str, own: Path | None, shape: type[Table]) -> Table:
    """The operator's own file, else the one that ships. Raises `ConfigError`, which names the file and each place in it."""
    name = own or f"{kind}.toml"
    try:
        text = own.read_text() if own else files("consentryd.config").joinpath(f"{kind}.toml").read_text()
        values = tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name} cannot be read: {error}") from error
    try:
        return shape.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"The {kind} file {name} is not as documented: {_mistakes(error)}.") from None


def _mistakes(error: ValidationError) -> str:
    told: list[Any] = error.errors(include_url=False, include_input=False)
    return "; ".join(
        f"{'.'.join(map(str, each['loc']))}: {_WORDS.get(each['type'], each['msg'].removeprefix('Value error, '))}"
        for each in told
    )
