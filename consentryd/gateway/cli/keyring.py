"""Whose signatures the commands that verify something believe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

from consentryd.gateway.cli import installation
from consentryd.gateway.cli.ledger import verifiers
from consentryd.gateway.document import mended
from consentryd.model.error import ConfigError
from consentryd.storage.note import BadNote, Verifier


def trusted(keys: Path | None, config: Path) -> list[Verifier]:
    """The keys of a saved `/.well-known/consentry/keys.json`, or those of the installation. Raises `ConfigError`."""
    if keys is None:
        settings = installation.load(config)
        return [verifier for region in settings.regions for verifier in verifiers(settings, region)]
    document = read_json(keys)
    try:
        return [Verifier.parse(key["vkey"]) for key in document["keys"]]
    except (KeyError, TypeError, AttributeError, BadNote):
        raise ConfigError(f"{keys} is not a set of keys as /.well-known/consentry/keys.json gives it.") from None


def read_json(path: Path) -> Any:
    """Raises `ConfigError`."""
    try:
        return orjson.loads(mended(path.read_bytes()))
    except orjson.JSONDecodeError:
        raise ConfigError(f"{path} is not JSON.") from None
