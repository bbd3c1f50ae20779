"""Tracking plans: per site, a JSON file of event name to JSON Schema of its properties."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from consentryd.config.settings import Settings
from consentryd.model.error import ConfigError
from consentryd.model.outcome import Violation
from consentryd.model.pointer import pointer_to

if TYPE_CHECKING:
    import jsonschema_rs


class TrackingPlans:
    """Compiled once at start. Raises `ConfigError` for a file that cannot be read or is not a plan."""

    def __init__(self, settings: Settings) -> None:
        self._default = _load(settings.site.tracking_plan)
        self._plans = {name: _load(site.tracking_plan) for name, site in settings.sites.items()}

    def violation(self, site: str, event: str, properties: Mapping[str, Any]) -> Violation | None:
        """The first place where the properties do not fit, None if they do."""
        schema = self._plans.get(site, self._default).get(event)
        if schema is None or schema.is_valid(told := dict(properties)):
            return None
        return _violation(next(iter(schema.iter_errors(told))))


def _violation(error: jsonschema_rs.ValidationError) -> Violation:
    """In names of the plan only: a name that the sender made up may be anything, and is written as `*`."""
    known = set(map(str, error.schema_path))
    steps = [str(step) if isinstance(step, int) or step in known else "*" for step in error.instance_path]
    missing = getattr(error.kind, "property", None)
    if missing is not None:
        steps.append(str(missing))
    return Violation(pointer_to(steps), str(error.schema_path[-1]) if error.schema_path else "")


def _load(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    import jsonschema_rs  # noqa: PLC0415 - 3 MB that a gateway without a plan need not have

    try:
        return {event: jsonschema_rs.validator_for(schema) for event, schema in orjson.loads(path.read_bytes()).items()}
    except OSError as error:
        raise ConfigError(f"The tracking plan {path} cannot be read: {error.strerror}.") from error
    except (orjson.JSONDecodeError, AttributeError, ValueError) as error:
        raise ConfigError(f"The tracking plan {path} is not an object of event name to JSON Schema: {error}") from error
