"""Subject tokens: short-lived JWTs (RFC 7519) with which a site's backend lets a logged-in person act for themself, and for nobody else.

Claims: `aud` the site; `sub` the user id, `anonymous_id` and `email` (verified by the site), at least one; `iat` and `exp`, an hour apart
at most, and `nbf` if it is to begin later. HS256 with the site's secret, or EdDSA with its key: the site's settings say which, never the
token.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from consentryd.config.settings import Settings, Site
from consentryd.model.clock import HOUR, MINUTE, SECOND
from consentryd.model.error import ConfigError, Unauthorized
from consentryd.model.identity import IdentityKind
from consentryd.rights.demand import NamedIdentity
from consentryd.rights.desk import Caller

LONGEST: Final = HOUR
SKEW: Final = MINUTE
SECRET_BYTES: Final = 32

_CLAIMS: Final = {"sub": IdentityKind.USER_ID, "anonymous_id": IdentityKind.ANONYMOUS_ID, "email": IdentityKind.EMAIL}
_MOST_CHARS: Final = 4096


def is_token(secret: str) -> bool:
    """Whether a bearer looks like a token rather than a key."""
    return secret.startswith("ey") and secret.count(".") == 2  # noqa: PLR2004 - header, claims, signature


def read_token(text: str, settings: Settings, now: int) -> Caller:
    """Whom the token speaks for, at `now` (UTC microseconds). Raises `Unauthorized`, which never says what was wrong with the claims."""
    try:
        site = _site(text, settings)
        claims = _verified(text, settings.site_of(site))
        return Caller(f"token of {site}", (site,), _identities(claims, now))
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError):
        raise Unauthorized("bad_token", "The token is not valid here, or not any more.") from None


def check_tokens(settings: Settings) -> None:
    """Raises `ConfigError` for a site's secret that is too short or a key that is none."""
    _check(settings.site, "site")  # first: sites take over what they do not say
    for name, site in settings.sites.items():
        _check(site, f"sites.{name}")


def _check(site: Site, table: str) -> None:
    secret = site.subject_token_secret
    if secret is not None and len(secret.get_secret_value().encode()) < SECRET_BYTES:
        raise ConfigError(f"{table}.subject_token_secret must be {SECRET_BYTES} bytes or longer.")
    if site.subject_verifier is not None:
        try:
            _public_key(site.subject_verifier)
        except ValueError:
            raise ConfigError(f"{table}.subject_verifier must be base64 of the 32 bytes of an Ed25519 public key.") from None


def _site(text: str, settings: Settings) -> str:
    """The site whose key must have signed: named by the token, believed only once the signature is checked."""
    if len(text) > _MOST_CHARS:
        raise ValueError
    told = jwt.decode(text, options={"verify_signature": False})["aud"]
    if not isinstance(told, str) or (told not in settings.sites and not _takes_tokens(settings.site)):
        raise ValueError
    told.encode()  # half of a surrogate pair is no text
    return told


def _takes_tokens(site: Site) -> bool:
    return site.subject_token_secret is not None or site.subject_verifier is not None


def _verified(text: str, site: Site) -> dict[str, Any]:
    options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False, "require": ["exp", "iat"]}
    if site.subject_verifier is not None:
        return jwt.decode(text, _public_key(site.subject_verifier), algorithms=["EdDSA"], options=options)
    if site.subject_token_secret is not None:
        return jwt.decode(text, site.subject_token_secret.get_secret_value(), algorithms=["HS256"], options=options)
    raise ValueError


def _identities(claims: dict[str, Any], now: int) -> tuple[NamedIdentity, ...]:
    """Times are checked here, with the gateway's clock and not the library's."""
    issued, expires = int(claims["iat"]) * SECOND, int(claims["exp"]) * SECOND
    begins = max(issued, int(claims.get("nbf", 0)) * SECOND)
    if not begins - SKEW <= now < expires or expires - issued > LONGEST:
        raise ValueError
    found = [NamedIdentity(kind, claims[name]) for name, kind in _CLAIMS.items() if claims.get(name)]
    if not found or not all(isinstance(identity.value, str) and identity.value.strip() for identity in found):
        raise ValueError
    for identity in found:
        identity.value.encode()  # half of a surrogate pair is no text
    return tuple(identity._replace(value=identity.value.strip()) for identity in found)


def _public_key(text: str) -> Ed25519PublicKey:
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
