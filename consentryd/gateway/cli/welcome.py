"""What a newcomer sees at the first start: the keys and lines to paste, each with its consent grant."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from consentryd.config.settings import Consent
from consentryd.gateway.cli.grant import Grant, grant_for
from consentryd.gateway.cli.installation import PURPOSE
from consentryd.gateway.cli.option import DEFAULT_CONFIG
from consentryd.gateway.stages.shape import CALL_EVENTS
from consentryd.model.clock import SECOND
from consentryd.model.key import ApiKey, KeyKind

EVENT: Final[dict[str, Any]] = {
    "event": "signup_completed",
    "anonymousId": "visitor-1",
    "properties": {"plan": "free"},
}
PAGE_EVENT: Final = CALL_EVENTS["page"]

#: Said where a gateway listens on every address of its machine.
ELSEWHERE: Final = (
    "and at all other addresses of this machine. `server.public_url` says which one pages elsewhere ask; these lines name it."
)


def invocation() -> str:
    """How to call this program from here: its name where the shell finds it, else the path it was started by."""
    return "consentry" if shutil.which("consentry") or not sys.argv[0].endswith("consentry") else os.path.relpath(sys.argv[0])


def key_lines(secrets: Mapping[KeyKind, str]) -> list[str]:
    return [f"  {kind + ' key':<12} {secret}   {PURPOSE[kind]}" for kind, secret in secrets.items()]


def created(secrets: Mapping[KeyKind, str], config: Path) -> list[str]:
    """The lines about keys just made, said at once: they cannot be said later."""
    return [f"Set up {config}. The keys, shown this once (only their hashes are stored):", *key_lines(secrets), ""]


def anew(config: Path) -> list[str]:
    """The lines about settings just written beside keys that were there before: whoever had others hears that these are not theirs."""
    return [f"{config} did not exist and was written. Its settings are the defaults; `CONSENTRY_` variables hold beside it.", ""]


def option(config: Path) -> str:
    """What commands need so that they read the same settings."""
    return "" if config == DEFAULT_CONFIG else f" --config {shlex.quote(str(config))}"


def first_start(url: str, secrets: Mapping[KeyKind, str], settings: Consent, command: str, config: Path) -> list[str]:
    """The lines of the first start, once the gateway at `url` takes events. `command` is how this program is called from here."""
    granted = {**EVENT, "context": grant_for(EVENT["event"], settings).context}
    return [
        f"Consentry takes events at {url}",
        "",
        "Send an event that carries a grant:",
        *_indent(curl(url, secrets[KeyKind.WRITE], granted)),
        "",
        "The same without a grant is not stored, and the answer says why:",
        *_indent(curl(url, secrets[KeyKind.WRITE], EVENT)),
        "",
        "From a web page:",
        *_indent(snippet(url, secrets[KeyKind.WRITE], grant_for(PAGE_EVENT, settings))),
        "",
        "From Python:",
        *_indent(python(url, secrets[KeyKind.SERVER], granted)),
        "",
        f"Read it back:     {command} events{option(config)}",
        *addresses(url),
    ]


def next_start(url: str, keys: Sequence[ApiKey], database: Path, command: str, config: Path) -> list[str]:
    """The lines of every later start. `command` is how this program is called from here."""
    made = datetime.fromtimestamp(min(key.created_at for key in keys) / SECOND, UTC)
    active = sum(key.revoked_at is None for key in keys)
    summary = f"Keys were made on {made:%Y-%m-%d %H:%M} UTC in {database}; {active} are valid."
    return [
        f"Consentry takes events at {url}",
        f"{summary} `{command} keys list{option(config)}` lists them, `{command} keys create write{option(config)}` makes another.",
        f"For a web page:   {command} snippet --url {url}{option(config)}",
        f"Read events back: {command} events{option(config)}",
        *addresses(url),
    ]


def addresses(url: str) -> list[str]:
    return [f"HTTP API:         {url}/docs (described by {url}/openapi.json)", f"Health, numbers:  {url}/readyz  {url}/metrics"]


def curl(url: str, write_key: str, event: Mapping[str, Any]) -> list[str]:
    body = json.dumps(event)
    return [f"curl -u {write_key}: -H 'Content-Type: application/json' {url}/v1/track -d '{body}'"]


def snippet(url: str, write_key: str, grant: Grant) -> list[str]:
    return [
        f'<script async src="{url}/sdk.js" data-key="{write_key}"{grant.attributes}></script>',
        f'<!-- Nothing is sent before the visitor agrees and the page calls consentry.consent.grant("{grant.purpose}") -->',
    ]


def python(url: str, server_key: str, event: Mapping[str, Any]) -> list[str]:
    return [
        "import json, urllib.request",
        f"event = {event!r}",
        f'headers = {{"Authorization": "Bearer {server_key}", "Content-Type": "application/json"}}',
        f'request = urllib.request.Request("{url}/v1/track", json.dumps(event).encode(), headers)',
        "print(urllib.request.urlopen(request).read().decode())",
    ]


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]
