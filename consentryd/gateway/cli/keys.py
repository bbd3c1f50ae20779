"""`consentry keys create|list|revoke`."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import idna
import typer

from consentryd.config.settings import MAX_PORT
from consentryd.gateway.cli import installation
from consentryd.gateway.cli.console import say, show, show_json, table_of_ids
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption, SiteOption
from consentryd.model.clock import SECOND
from consentryd.model.error import ConfigError
from consentryd.model.key import ApiKey, KeyKind
from consentryd.storage.control import SECRET_PREFIX

MAX_GROUP_SIZE: Final = 1_000
_ORIGIN: Final = re.compile(r"(?P<scheme>https?)://(?P<host>\[[^\]]*\]|[^:/]+)(?::(?P<port>\d{1,5}))?/?", re.ASCII)
_HOST: Final = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

app = typer.Typer(help="Make, list and revoke API keys.")


@app.command("create")
def create(
    kind: Annotated[
        KeyKind,
        typer.Argument(
            help="`write` (public, sends events), `server` (sends events), `privacy` (people's requests) or `read` (events, reports)."
        ),
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    site: Annotated[str, typer.Option(help="The site whose events it is for; a new name makes a new site.")] = "default",
    name: Annotated[str, typer.Option(help="A name for people, such as `checkout backend`.")] = "",
    region: Annotated[str | None, typer.Option(help="Put all its events into this region.")] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="A web origin that may use it, such as `https://shop.example`; repeatable. Default: any."),
    ] = None,
    min_group_size: Annotated[
        int,
        typer.Option(
            min=0, max=MAX_GROUP_SIZE, help="For read keys: answers show no group of fewer people. SQL needs a key without."
        ),
    ] = 0,
    start_over: Annotated[
        bool,
        typer.Option(
            "--start-over",
            help="Where `control.db` is lost for good, begin a new one. Old keys and saved queries do not come back.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, this once: only its hash is stored. Running gateways take it within a second."""
    settings = installation.load(config)
    if region is not None and region not in settings.regions:
        raise ConfigError(f"There is no region {region}; the regions are {', '.join(settings.regions)}.")
    if min_group_size and kind is not KeyKind.READ:
        raise ConfigError("--min-group-size is for read keys: other keys are given no answers about groups.")
    origins = [check_origin(text) for text in origin or []]
    if start_over:
        installation.start_over(settings)
    with installation.control(settings) as store:
        key, secret = store.create_key(kind, site, name or f"{kind} key", region, origins, min_group_size)
    if as_json:
        show_json({**described(key), "secret": secret})
        return
    say(f"Made {key.id}, a {kind} key of site `{site}`. Shown this once:")
    say(secret)


@app.command("list")
def list_keys(config: ConfigOption = DEFAULT_CONFIG, site: SiteOption = None, as_json: JsonOption = False) -> None:
    """List the keys, revoked ones too. The keys themselves cannot be shown again."""
    with installation.control(installation.load(config)) as store:
        every = store.keys()
    keys = [key for key in every if site in {None, key.site}]
    if as_json:
        show_json([described(key) for key in keys])
        return
    table = table_of_ids("kind", "site", "name", "region", "origins", "group size", "made", "revoked")
    for key in keys:
        shown = [key.id, key.kind, key.site, key.name, key.region or "", " ".join(key.origins) or "any"]
        shown.append(str(key.min_group_size or ""))
        table.add_row(*shown, _time(key.created_at), _time(key.revoked_at), style="dim" if key.revoked_at else None)
    show(table)


@app.command("revoke")
def revoke(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="The id that `consentry keys list` shows, such as `key_0123456789ab`.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Refuse a key from now on. Every running gateway over the same data follows within a second. It cannot be undone."""
    with installation.control(installation.load(config)) as store:
        if key_id.startswith(SECRET_PREFIX):
            raise ConfigError(_taken_for_an_id(store.lookup(key_id)))
        key = store.revoke(key_id)
    if as_json:
        show_json(described(key))
    else:
        say(f"Revoked {key.id}, a {key.kind} key of site `{key.site}`, at {_time(key.revoked_at)}.")


def _taken_for_an_id(key: ApiKey | None) -> str:
    """Never repeats the key: what is printed may be kept."""
    if key is None:
        return "That looks like a key, not like the id of one, and is no valid one. `consentry keys list` shows the ids."
    return f"That is a key, not its id: `consentry keys revoke {key.id}` revokes it."


def check_origin(text: str) -> str:
    """An origin as browsers send it: scheme, host in ASCII, and the port unless it is the scheme's own. Raises `ConfigError`."""
    origin = _ORIGIN.fullmatch(text.lower())
    host = None if origin is None else _ascii_host(origin["host"])
    if origin is None or host is None or int(origin["port"] or 0) > MAX_PORT:
        raise ConfigError(f"{text} is not an origin; write it like https://shop.example or http://127.0.0.1:3000.")
    port = int(origin["port"] or _DEFAULT_PORTS[origin["scheme"]])
    return f"{origin['scheme']}://{host}" + ("" if port == _DEFAULT_PORTS[origin["scheme"]] else f":{port}")


def _ascii_host(host: str) -> str | None:
    """None for what no host is called: browsers send no origin with a `*` in it."""
    try:
        host = host if host.isascii() else idna.encode(host, uts46=True).decode("ascii")
    except ValueError:  # idna.IDNAError is one
        return None
    return host if _HOST.fullmatch(host) else None


def described(key: ApiKey) -> dict[str, Any]:
    times = {name: _time(value) or None for name, value in (("created_at", key.created_at), ("revoked_at", key.revoked_at))}
    return {**key._asdict(), **times}


def _time(microseconds: int | None) -> str:
    return "" if microseconds is None else datetime.fromtimestamp(microseconds // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
