"""`consentry serve`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from consentryd.config.settings import MAX_PORT, MAX_WORKERS, Settings
from consentryd.gateway.address import is_everywhere
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.check_config import check_contents
from consentryd.gateway.cli.console import say_all
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption
from consentryd.gateway.cli.welcome import ELSEWHERE, anew, created, first_start, invocation, next_start
from consentryd.model.error import ConfigError
from consentryd.model.key import KeyKind
from consentryd.storage.location import CONTROL


def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    host: Annotated[str | None, typer.Option(help="Address to listen on, instead of `server.host`.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=MAX_PORT, help="Port to listen on, instead of `server.port`.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=MAX_WORKERS, help="Processes on one port, instead of `server.workers`.")
    ] = None,
    regions: Annotated[
        str | None, typer.Option(help="Serve only these regions, with commas: `eu,us`. Events of others are refused (421).")
    ] = None,
) -> None:
    """Run the gateway until SIGTERM or Ctrl-C, which commit what is in flight and leave with 0.

    Where nothing was set up it first does what `consentry init` does, and prints the four keys with lines to paste: curl, an HTML
    snippet, Python. The next start uses what is there.

    For example `consentry serve --port 9000 --workers 2`, or `consentry serve --regions eu` with another process elsewhere for the
    others.
    """
    environ = {**os.environ, **_overrides(host, port, workers)}
    _check_first_start(config, environ)
    is_new = not config.exists()
    secrets = installation.complete(config, environ)
    if secrets is not None:
        say_all(created(secrets, config))
    elif is_new:
        say_all(anew(config))
    settings = installation.load(config, environ)
    served = _served(settings, regions)
    from consentryd.gateway.server import serve as run  # noqa: PLC0415 -- half a second that other commands need not wait

    def announce(address: str) -> None:
        say_all(_welcome(settings, settings.server.public_url or address, secrets, config))

    code = run(settings, served, announce)
    if code:
        raise typer.Exit(code)


def _check_first_start(config: Path, environ: Mapping[str, str]) -> None:
    """What would stop the start is said before keys are made, which are shown only once. Raises `ConfigError`."""
    settings = installation.load(config if config.exists() else None, environ)
    if not (settings.storage.data_dir / CONTROL).exists():
        check_contents(settings)


def _overrides(host: str | None, port: int | None, workers: int | None) -> dict[str, str]:
    given = {"HOST": host, "PORT": port, "WORKERS": workers}
    return {f"CONSENTRY_SERVER_{name}": str(value) for name, value in given.items() if value is not None}


def _served(settings: Settings, regions: str | None) -> list[str] | None:
    if regions is None:
        return None
    wanted = list(dict.fromkeys(name.strip() for name in regions.split(",") if name.strip()))
    for name in wanted:
        if name not in settings.regions:
            raise ConfigError(f"--regions names {name}, but the regions are {', '.join(settings.regions)}.")
    if not wanted:
        raise ConfigError("--regions names no region.")
    return wanted


def _welcome(settings: Settings, url: str, secrets: Mapping[KeyKind, str] | None, config: Path) -> list[str]:
    if secrets is not None:
        lines = first_start(url.rstrip("/"), secrets, settings.consent, invocation(), config)
    else:
        with installation.control(settings) as store:
            control = settings.storage.data_dir / CONTROL
            lines = next_start(url.rstrip("/"), store.keys(), control, invocation(), config)
    if settings.server.public_url is None and is_everywhere(settings.server.host):
        lines.insert(1, ELSEWHERE)
    return lines
