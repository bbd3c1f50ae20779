"""The shape of an event: names, ids, nesting and size."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

import orjson

from consentryd.config.settings import Limits
from consentryd.model.outcome import Reason

#: What broken client code sends in place of an id, lower-case. One such id would join everybody who shares the bug.
PLACEHOLDER_IDS: Final = frozenset(
    {
        "anonymous",
        "anonymousid",
        "anonymous_id",
        "distinct_id",
        "distinctid",
        "email",
        "false",
        "guest",
        "id",
        "n/a",
        "nan",
        "nil",
        "none",
        "not set",
        "not_authenticated",
        "null",
        "true",
        "undefined",
        "unknown",
        "user",
        "user_id",
        "userid",
        "visitor",
        "-1",
        "#n/a",
        "[object object]",
        "{}",
        "[]",
    }
)

_LARGEST_NUMBER: Final = 2**64 - 1
_LEAST_KEY_BYTES: Final = len('"":0')
_LONGEST_WORD: Final = max(map(len, PLACEHOLDER_IDS)) + 2
#: What programs print around a value that is not there: `(null)`, `<nil>`, `'undefined'`, and what editors make of quotes.
_QUOTES: Final = "'\"`()<>\u2018\u2019\u201a\u201c\u201d\u201e\xab\xbb"
#: Letters that show nothing; a Hangul filler of any width is one of the first two by its compatibility form.
_BLANKS: Final = "\u115f\u1160\u2800"
_ZEROS: Final = "0-"
#: Names in the notations of template languages and of format strings, which nobody filled in.
_TEMPLATE: Final = re.compile(r"\{\{.*?\}\}|[$#]\{.*?\}|\A(?:<%.*%>|%[a-z@]|%\(\w+\)[a-z]|%%\w+%%|\{[A-Za-z_.]*\})\Z", re.DOTALL)

#: Event names of the calls that carry none of their own.
CALL_EVENTS: Final = {
    "page": "page_viewed",
    "screen": "screen_viewed",
    "identify": "identify",
    "group": "group",
    "alias": "alias",
}


def check_id(value: object, limit: int) -> str | Reason | None:
    """The id of a person or a group as text; None if there is none (an empty one counts as none)."""
    if isinstance(value, str):
        plain = _LONGEST_WORD < len(value) <= limit and "0" < value[0] != "<" and "{" not in value and value.isascii()
        if plain and value[-1] > " " and "\0" not in value:
            return value
        return _check_unusual_id(value, limit)
    return _check_number(value)


def check_label(value: object, limit: int) -> str | Reason | None:
    """The id of an event or a session as text: it names nobody, so any text will do. Numbers are taken as text.

    A placeholder is as good as none: taken for an id, it would make one of events, or of sessions, that have nothing in common.
    """
    if isinstance(value, str):
        longer = len(value) > _LONGEST_WORD or value.isdigit()
        if longer and len(value) <= limit and "0" < value[0] != "<" and "{" not in value and value.isascii():
            return value  # no placeholder is like this
        if len(value) > limit:
            return Reason.INVALID_ID
        return None if is_placeholder(value) else value
    if value in (0, -1) and not isinstance(value, bool):
        return None
    return _check_number(value)


def is_placeholder(text: str) -> bool:
    """Whether a text is blank, or what stands in place of an id that somebody's code did not have, however it is spelled."""
    if not text.isascii():
        text = "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf" and c not in _BLANKS)
    text = text.strip()
    word = text.strip(_QUOTES)
    if not word.strip(_ZEROS) or word.lower() in PLACEHOLDER_IDS:
        return True
    return ("{" in text or text[0] in "<%") and _TEMPLATE.search(text) is not None


def _check_number(value: object) -> str | Reason | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _LARGEST_NUMBER:
        return str(value)
    return Reason.INVALID_ID


def _check_unusual_id(value: str, limit: int) -> str | Reason | None:
    text = value.strip()
    if not text:
        return None
    if len(text) > limit or "\0" in text or is_placeholder(text):
        return Reason.INVALID_ID
    return text


def check_event_name(kind: object, name: object, limit: int) -> str | Reason:
    """The stored event name of a call."""
    if kind == "track":
        if isinstance(name, str) and 0 < len(name) <= limit and (stripped := name.strip()) and stripped.isprintable():
            return stripped
        return Reason.INVALID_EVENT
    if not isinstance(kind, str):
        return Reason.INVALID_TYPE
    found = CALL_EVENTS.get(kind)
    return Reason.INVALID_TYPE if found is None else found


def check_size(properties: dict[str, Any], body: bytes, traits: dict[str, Any], limits: Limits) -> Reason | None:
    """Whether what may be stored of an event, its properties (`body` is their JSON) and traits, keeps to the limits.

    Counting brackets and colons in the compact JSON settles nearly all events without a walk: an object with at most `depth` opening
    brackets cannot nest deeper, and one with at most `keys_per_level` colons has no level with more keys.
    """
    text = body + orjson.dumps(traits) if traits else body
    if len(text) > limits.event_bytes:
        return Reason.TOO_LARGE
    few_keys = len(text) <= _LEAST_KEY_BYTES * limits.keys_per_level or text.count(b":") <= limits.keys_per_level
    if few_keys and text.count(b"{") + text.count(b"[") <= limits.depth:
        return None
    return _check_level(properties, limits, limits.depth) or _check_level(traits, limits, limits.depth)


def _check_level(container: Any, limits: Limits, depth: int) -> Reason | None:
    if depth == 0:
        return Reason.TOO_DEEP
    if isinstance(container, dict):
        if len(container) > limits.keys_per_level:
            return Reason.INVALID_PROPERTIES
        values = container.values()
    else:
        values = container
    for value in values:
        if isinstance(value, (dict, list)) and (reason := _check_level(value, limits, depth - 1)):
            return reason
    return None
