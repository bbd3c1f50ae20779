"""`docs/configuration.md`, made from the table of settings."""

from __future__ import annotations

from itertools import groupby
from typing import Final

from consentryd.config.settings import Settings
from consentryd.config.table import NAMED, Setting, name_of, settings_table

HEADER: Final = """\
# Configuration

<!-- Made by `make docs` from consentryd/config/settings.py; a test keeps them equal. -->

Consentry reads `consentry.toml` from the working directory, or the file that `--config` or the variable `CONSENTRY_CONFIG` names.
`consentry init` writes one with every setting and its default. Paths in it are relative to the file.

Every setting can be overridden by an environment variable, named in the tables below. In a variable a list is written as JSON or with
commas, a table such as `CONSENTRY_REGIONS` as JSON; an empty text unsets a setting that may be unset. `NAME` stands for the name of a
region or site in capitals, with `_` for dashes and dots: `CONSENTRY_REGIONS_EU_ENDPOINT`. Where the file has no such name, `_` stands for
a dash: a site with a dot in its name needs a table of its own there, such as `[sites."shop.example"]`, before variables are of it.

An unknown setting, in the file or in a `CONSENTRY_` variable, is an error that names the nearest known one; a wrong value is an error
that says what is allowed. `consentry check-config` checks without starting anything.
"""


def reference() -> str:
    parts = [HEADER]
    for section, settings in groupby(settings_table(), key=lambda setting: setting.section):
        parts.append(_section(section, list(settings)))
    return "\n".join(parts)


def _section(section: tuple[str, ...], rows: list[Setting]) -> str:
    about = Settings.model_fields[section[0]].description if len(section) == 1 or section[1:] == (NAMED,) else None
    lines = [f"## `[{'.'.join(section)}]`", ""]
    if about:
        lines += [about, ""]
    if section[1:] == (NAMED,):
        lines += [f"`NAME` is {name_of(section[0])}.{_defaults(section[0])}", ""]
    lines += ["| setting | default | allowed | what it does | variable |", "|---|---|---|---|---|", *map(_row, rows), ""]
    return "\n".join(lines)


def _defaults(table: str) -> str:
    names = [f"`{name}`" for name in Settings.model_fields[table].default]
    return f" Without any in the file there are {' and '.join(names)}." if names else ""


def _row(setting: Setting) -> str:
    default = "not set" if setting.default == '""' else f"`{setting.default}`"
    if setting.path[0] == "sites":
        default = "as `[site]`"
    cells = (f"`{setting.name}`", default, setting.allowed, setting.description, f"`{setting.variable}`")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
