"""Whether a value is what its key says: `mobile: "iPhone"` is no number, `email: "newsletter"` no address."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from consentryd.privacy.age import AGE
from consentryd.privacy.detect.phone import is_phone_like

_DIGIT: Final = re.compile(r"\d")
_WORD: Final = re.compile(r"[^\W_]")
_AT: Final = re.compile("@|\\bat\\b|%40|&#|\\uff20|\\ufe6b|&commat;", re.IGNORECASE)
#: What becomes of permissions, banners and forms, and is nobody's password: `authorization: "granted"`, `cookies: "accepted"`.
_STATES: Final = frozenset(
    [
        "accept", "accepted", "all", "allowed", "authorised", "authorized", "declined", "denied", "disabled", "dismissed", "enabled",
        "essential", "expired", "false", "functional", "granted", "invalid", "missing", "necessary", "no", "none", "notdetermined", "null",
        "refused", "rejected", "required", "restricted", "true", "undefined", "undetermined", "valid", "yes",
    ]
)  # fmt: skip
_LEAST_NUMBER: Final = 4
_AGE: Final = re.compile(AGE, re.IGNORECASE)
_MOST_AGE: Final = 5


def _is_number(text: str) -> bool:
    return len(text) >= _LEAST_NUMBER and _DIGIT.search(text) is not None


def _is_word(text: str) -> bool:
    return _WORD.search(text) is not None


def _is_whole_agent(text: str) -> bool:
    """What was cut short inside its brackets, as by the semicolon in a URL, is left to the detector."""
    return _is_word(text) and ("(" not in text or ")" in text)


_FITS: Final[dict[str, Callable[[str], bool]]] = {
    "email": lambda text: _AT.search(text) is not None,
    "phone": is_phone_like,
    "age": lambda text: (len(text) <= _MOST_AGE and _DIGIT.search(text) is not None) or _AGE.fullmatch(text.strip()) is not None,
    "name": _is_word,
    "secret": lambda text: _is_word(text) and text.strip().lower().replace("_", "").replace(" ", "") not in _STATES,
    "click_id": _is_word,
    "birth_date": lambda text: _DIGIT.search(text) is not None,
    "url_id": _is_word,
    "postal_address": _is_word,
    "user_id": _is_word,
    "user_agent": _is_whole_agent,
    "coordinate": lambda text: _DIGIT.search(text) is not None,
}


def fits(hint: str, value: Any) -> bool:
    """Numbers and texts only; what else a key may hold is looked at on its own."""
    return _FITS.get(hint, _is_number)(str(value))
