"""Personal data taken out before anything leaves the process. The gateway scrubs again, with many more rules."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit, urlunsplit

# Lengths are bounded (RFC 5321 has 64 and 63) so that no text takes quadratic time.
_EMAIL = re.compile(r"[\w.!$%'*+`{|}~-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63})+")
# 9 digits and more, single separators allowed: phones, cards, national ids.
_DIGITS = re.compile(r"\+?[0-9](?:[ .-]?[0-9]){8,}")
_TOKEN = re.compile(r"eyJ[\w.-]+|[\da-f]{8}(?:-[\da-f]{4,12}){4}|\w{20,}", re.IGNORECASE | re.ASCII)
_SECRET = re.compile(
    r"token|(^|[_-])key|auth|pass|pwd|secret|code|sess|^sid|sig|mail|phone|jwt|otp|clid$|name|user|nonce|state", re.IGNORECASE
)
_PAIR = re.compile(r"([^&=]+)(=[^&]*)?")
_LONGEST = 32 * 1024  # the gateway's limit for one event
_SHORTEST = 6  # a@b.co; no run of digits that counts is shorter
_LEAST_DIGITS = 12
_LEAST_PHONE = 9

#: Names of properties whose value is nobody's business, whatever it looks like.
SECRET_KEYS = frozenset(
    (
        *("password", "passwd", "pwd", "secret", "token", "access_token", "refresh_token", "accessToken", "refreshToken"),
        *("api_key", "apiKey", "authorization", "cookie", "set_cookie", "credit_card", "creditCard", "card_number", "cardNumber"),
        *("cvc", "cvv", "iban", "ssn"),
    )
)


class TooLong(ValueError):
    """A text that fits no event: going through megabytes would hold the caller for seconds."""


def redact(value: Any) -> Any:
    """`value` if there is nothing to take out of it, else a copy. Looks into dictionaries and lists. Raises `TooLong`."""
    kind = value.__class__
    if kind is str:
        if len(value) > _LONGEST:
            raise TooLong
        return redact_text(value) if len(value) >= _SHORTEST else value
    if kind is dict:
        return _redact_dict(value)
    if kind is list or kind is tuple:
        changed = [redact(item) for item in value]
        return changed if any(new is not old for new, old in zip(changed, value)) else value
    return _redact_kin(value)


def _redact_kin(value: Any) -> Any:
    """JSON writes a template's safe text, an `OrderedDict` or a named tuple as what it descends from."""
    if isinstance(value, str):
        return redact(str.__str__(value))
    if isinstance(value, dict):
        return redact(dict(value))
    if isinstance(value, (list, tuple)):
        return redact(list(value))
    return value


def _redact_dict(value: dict[Any, Any]) -> dict[Any, Any]:
    """Written out for plain values: nearly all are, and a call for each would double the cost of an event."""
    changed = None
    for key, item in value.items():
        kind = item.__class__
        if key in SECRET_KEYS:
            new: Any = "[redacted]"
        elif kind is int or kind is float or kind is bool or item is None or (kind is str and len(item) < _SHORTEST):
            continue
        else:
            new = redact(item)
        if new is not item:
            if changed is None:
                changed = dict(value)
            changed[key] = new
    return value if changed is None else changed


def redact_text(text: str) -> str:
    """E-mail addresses, and digit runs of 12 and more (9 after a plus): an order number or a time in seconds stays."""
    clean = _EMAIL.sub("[email]", text) if "@" in text or "%40" in text else text
    if _DIGITS.search(clean):
        clean = _DIGITS.sub(_long_run, clean)
    return text if clean == text else clean


def redact_url(url: str) -> str:
    """A URL without user-info and fragment; e-mail addresses, tokens, ids and the values of parameters named like secrets replaced."""
    try:
        parts = urlsplit(url)
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https", ""}:
        return f"{parts.scheme}:"
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    # two slashes at the beginning of a path would make it a host
    path = parts.path if host else re.sub("^//+", "/", parts.path)
    return urlunsplit((parts.scheme, host + port, _part(path), _PAIR.sub(_parameter, parts.query), ""))


def _parameter(pair: re.Match[str]) -> str:
    return f"{_part(pair[1])}=[redacted]" if pair[2] and _SECRET.search(pair[1]) else _part(pair[0])


def _part(text: str) -> str:
    return _DIGITS.sub("[number]", _TOKEN.sub(_token, _EMAIL.sub("[email]", text)))


def _token(run: re.Match[str]) -> str:
    text = run[0]
    return "[token]" if re.search("[0-9]", text) and re.search("[A-Za-z]", text) else text


def _long_run(run: re.Match[str]) -> str:
    digits = sum(character.isdigit() for character in run[0])
    return "[number]" if digits >= (_LEAST_PHONE if run[0][0] == "+" else _LEAST_DIGITS) else run[0]
