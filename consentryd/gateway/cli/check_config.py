"""`consentry check-config`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel
from rich.table import Table

from consentryd.config.settings import Settings
from consentryd.consent.policy import Policy
from consentryd.consent.profile import require_profile
from consentryd.consent.purposes import require_known
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import complain, say, show, show_json
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.gateway.idle import idle
from consentryd.gateway.plan import TrackingPlans
from consentryd.model.error import ConfigError
from consentryd.privacy.country import CountryDatabase
from consentryd.privacy.rules import load_rules
from consentryd.storage.master import check_source

#: Settings that name a folder; every other path is a file's.
FOLDERS: Final = frozenset({"rights.scan_dir"})


def check_config(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Check the settings without starting anything, and show those that differ from their defaults.

    A setting that does nothing as the others stand, such as `tracking_plan_mode` without a plan, is a line there too, and no mistake.
    Of a site those are shown that differ from `[site]`, from which it starts.

    Reads the file and the `CONSENTRY_` variables. Each mistake is a line on standard error: an unknown setting with the nearest known
    one, a wrong value with what is allowed, a file that is named but missing or holds something else, a rule with an unknown detector or a
    key that is no pattern, a key of OpenDSR or of subject tokens that is none, a source of the master key that cannot be one (its command
    is not run). Exit code 1 if there is one.

    With `--json` prints all settings as they hold.
    """
    settings = installation.load(config)
    check_contents(settings)
    for line in idle(settings):
        complain(line)
    if as_json:
        show_json(settings.model_dump(mode="json"))
        return
    holds, defaults = settings.model_dump(mode="json"), Settings().model_dump(mode="json")
    defaults["storage"]["data_dir"] = str(config.parent / defaults["storage"]["data_dir"])
    defaults["sites"] = dict.fromkeys(holds["sites"], holds["site"])
    changed = dict(differences(holds, defaults))
    say(f"{config} is valid. {'These settings differ from their defaults:' if changed else 'All settings have their defaults.'}")
    if changed:
        table = Table("setting", "value", box=None)
        for key, value in changed.items():
            table.add_row(key, value if isinstance(value, str) else orjson.dumps(value).decode())
        show(table)


def check_contents(settings: Settings) -> None:
    """What settings point at: files and folders that exist, a policy, rules, plans, a country database and an OpenDSR certificate that
    load, currency rates, keys of subject tokens, a source of the master key.

    Raises `ConfigError` with a line for each mistake.
    """
    from consentryd.analytics.currency import load_rates  # noqa: PLC0415 -- half a second that --help need not wait
    from consentryd.rights.opendsr import load_processor  # noqa: PLC0415 -- the same
    from consentryd.rights.token import check_tokens  # noqa: PLC0415 -- the same

    mistakes = [
        f"{key}: {path} does not exist"
        for key, path in _paths(settings, "")
        if not (path.is_dir() if key in FOLDERS else path.is_file())
    ]
    checks: list[Callable[[], object]] = [
        lambda: require_known(settings, Policy(settings.consent).purposes),
        lambda: require_profile(settings),
        lambda: load_rules(settings.privacy.rules),
        lambda: check_source(settings.keys.master, settings.storage.data_dir),
        lambda: check_tokens(settings),
    ]
    if not mistakes:
        checks += [
            lambda: TrackingPlans(settings),
            lambda: _open_countries(settings),
            lambda: load_rates(settings.analytics.currency, settings.analytics.rates),
            lambda: load_processor(settings.rights),
        ]
    for check in checks:
        try:
            check()
        except ConfigError as error:
            mistakes.append(str(error))
    if mistakes:
        raise ConfigError("\n".join(mistakes))


def _open_countries(settings: Settings) -> None:
    with closing(CountryDatabase(settings.privacy.country_database, city=settings.privacy.city)) as countries:
        countries.open()


def _paths(section: BaseModel, prefix: str) -> list[tuple[str, Path]]:
    found: list[tuple[str, Path]] = []
    for name, value in section:
        key = f"{prefix}{name}"
        if isinstance(value, Path) and key != "storage.data_dir":
            found.append((key, value))
        elif isinstance(value, BaseModel):
            found += _paths(value, f"{key}.")
        elif isinstance(value, dict):
            found += [
                pair
                for entry, inner in value.items()
                if isinstance(inner, BaseModel)
                for pair in _paths(inner, f"{key}.{entry}.")
            ]
    return found


def differences(now: dict[str, Any], default: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted keys whose values differ, with the value that holds."""
    found: list[tuple[str, Any]] = []
    for name, value in now.items():
        before = default.get(name)
        if isinstance(value, dict):
            found += differences(value, before if isinstance(before, dict) else {}, f"{prefix}{name}.")
        elif value != before:
            found.append((f"{prefix}{name}", value))
    return found
