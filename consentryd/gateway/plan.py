"""Tracking plans: per site, a JSON file of event name to JSON Schema of its properties."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import orjson

from consentryd.config.settings import Settings
from consentryd.model.error import ConfigError
from consentryd.model.outcome import Violation
from consentryd.model.pointer import pointer_to

if TYPE_CHECKING:
    import jsonschema_rs

#: Steps back that one pattern may take over one text: enough for 32 KB of `((?!x).)*`, and a second at worst. A text that takes more
#: does not fit.
_MOST_STEPS_BACK: Final = 100_000


class TrackingPlans:
    """Compiled once at start. Raises `ConfigError` for a file that cannot be read or is not a plan."""

    def __init__(self, settings: Settings) -> None:
        self._default = _load(settings.site.tracking_plan)
        self._plans = {name: _load(site.tracking_plan) for name, site in settings.sites.items()}

    def fits(self, site: str, event: str, properties: Mapping[str, Any]) -> bool:
        schema = self._schema(site, event)
        return schema is None or schema.is_valid(dict(properties))

    def violation(self, site: str, event: str, properties: Mapping[str, Any]) -> Violation | None:
        """The first place where the properties do not fit, None if they do. It costs a millisecond where 10,000 values are allowed."""
        schema = self._schema(site, event)
        error = None if schema is None else next(iter(schema.iter_errors(dict(properties))), None)
        return None if error is None else _violation(error)

    def _schema(self, site: str, event: str) -> Any:
        return self._plans.get(site, self._default).get(event)


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
    try:
        schemas = orjson.loads(path.read_bytes())
    except OSError as error:
        raise ConfigError(f"The tracking plan {path} cannot be read: {error.strerror}.") from error
    except orjson.JSONDecodeError as error:
        raise ConfigError(f"The tracking plan {path} is not JSON: {error}") from error
    if not isinstance(schemas, dict):
        raise ConfigError(f"The tracking plan {path} is not an object of event name to JSON Schema.")
    return {event: _compile(path, event, schema) for event, schema in schemas.items()}


def _compile(path: Path, event: str, schema: Any) -> Any:
    import jsonschema_rs  # noqa: PLC0415 - 3 MB that a gateway without a plan need not have

    try:
        patterns = jsonschema_rs.FancyRegexOptions(backtrack_limit=_MOST_STEPS_BACK)
        return jsonschema_rs.validator_for(schema, retriever=_retrieve, pattern_options=patterns)
    except ValueError as error:
        told = getattr(error, "message", str(error))
        raise ConfigError(f"The tracking plan {path} has no JSON Schema for the event {event}: {told}") from error


def _retrieve(_uri: str) -> NoReturn:
    """Without one of ours, the library fetches what a schema refers to from the network, and reads any file."""
    raise LookupError("a schema can only refer to itself")
