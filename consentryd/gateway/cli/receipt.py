"""`consentry consent verify`: whether a receipt is genuine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from consentryd.consent.receipt import BadReceipt, is_about
from consentryd.consent.receipt import verify as verify_receipt
from consentryd.gateway.cli.console import say, show_json
from consentryd.gateway.cli.keyring import read_json, trusted
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.model.error import ConfigError
from consentryd.model.identity import IdentityKind


def verify(
    file: Annotated[Path, typer.Argument(help="The receipt, or the whole answer of POST /v1/consent, as JSON.")],
    keys: Annotated[
        Path | None,
        typer.Option(help="The gateway's /.well-known/consentry/keys.json, saved; default: this installation's keys."),
    ] = None,
    anonymous_id: Annotated[str | None, typer.Option(help="Also check that the receipt is about this anonymous id.")] = None,
    user_id: Annotated[str | None, typer.Option(help="Also check that the receipt is about this user id.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Check a receipt offline: its signature, that its entry is in the signed ledger, and that both say the same. Exit code 1 if not."""
    receipt = read_json(file)
    if isinstance(receipt, dict):
        receipt = receipt.get("receipt", receipt)
    try:
        entry = verify_receipt(receipt, trusted(keys, config))
        _check_about(receipt, IdentityKind.ANONYMOUS_ID, anonymous_id)
        _check_about(receipt, IdentityKind.USER_ID, user_id)
    except BadReceipt as error:
        raise ConfigError(f"Not genuine: {error}.") from None
    if as_json:
        show_json({"genuine": True, "record_id": receipt["header"]["record_id"], "entry": entry})
        return
    say(f"Genuine: record {receipt['header']['record_id']} of {entry['at']}, site {entry['site']}, chosen by the {entry['by']}")
    for purpose, state in entry["choices"].items():
        say(f"  {purpose:<16} {state}")


def _check_about(receipt: dict[str, Any], kind: IdentityKind, value: str | None) -> None:
    if value is not None and not is_about(receipt, kind, value):
        raise BadReceipt("it is somebody else's: the id given is not the one it was issued for")
