"""The purposes of processing, and which of them an event serves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fnmatch import translate
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from consentryd.config.settings import Consent, Settings
from consentryd.consent.table import load_table
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


class PurposeTable(BaseModel):
    """`config/purposes.toml`: a table for each purpose, under its name."""

    version: int
    purpose: dict[str, Purpose]

    @field_validator("purpose", mode="before")
    @classmethod
    def _named(cls, rows: Any) -> Any:
        if not isinstance(rows, dict):
            return rows
        return {name: {**row, "name": name} if isinstance(row, dict) else row for name, row in rows.items()}


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
            self._aliases[name.strip().casefold()] = self.require(targets, "consent.categories")
        self._patterns = [
            (re.compile(translate(glob)), self.require([name], "consent.events")[0]) for glob, name in settings.events.items()
        ]
        self._default = self.require([settings.default_purpose], "consent.default_purpose")[0]

    def named(self, name: str) -> tuple[str, ...]:
        """The purposes that a category's name or id stands for, letter case and blanks around it aside; none when it stands for
        nothing here."""
        return self._aliases.get(name.strip().casefold(), ())

    def of_event(self, event: str) -> Purpose:
        """The first pattern that matches the whole event name decides, else the default purpose."""
        name = next((purpose for pattern, purpose in self._patterns if pattern.match(event)), self._default)
        return self.by_name[name]

    def require(self, names: Iterable[str], setting: str) -> tuple[str, ...]:
        """The names that a setting gives. Raises `ConfigError` for one that is no purpose."""
        unknown = [name for name in names if name not in self.by_name]
        if unknown:
            raise ConfigError(f"{setting} names the purpose {unknown[0]!r}, which is not one of: {', '.join(sorted(self.all))}")
        return tuple(names)


def require_known(settings: Settings, purposes: Purposes) -> None:
    """Raises `ConfigError` for a setting that names a purpose which is in no table: it would say something about nothing."""
    if "purposes" in settings.analytics.model_fields_set:
        purposes.require(settings.analytics.purposes, "analytics.purposes")
    purposes.require(settings.site.retention.purposes, "site.retention.purposes")
    for name, site in settings.sites.items():
        purposes.require(site.retention.purposes, f"sites.{name}.retention.purposes")


def load_purposes(settings: Consent) -> Purposes:
    """Read the purposes that ship, or those of `consent.purposes_file`. Raises `ConfigError`."""
    table = load_table("purposes", settings.purposes_file, PurposeTable)
    return Purposes(table.purpose, settings, table.version)
