"""Settings from a TOML file and the environment, or one `ConfigError` that names every mistake and never a value."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from consentryd.config.settings import DEFAULT_REGIONS, Settings
from consentryd.config.table import NAMED, PREFIX, Row, Setting, name_of, named_tables, rows, settings_table
from consentryd.model.error import ConfigError

#: Read by the command line itself, not settings.
OTHER_VARIABLES: Final = frozenset({"CONSENTRY_CONFIG"})

#: Share of a name that a mistyped one keeps.
TYPING_MISTAKE: Final = 0.6

#: What pydantic calls a value that should be a table.
_NO_TABLE: Final = frozenset({"model_type", "dict_type", "model_attributes_type"})

_TABLE: Final = settings_table()

#: What `tomllib` says of a table that stands in a file more than once. It names the table and no value.
_TWICE: Final = re.compile(r"Cannot declare (\(.*\)) twice")
_NAMES: Final = re.compile(r"'([\w-]+)'")

#: How its other messages begin, and what that is in a settings file. They may quote the file, so that none is passed on.
_REASONS: Final = {
    "Cannot overwrite a value": "a setting stands twice",
    "Duplicate inline table key": "a setting stands twice",
    "Invalid value": "a value that is none; texts stand in quotes, `true` and `false` without",
    "Illegal character": "a text that does not end on its line, or a character that may not stand there",
    "Found invalid character": "a text that does not end on its line, or a character that may not stand there",
    "Unescaped '\\' in a string": "a backslash in a text; write it twice, or put the text into single quotes",
    "Expected '='": "a name without `=` and a value behind it",
    "Expected ']'": "a table whose `]` is missing",
    "Expected newline": "something behind the value, or a number such as `08`",
    "Unclosed array": "a list whose `]` is missing",
    "Unterminated string": "a text whose last quotes are missing",
}


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of a file, overridden by `CONSENTRY_<SECTION>_<SETTING>` variables; paths are relative to the file.

    A list in the environment is JSON or comma-separated. A region's or site's setting is `CONSENTRY_REGIONS_EU_ENDPOINT`,
    a whole table `CONSENTRY_REGIONS` as JSON. Raises `ConfigError` with a line for each mistake.
    """
    values = _read(path) if path is not None else {}
    origin: dict[tuple[str, ...], str] = {}
    mistakes = []
    for variable in sorted(name for name in environ if name.startswith(PREFIX) and name not in OTHER_VARIABLES):
        where = _place(variable, values)
        if where is None:
            mistakes.append(f"{variable}: unknown setting.{_meant(_nearest_variable(variable))}")
            continue
        at, setting = where
        try:
            _put(values, at, _parse(environ[variable], setting))
            origin[at] = variable
        except ValueError:
            mistakes.append(f"{variable}: must be JSON")
    settings = _validate(values, path, origin, mistakes)
    return _resolve(settings, path.parent if path is not None else Path())


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist. `consentry init` makes one.") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {_without_value(error)}.") from None


def _without_value(error: tomllib.TOMLDecodeError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    message, _, where = str(error).rpartition("(")
    if twice := _TWICE.match(message):
        reason = f"[{'.'.join(_NAMES.findall(twice[1]))}] stands in it twice; write its settings under the first"
    else:
        reason = next((said for start, said in _REASONS.items() if message.startswith(start)), "")
    return where.removesuffix(")") + (reason and f": {reason}")


def _place(variable: str, values: Mapping[str, Any]) -> tuple[tuple[str, ...], Setting | None] | None:
    """Where a variable belongs, and its setting (None for a whole table)."""
    for setting in _TABLE:
        if NAMED not in setting.path and setting.variable == variable:
            return setting.path, setting
    for table in named_tables():
        head = f"{PREFIX}{table.upper()}"
        if variable == head:
            return (table,), None
        tails = [("_" + "_".join(setting.path[2:]).upper(), setting) for setting in _TABLE if setting.path[0] == table]
        for tail, setting in sorted(tails, key=lambda pair: -len(pair[0])):
            name = variable.removeprefix(head + "_").removesuffix(tail)
            if variable == f"{head}_{name}{tail}" and name:
                return (table, _entry(name, values.get(table)), *setting.path[2:]), setting
    return None


def _entry(name: str, table: Any) -> str:
    """The entry that the file calls so, reading `_` as any punctuation; else the lower-case name with dashes."""
    known = table if isinstance(table, Mapping) else DEFAULT_REGIONS
    spelled = {entry.upper().replace("-", "_").replace(".", "_"): entry for entry in known}
    return spelled.get(name, name.lower().replace("_", "-"))


def _parse(text: str, setting: Setting | None) -> Any:
    if setting is None or setting.takes_table or (setting.takes_list and text.lstrip().startswith("[")):
        return json.loads(text)
    if setting.takes_list:
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _put(values: dict[str, Any], at: tuple[str, ...], value: Any) -> None:
    if at[0] == "regions" and "regions" not in values:
        values["regions"] = {name: region.model_dump(exclude_unset=True) for name, region in DEFAULT_REGIONS.items()}
    for step in at[:-1]:
        below = values.get(step)
        values[step] = dict(below) if isinstance(below, Mapping) else {}
        values = values[step]
    values[at[-1]] = value


def _validate(values: dict[str, Any], path: Path | None, origin: Mapping[tuple[str, ...], str], mistakes: list[str]) -> Settings:
    source = f"{path.name}: " if path is not None else ""
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_input=False, include_url=False, include_context=False):
            at = tuple(str(step) for step in detail["loc"] if step != "[key]")
            blamed = next((origin[at[:end]] for end in range(len(at), 0, -1) if at[:end] in origin), None)
            place = f"{blamed}: " if blamed else source
            mistakes.append(place + _complaint(at, detail["type"], detail["msg"], of_name="[key]" in detail["loc"]))
    if mistakes:
        raise ConfigError("\n".join(dict.fromkeys(mistakes)))
    return settings


def _complaint(at: tuple[str, ...], kind: str, message: str, *, of_name: bool) -> str:
    """`of_name`: the name that the operator chose is wrong, and not what stands under it."""
    key = ".".join(at)
    if kind == "extra_forbidden":
        return f"unknown setting {key}.{_meant(_nearest(key, _keys(at)))}"
    if (row := _row(at)) is not None and len(at) == row.depth and kind not in _NO_TABLE:
        return f"{key}: {message.removeprefix('Value error, ')}"
    allowed = name_of(at[0]) if of_name and at[0] in named_tables() else _allowed(at)
    if allowed is None:
        return message.removeprefix("Value error, ")
    return f"{key}: allowed is {allowed}"


def _allowed(at: tuple[str, ...]) -> str | None:
    """What may stand at a place, in the table's words; None if no setting has it (a rule between settings)."""
    if len(at) <= 1 and at[:1] not in {(name,) for name in Settings.model_fields}:
        return None
    table = at[0] if at[0] in named_tables() else None
    generic = (at[0], NAMED, *at[2:]) if table else at
    if (row := _row(at)) is not None:
        return row.allowed(at[row.depth]) if len(at) > row.depth else "a table"
    for setting in _TABLE:
        if generic[: len(setting.path)] == setting.path:
            return setting.allowed
    return "a table"


def _keys(at: tuple[str, ...]) -> list[str]:
    """Every known key and section, with `NAME` written as the name in question."""
    if (row := _row(at)) is not None:
        return [".".join((*at[: row.depth], name)) for name in row.model.model_fields]
    name = at[1] if at[0] in named_tables() and len(at) > 1 else NAMED
    keys = [setting.key.replace(NAMED, name) for setting in _TABLE]
    return [*keys, *{key.rpartition(".")[0] for key in keys}, *Settings.model_fields] if len(at) == 1 else keys


def _row(at: tuple[str, ...]) -> Row | None:
    """The list of tables that a place lies in, such as `privacy.rules.0.action`."""
    return next((row for row in rows() if at[: row.depth - 1] == row.path and len(at) >= row.depth), None)


def _meant(nearest: str | None) -> str:
    return "" if nearest is None else f" Did you mean {nearest}?"


def _nearest_variable(wrong: str) -> str | None:
    """The variable that is spelled alike, or ends so; what all of them begin with makes none alike."""
    wrong = wrong.removeprefix(PREFIX)

    def likeness(name: str) -> float:
        return SequenceMatcher(None, wrong, name).ratio() + name.endswith(f"_{wrong}")

    nearest = max((setting.variable.removeprefix(PREFIX) for setting in _TABLE), key=likeness)
    return f"{PREFIX}{nearest}" if likeness(nearest) > TYPING_MISTAKE else None


def _nearest(wrong: str, known: list[str]) -> str | None:
    section, _, name = wrong.rpartition(".")

    def likeness(candidate: str) -> float:
        """A neighbour with a similar name, else the same name elsewhere, else what looks most alike."""
        beside, _, other = candidate.rpartition(".")
        similar = SequenceMatcher(None, name.lower(), other.lower()).ratio()
        neighbour = beside == section and similar > TYPING_MISTAKE
        return SequenceMatcher(None, wrong.lower(), candidate.lower()).ratio() + 2 * neighbour + (similar == 1)

    nearest = max(known, key=likeness)
    return nearest if likeness(nearest) > TYPING_MISTAKE else None


def _resolve(settings: Settings, base: Path) -> Settings:
    return settings.model_copy(update=_resolved(settings, base))


def _resolved(section: BaseModel, base: Path) -> dict[str, Any]:
    """The members that hold a relative path, however deep, with it laid on `base`."""
    update: dict[str, Any] = {}
    for name, value in section:
        if isinstance(value, Path):
            update[name] = base / value
        elif isinstance(value, BaseModel):
            update[name] = value.model_copy(update=_resolved(value, base))
        elif isinstance(value, Mapping) and all(isinstance(inner, BaseModel) for inner in value.values()):
            update[name] = {entry: inner.model_copy(update=_resolved(inner, base)) for entry, inner in value.items()}
    return update
