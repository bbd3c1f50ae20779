"""`consentry privacy verify`: whether a certificate of erasure is genuine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from consentryd.gateway.cli.console import counted, say, show_json
from consentryd.gateway.cli.keyring import read_json, trusted
from consentryd.gateway.cli.option import DEFAULT_CONFIG, ConfigOption, JsonOption
from consentryd.gateway.cli.person import named
from consentryd.model.error import ConfigError
from consentryd.model.identity import IdentityKind
from consentryd.rights.certificate import TYPE, BadCertificate, is_about
from consentryd.rights.certificate import verify as verify_certificate


def verify(
    file: Annotated[
        Path, typer.Argument(help="A certificate, or the answer of a request or of `erase` that holds some, as JSON.")
    ],
    keys: Annotated[
        Path | None,
        typer.Option(help="The gateway's /.well-known/consentry/keys.json, saved; default: this installation's keys."),
    ] = None,
    nonce: Annotated[
        str | None, typer.Option(help="The nonce the person got: also check whom the certificates are about.")
    ] = None,
    user_id: Annotated[str | None, typer.Option(help="With --nonce: the person's user id.")] = None,
    anonymous_id: Annotated[str | None, typer.Option(help="With --nonce: the person's anonymous id.")] = None,
    email: Annotated[str | None, typer.Option(help="With --nonce: the person's e-mail address, as the request named it.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Check certificates of erasure offline: signature, ledger entry, and its place in the signed ledger. Exit code 1 if one fails."""
    certificates = list(_certificates(read_json(file)))
    if not certificates:
        raise ConfigError(f"{file} holds no certificate of erasure.")
    known = trusted(keys, config)
    person = named(*([value] if value else None for value in (user_id, anonymous_id, email)))
    try:
        facts = [verify_certificate(certificate, known) for certificate in certificates]
        for each in facts:
            _check_about(each, nonce, person)
    except BadCertificate as error:
        raise ConfigError(f"Not genuine: {error}.") from None
    if as_json:
        show_json({"genuine": True, "erasures": facts})
        return
    for each in facts:
        events = each["stores"]["events"]["before"]
        say(
            f"Genuine: request {each['request']}, region {each['region']}, erased at {each['erased_at']}, {counted(events, 'event')}"
        )


def _check_about(facts: dict[str, Any], nonce: str | None, person: list[dict[str, str]]) -> None:
    if nonce is None and not person:
        return
    if nonce is None or not person:
        raise ConfigError("--nonce and the person's id go together.")
    try:
        opening = bytes.fromhex(nonce)
    except ValueError:
        raise ConfigError("--nonce is not the one that the answer to the request showed: that is made of hex digits.") from None
    for identity in person:
        kind, value = IdentityKind(identity["type"]), identity["value"]
        if not any(is_about(facts, opening, site, kind, value) for site in facts["sites"]):
            raise BadCertificate("it is somebody else's: the id given is not the one it was issued for")


def _certificates(document: Any) -> Iterator[Any]:
    """Certificates in whatever answer they were saved in."""
    if isinstance(document, list):
        for each in document:
            yield from _certificates(each)
    elif isinstance(document, dict):
        if document.get("type") == TYPE:
            yield document
        yield from _certificates(document.get("certificates", []))
