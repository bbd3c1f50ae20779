"""`consentry snippet`."""

from __future__ import annotations

from html import escape
from typing import Annotated, Final

import typer
from pydantic import TypeAdapter, ValidationError

from consentryd.config.settings import Settings, Url
from consentryd.gateway import sdk
from consentryd.gateway.address import is_everywhere, url_of
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import complain, say, show_json
from consentryd.gateway.cli.grant import Grant, grant_for
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.gateway.cli.welcome import PAGE_EVENT
from consentryd.model.error import ConfigError
from consentryd.model.key import KeyKind

PLACEHOLDER: Final = "YOUR_WRITE_KEY"


def snippet(
    config: ConfigOption = DEFAULT_CONFIG,
    site: Annotated[str | None, typer.Option(help="Make a new write key for this site and put it in.", metavar="NAME")] = None,
    key: Annotated[str | None, typer.Option(help="Put in this write key.", metavar="KEY")] = None,
    url: Annotated[str | None, typer.Option(help="The gateway as browsers reach it; default: `server.public_url`.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the script element for a page, with the hash that lets the browser refuse any other script.

    The address holds the SDK's version and may be kept for ever. A gateway serves the version it came with: after an update print the
    snippet anew, or copy the script to your own host and say `data-host`. `/sdk.js` without a hash always is the version at hand.

    Where `consent.notices` has any, the element names the last; where page views serve another purpose than `analytics`, it says so.

    Without `--key` or `--site` a placeholder stands for the key, since keys cannot be shown again.
    """
    settings = installation.load(config)
    address = (_address(settings) if url is None else _checked(url)).rstrip("/")
    secret = _secret(settings, site, key)
    script = f"{address}/sdk/{sdk.VERSION}.js"
    element = html(script, sdk.integrity("sdk.js"), secret, grant_for(PAGE_EVENT, settings.consent))
    if as_json:
        show_json({"html": element, "src": script, "integrity": sdk.integrity("sdk.js"), "version": sdk.VERSION, "key": secret})
        return
    say(element)
    if url is None and settings.server.public_url is None and is_everywhere(settings.server.host):
        complain(
            "Browsers on this machine alone reach localhost: --url or `server.public_url` says where others find the gateway."
        )
    if secret == PLACEHOLDER:
        complain("The key is a placeholder: --key takes one that you have, --site makes a new one.")


def html(script: str, integrity: str, secret: str, grant: Grant) -> str:
    element = f'script async src="{escape(script)}" integrity="{integrity}" crossorigin="anonymous" data-key="{escape(secret)}"'
    return f"<{element}{grant.attributes}></script>"


def _checked(url: str) -> str:
    """Raises `ConfigError` for what a page would look for on its own host."""
    try:
        return TypeAdapter(Url).validate_python(url)
    except ValidationError:
        raise ConfigError("--url must be an address such as `https://events.example.com`.") from None


def _address(settings: Settings) -> str:
    server = settings.server
    return server.public_url or url_of(server.host, server.port)


def _secret(settings: Settings, site: str | None, key: str | None) -> str:
    """Raises `ConfigError` for a key that is no valid write key here, or belongs to another site."""
    if site is None and key is None:
        return PLACEHOLDER
    with installation.control(settings) as store:
        if key is None:
            return store.create_key(KeyKind.WRITE, str(site), "snippet")[1]
        known = store.lookup(key)
    if known is None or known.kind is not KeyKind.WRITE:
        raise ConfigError("--key is not a write key that is valid here; only write keys may stand in pages.")
    if site not in {None, known.site}:
        raise ConfigError(f"--key belongs to site {known.site}, not to {site}.")
    return key
