"""Which key a request carries, and what that key may do."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from consentryd.model.error import Forbidden, Unauthorized
from consentryd.model.key import ApiKey, KeyKind

COLLECTING: Final = frozenset({KeyKind.WRITE, KeyKind.SERVER})
READING: Final = frozenset({KeyKind.READ})


def secret_in_head(headers: Mapping[str, str], query: Mapping[str, str] | None) -> str | None:
    """The secret in Authorization (Basic user name, Bearer), X-Write-Key or the query, in this order."""
    authorization = headers.get("Authorization")
    if authorization is not None and (secret := _from_authorization(authorization)):
        return secret
    if secret := headers.get("X-Write-Key"):
        return secret
    if query:
        return query.get("writeKey") or query.get("write_key") or None
    return None


def _from_authorization(value: str) -> str | None:
    scheme, _, credentials = value.partition(" ")
    match scheme.lower():
        case "bearer":
            return credentials.strip() or None
        case "basic":
            return _basic_user(credentials)
        case _:
            return None


def _basic_user(credentials: str) -> str | None:
    try:
        decoded = base64.b64decode(credentials.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return decoded.partition(":")[0] or None


def check_key(key: ApiKey | None, allowed: frozenset[KeyKind]) -> ApiKey:
    """Raises `Unauthorized` for no key, `Forbidden` for a key of another kind."""
    if key is None:
        raise Unauthorized("unknown_key", "The key is not known here, or it was revoked.")
    if key.kind not in allowed:
        raise Forbidden("wrong_key_kind", f"This endpoint takes a {' or '.join(sorted(kind.value for kind in allowed))} key.")
    return key


def check_origin(key: ApiKey, origin: str | None) -> None:
    """Write keys with an allow-list take no other origin; secret keys take none, for a secret in a page is no secret any more.

    A request without an origin does not come from a page's script and passes: an allow-list binds browsers only, since everything else
    can claim any origin. Raises `Forbidden`.
    """
    if origin is None:
        return
    if key.kind is not KeyKind.WRITE:
        raise Forbidden("wrong_key_kind", "Secret keys must not be used in a browser; use a write key.")
    if key.origins and origin.lower().rstrip("/") not in {allowed.lower().rstrip("/") for allowed in key.origins}:
        raise Forbidden("forbidden_origin", "This origin is not on the key's list.")
