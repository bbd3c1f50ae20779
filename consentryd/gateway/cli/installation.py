"""An installation: a settings file, a data directory and its keys."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Final, NamedTuple

from consentryd.config.example import example
from consentryd.config.load import load_settings
from consentryd.config.settings import Settings
from consentryd.model.clock import SystemClock
from consentryd.model.error import ConfigError
from consentryd.model.key import KeyKind
from consentryd.storage.control import ControlStore
from consentryd.storage.durable import place
from consentryd.storage.location import CONTROL, DATABASE, stored_regions
from consentryd.storage.roster import require_regions
from consentryd.storage.tenancy import check_home, serving

FIRST_SITE: Final = "default"

#: What each of the four first keys is for, in the words of the screen and of `keys create`.
PURPOSE: Final[dict[KeyKind, str]] = {
    KeyKind.WRITE: "sends events; public, stands in pages and apps",
    KeyKind.SERVER: "sends events from servers; secret",
    KeyKind.PRIVACY: "acts on people's requests; secret",
    KeyKind.READ: "reads events and reports; secret",
}


def load(config: Path | None, environ: Mapping[str, str] = os.environ) -> Settings:
    return load_settings(config, environ)


@contextmanager
def control(settings: Settings) -> Iterator[ControlStore]:
    """The keys. Raises `ConfigError` if nothing was ever set up there."""
    path = settings.storage.data_dir / CONTROL
    check_control(settings)
    if not path.exists():
        raise ConfigError(f"{path} does not exist: nothing was set up here. `consentry init` or `consentry serve` does it.")
    with at_work(settings):
        store = ControlStore(path, SystemClock())
        try:
            yield store
        finally:
            store.close()


@contextmanager
def at_work(settings: Settings) -> Iterator[None]:
    """Work on what is stored, if there is anything, beside gateways that serve it. Raises `ConfigError` while a backup takes its place: what
    was done meanwhile would be lost."""
    root = settings.storage.data_dir
    check_home(root)
    with serving(root) if root.exists() else nullcontext():
        yield


def check_control(settings: Settings) -> None:
    """Raises `ConfigError` where regions hold data and the keys are gone: new ones would lock out whoever has the old."""
    check_home(settings.storage.data_dir)
    path = settings.storage.data_dir / CONTROL
    if path.exists() or not (holding := folders(settings)):
        return
    raise ConfigError(
        f"{path} is gone, but {'region' if len(holding) == 1 else 'regions'} {', '.join(region.name for region in holding)} hold"
        f"{'s' if len(holding) == 1 else ''} data. It has the API keys and the saved queries: restore it from a backup. If there is "
        "none, `consentry keys create KIND --start-over` begins a new one, and every old key stays refused."
    )


def start_over(settings: Settings) -> None:
    """A new store of keys, where regions hold data and the old one is gone. Raises `ConfigError` elsewhere."""
    path = settings.storage.data_dir / CONTROL
    if path.exists():
        raise ConfigError(f"{path} is there; nothing was changed. Without --start-over it gets the new key.")
    if not folders(settings):
        raise ConfigError("Nothing was set up here. `consentry init` or `consentry serve` does it.")
    ControlStore(path, SystemClock()).close()


class RegionFolder(NamedTuple):
    """A region that holds something: its name and its folder."""

    name: str
    root: Path

    @property
    def database(self) -> Path:
        return self.root / DATABASE


def regions(settings: Settings) -> list[RegionFolder]:
    """The regions in which something was ever stored here. Raises `ConfigError` where one is gone that held something."""
    require_regions(settings.storage.data_dir, settings.regions)
    return folders(settings)


def folders(settings: Settings) -> list[RegionFolder]:
    """The regions that are here."""
    named = [RegionFolder(name, settings.storage.data_dir / name) for name in settings.regions]
    return [folder for folder in named if folder.database.exists()]


def strange_regions(settings: Settings) -> list[RegionFolder]:
    """Those that the settings do not have although something is stored of them."""
    root = settings.storage.data_dir
    return [RegionFolder(name, root / name) for name in stored_regions(root) if name not in settings.regions]


def create(config: Path, environ: Mapping[str, str]) -> dict[KeyKind, str]:
    """A new settings file, data directory and four keys; their secrets. Raises `ConfigError` where something exists."""
    if config.exists():
        raise ConfigError(f"{config} exists already; nothing was changed. {_EXISTING}")
    data = load_settings(None, environ).storage.data_dir
    existing = config.parent / data / CONTROL
    if existing.exists():
        raise ConfigError(f"{existing} exists already; nothing was changed. {_EXISTING}")
    secrets = complete(config, environ)
    if secrets is None:
        raise ConfigError(f"Another process has just set up {config.parent / data}. {_EXISTING}")
    return secrets


_EXISTING: Final = "`consentry serve` uses what is there, `consentry keys create` makes more keys."


def complete(config: Path, environ: Mapping[str, str]) -> dict[KeyKind, str] | None:
    """Make what is missing of an installation. The four secrets if keys were made, None if there were some.

    Raises `ConfigError` where it is not new, and its keys are gone.
    """
    if not config.exists():
        config.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):  # another process was first
            place(config, example().encode())
    settings = load_settings(config, environ)
    check_control(settings)
    data = settings.storage.data_dir
    with serving(data):
        store = ControlStore(data / CONTROL, SystemClock())
        try:
            if store.keys():
                return None
            with store.together():
                if store.keys():  # another process was first
                    return None
                return {kind: store.create_key(kind, FIRST_SITE, f"first {kind} key")[1] for kind in PURPOSE}
        finally:
            store.close()
