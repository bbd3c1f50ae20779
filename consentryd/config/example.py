"""The example `consentry.toml`: every setting with its description and its default, made from the table of settings."""

from __future__ import annotations

from itertools import groupby
from textwrap import wrap
from typing import Final

from consentryd.config.settings import DEFAULT_REGIONS, Settings
from consentryd.config.table import NAMED, Setting, settings_table, toml

WIDTH: Final = 100

HEADER: Final = """\
# Consentry's settings. Each stands here with its default; take the `#` away and change it.
# An environment variable CONSENTRY_<SECTION>_<SETTING> overrides this file: CONSENTRY_SERVER_PORT=9000.
# `consentry check-config` tells what is wrong. Paths are relative to this file.
"""

SITES: Final = """\
# What differs at one site from `[site]` stands under the site's name:
#   [sites.shop]
#   anonymous_lane = "off"
#   [sites.shop.retention]
#   consented_days = 395
"""


def example() -> str:
    """The text of the file. As it stands, and with every `#` before a setting removed, it means the defaults."""
    parts = [HEADER]
    for section, settings in groupby(settings_table(), key=lambda setting: setting.section):
        rows = list(settings)
        if NAMED not in section:
            parts.append(_section(".".join(section), rows))
        elif section[0] == "regions":
            parts += [_region(name, rows, first=name == next(iter(DEFAULT_REGIONS))) for name in DEFAULT_REGIONS]
    return "\n".join([*parts, SITES])


def _section(name: str, rows: list[Setting]) -> str:
    about = Settings.model_fields[name].description if name in Settings.model_fields else None
    lines = [*_comment(about or ""), f"[{name}]"]
    for row in rows:
        lines += [*_comment(f"{row.description} ({row.allowed})"), f"# {row.name} = {row.default}"]
    return "\n".join(lines) + "\n"


def _region(name: str, rows: list[Setting], *, first: bool) -> str:
    region = DEFAULT_REGIONS[name]
    lines = _comment(Settings.model_fields["regions"].description or "") if first else []
    lines.append(f"[regions.{name}]")
    for row in rows:
        if first:
            lines += _comment(f"{row.description} ({row.allowed})")
        mark = "" if row.name in region.model_fields_set else "# "
        lines.append(f"{mark}{row.name} = {toml(getattr(region, row.name))}")
    return "\n".join(lines) + "\n"


def _comment(text: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ", break_long_words=False)
