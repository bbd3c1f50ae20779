"""From the body of `POST /v1/consent` to a statement: who speaks, for which purposes, under which notice.

A write key is public, so that it proves nothing about a user id: with it a visitor speaks as their anonymous id, which only their browser
knows, and as nobody else. What enters here stays in the ledger for ever; version and language are held to alphabets no person fits into.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from consentryd.consent.purposes import Purposes
from consentryd.gateway.stages.shape import check_id
from consentryd.model.client import Client
from consentryd.model.error import BadRequest, Forbidden, Unprocessable
from consentryd.model.identity import Identity, IdentityKind
from consentryd.model.key import ApiKey, KeyKind
from consentryd.model.outcome import Reason
from consentryd.rights.consent import Statement
from consentryd.storage.choice import ChoiceState

ACTIONS: Final = {"grant": ChoiceState.GRANTED, "deny": ChoiceState.DENIED, "withdraw": ChoiceState.WITHDRAWN}
VERSION: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}")
LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}")
HASH: Final = re.compile(r"[0-9a-f]{64}")
_NAMES: Final = {IdentityKind.USER_ID: ("userId", "user_id"), IdentityKind.ANONYMOUS_ID: ("anonymousId", "anonymous_id")}


def read_statement(body: Any, key: ApiKey, client: Client, purposes: Purposes, notices: list[str], id_chars: int) -> Statement:
    """Raises `BadRequest`, `Forbidden`, `Unprocessable`."""
    if not isinstance(body, dict):
        raise BadRequest("bad_body", "The body must be an object.")
    identities = read_identities(body, key, id_chars)
    choices = _choices(body, purposes)
    granting = ChoiceState.GRANTED in choices.values()
    notice = _notice(body.get("notice"), notices, strict=granting)
    if notices and granting and notice[0] not in notices:
        raise Unprocessable("invalid", "A grant must name one of the notices in force, as `notice.version`.")
    if notices and notice[0] not in notices:  # a refusal counts under any; what only the sender knows stays in no ledger
        notice = (None, None)
    by: Literal["visitor", "server"] = "server" if key.kind is KeyKind.SERVER else "visitor"
    language = _matching(body.get("language"), LANGUAGE, "language", strict=granting)
    return Statement(key.site, by, identities, choices, notice, language, client.country, client.subdivision, client.device)


def read_identities(values: Mapping[str, Any], key: ApiKey, id_chars: int) -> tuple[Identity, ...]:
    """The ids that this key may speak for. Raises `BadRequest` for none or a bad one, `Forbidden` for a user id with a write key."""
    found = {kind: _id(values, names, id_chars) for kind, names in _NAMES.items()}
    given = [Identity(kind, value) for kind, value in found.items() if value is not None]
    if not given:
        raise BadRequest("bad_parameter", "Name the person: `anonymousId`, or with a secret key `userId`.")
    if key.kind is KeyKind.WRITE:
        given = [identity for identity in given if identity.kind is IdentityKind.ANONYMOUS_ID]
        if not given:
            raise Forbidden("forbidden_identity", "A write key speaks for an anonymousId only; a userId needs a secret key.")
    return tuple(given)


def _id(values: Mapping[str, Any], names: tuple[str, str], id_chars: int) -> str | None:
    value = values.get(names[0])
    found = check_id(values.get(names[1]) if value is None else value, id_chars)
    if isinstance(found, Reason):
        raise BadRequest("bad_parameter", "An id is not text, is too long, or is a placeholder.")
    return found


def _choices(body: Mapping[str, Any], purposes: Purposes) -> dict[str, ChoiceState]:
    """States by purpose, in order of name. Of two names for one purpose the refusal counts; names of nothing here count for nothing."""
    found: dict[str, ChoiceState] = {}
    for name, state in _named(body, purposes):
        for purpose in purposes.named(name):
            if found.get(purpose, ChoiceState.GRANTED) is ChoiceState.GRANTED:
                found[purpose] = state
    if not found:
        raise BadRequest("bad_parameter", "`purposes` names no purpose that is known here.")
    return dict(sorted(found.items()))


def _named(body: Mapping[str, Any], purposes: Purposes) -> Iterator[tuple[str, ChoiceState]]:
    action, named = body.get("action"), body.get("purposes")
    if action is not None and (not isinstance(action, str) or action not in ACTIONS):
        raise BadRequest("bad_parameter", "`action` must be grant, deny or withdraw.")
    if isinstance(named, dict) and action is None:
        if not all(isinstance(value, bool) for value in named.values()):
            raise BadRequest("bad_parameter", "`purposes` must say true or false for each.")
        return ((name, ChoiceState.GRANTED if value else ChoiceState.DENIED) for name, value in named.items())
    if action is None:
        raise BadRequest("bad_parameter", "Say `purposes` with true or false for each, or an `action`.")
    if named is None and action != "grant":
        named = sorted(purposes.all)
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise BadRequest("bad_parameter", "With an `action`, `purposes` is a list of names; a grant must name them.")
    return ((name, ACTIONS[action]) for name in named)


def _notice(notice: Any, notices: list[str], *, strict: bool) -> tuple[str | None, str | None]:
    """Version, and SHA-256 of the text. A version that the operator named may be of any letters."""
    if notice is None or isinstance(notice, str):
        return notice if notice in notices else _matching(notice, VERSION, "notice", strict=strict), None
    if not isinstance(notice, dict):
        if not strict:
            return None, None
        raise BadRequest("bad_parameter", "`notice` is a version, or an object with `version` and `hash` or `text`.")
    text = notice.get("text")
    told = hashlib.sha256(text.encode()).hexdigest() if isinstance(text, str) else notice.get("hash")
    version = notice.get("version")
    known = version if version in notices else _matching(version, VERSION, "notice.version", strict=strict)
    return known, _matching(told, HASH, "notice.hash", strict=strict)


def _matching(value: Any, pattern: re.Pattern[str], name: str, *, strict: bool) -> str | None:
    """The value if it is of its form. Of a grant another one is an error; a refusal counts, whatever stands beside it."""
    if isinstance(value, str) and pattern.fullmatch(value):
        return value
    if value is not None and strict:
        raise BadRequest("bad_parameter", f"`{name}` is not of its form.")
    return None
