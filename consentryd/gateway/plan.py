"""Tracking plans: per site, a JSON file of event name to JSON Schema of its properties."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import orjson

from consentryd.config.settings import Settings
from consentryd.model.error import ConfigError


class TrackingPlans:
    """Compiled once at start. Raises `ConfigError` for a file that cannot be read or is not a plan."""

    def __init__(self, settings: Settings) -> None:
        self._default = _load(settings.site.tracking_plan)
        self._plans = {name: _load(site.tracking_plan) for name, site in settings.sites.items()}

    def fits(self, site: str, event: str, properties: Mapping[str, Any]) -> bool:
        schema = self._plans.get(site, self._default).get(event)
        return schema is None or bool(schema.is_valid(dict(properties)))


def _load(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        return {event: jsonschema_rs.validator_for(schema) for event, schema in orjson.loads(path.read_bytes()).items()}
    except OSError as error:
        raise ConfigError(f"The tracking plan {path} cannot be read: {error.strerror}.") from error
    except (orjson.JSONDecodeError, AttributeError, ValueError) as error:
        raise ConfigError(f"The tracking plan {path} is not an object of event name to JSON Schema: {error}") from error
