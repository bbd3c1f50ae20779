"""`consentry demo`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from consentryd.config.settings import MAX_PORT, Settings
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import say_all
from consentryd.gateway.cli.grant import grant_for
from consentryd.gateway.cli.option import DEFAULT_CONFIG
from consentryd.gateway.cli.welcome import PAGE_EVENT, invocation
from consentryd.gateway.demo.site import HOST, Site, open_site, pages
from consentryd.model.key import KeyKind

SHOP_NOTICE: Final = "shop-1"


def demo(
    directory: Annotated[
        Path | None, typer.Option(help="Keep the installation here; without one it is temporary.", metavar="DIR")
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=MAX_PORT, help="Port of the gateway; 0: any that is free.")] = 8088,
    shop_port: Annotated[int, typer.Option(min=0, max=MAX_PORT, help="Port of the shop; 0: any that is free.")] = 8089,
) -> None:
    """Run a gateway and a small shop with a consent banner beside it, until SIGTERM or Ctrl-C.

    Prints both addresses and opens nothing by itself. Both listen on this machine only. The shop sends with a key of its own, which is
    revoked at the end; a temporary installation is deleted with everything in it.
    """
    from consentryd.gateway.server import serve as run  # noqa: PLC0415 -- half a second that other commands need not wait

    with _place(directory) as place, open_site(shop_port) as site:
        config = place / DEFAULT_CONFIG
        settings = _settings(config, port)
        with _key(settings, site) as secret:

            def announce(address: str) -> None:
                site.serve(pages(address, secret, _notice(settings)))
                say_all(_lines(address, site.url, config))

            code = run(settings, None, announce)
    if code:
        raise typer.Exit(code)


@contextmanager
def _place(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="consentry-demo-") as made:
        yield Path(made)


def _settings(config: Path, port: int) -> Settings:
    """The installation's, on loopback. Variables that lead to another installation's data do not hold here."""
    data = config.parent / "data"
    here = {"SERVER_HOST": HOST, "SERVER_PORT": str(port), "SERVER_WORKERS": "1", "STORAGE_DATA_DIR": str(data.absolute())}
    environ = {**os.environ, **{f"CONSENTRY_{name}": value for name, value in here.items()}}
    environ.pop("CONSENTRY_SERVER_PUBLIC_URL", None)
    installation.complete(config, environ)
    return installation.load(config, environ)


def _notice(settings: Settings) -> str:
    """The one that grants need here, of several the newest; where none is needed the shop's own."""
    return grant_for(PAGE_EVENT, settings.consent).notice or SHOP_NOTICE


@contextmanager
def _key(settings: Settings, site: Site) -> Iterator[str]:
    """A write key for the shop's pages, and only while they are there."""
    with installation.control(settings) as store:
        key, secret = store.create_key(KeyKind.WRITE, installation.FIRST_SITE, "demo shop", None, site.origins)
    try:
        yield secret
    finally:
        with installation.control(settings) as store:
            store.revoke(key.id)


def _lines(gateway: str, shop: str, config: Path) -> list[str]:
    command = invocation()
    return [
        f"The shop is at    {shop}",
        f"The gateway is at {gateway}",
        "",
        f"See what is stored:      {command} events --follow --config {config}",
        f"See what is not:         {command} events --rejected --config {config}",
        "Ctrl-C ends both.",
    ]
