"""The purposes of processing, and which of them an event serves."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from fnmatch import translate
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from consentryd.config.settings import Consent
from consentryd.model.error import ConfigError


class Purpose(BaseModel):
    """One row of `config/purposes.toml`, which explains the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")
    text: str
    tcf: tuple[int, ...] = ()
    special_features: tuple[int, ...] = ()
    google: tuple[Literal["ad_storage", "analytics_storage", "ad_user_data", "ad_personalization"], ...] = ()
    opt_out: bool = False
    measurement: bool = False
    sensitive: bool = False
    on_withdrawal: Literal["keep", "anonymise", "erase"] = "erase"


class Purposes:
    """All purposes by name, the names others call them by, and the patterns of event names that serve them."""

    def __init__(self, table: Mapping[str, Purpose], settings: Consent, version: int = 0) -> None:
        self.version = version
        self.by_name = dict(table)
        self.all = frozenset(table)
        self.sensitive = frozenset(name for name, purpose in table.items() if purpose.sensitive)
        self.opt_out = frozenset(name for name, purpose in table.items() if purpose.opt_out or settings.gpc_scope == "all")
        self._aliases: dict[str, tuple[str, ...]] = {name.casefold(): (name,) for name in table}
        for name, targets in settings.categories.items():
            self._aliases[name.casefold()] = self._known(targets, "consent.categories")
        self._patterns = [
            (re.compile(translate(glob)), self._known([name], "consent.events")[0]) for glob, name in settings.events.items()
        ]
        self._default = self._known([settings.default_purpose], "consent.default_purpose")[0]

    def named(self, name: str) -> tuple[str, ...]:
        """The purposes that a category's name or id stands for, letter case aside; none when it stands for nothing here."""
        return self._aliases.get(name.casefold(), ())

    def of_event(self, event: str) -> Purpose:
        """The first pattern that matches the whole event name decides, else the default purpose."""
        name = next((purpose for pattern, purpose in self._patterns if pattern.match(event)), self._default)
        return self.by_name[name]

    def _known(self, names: list[str], setting: str) -> tuple[str, ...]:
        unknown = [name for name in names if name not in self.by_name]
        if unknown:
            raise ConfigError(f"{setting} names the purpose {unknown[0]!r}, which is not one of: {', '.join(sorted(self.all))}")
        return tuple(names)


def load_purposes(settings: Consent) -> Purposes:
    """Read the purposes that ship, or those of `consent.purposes_file`. Raises `ConfigError`."""
    data = load_table("purposes.toml", settings.purposes_file)
    try:
        table = {name: Purpose(name=name, **row) for name, row in data["purpose"].items()}
        return Purposes(table, settings, data["version"])
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        raise ConfigError(f"the purposes file is not as documented: {error}") from error


def load_table(name: str, own: Path | None) -> dict[str, Any]:
    """A policy table: the operator's own file, else the one that ships in `config/`."""
    try:
        text = own.read_text() if own else files("consentryd.config").joinpath(name).read_text()
        return tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{own or name} cannot be read: {error}") from error
