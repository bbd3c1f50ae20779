"""JSON inside a text: between blanks, as a string literal, line by line, and as careless programs write it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import orjson

#: What may stand around JSON. Other blanks are folded first.
_AROUND: Final = " \t\n\r\v\f,;"
_AROUND_BYTES: Final = _AROUND.encode()
_FIRST: Final = frozenset('{["' + _AROUND)
_FIRST_BYTES: Final = frozenset(byte.to_bytes(1, "big") for byte in b'{["' + _AROUND_BYTES)
_OPENS: Final = (b"{", b"[")
_CLOSES: Final = (b"}", b"]")

_STRING_OR_COMMA: Final = re.compile(r'"(?:[^"\\]+|\\.?)*+"?|,(?=\s*[}\]])', re.DOTALL)


def may_be_json(text: str) -> bool:
    """Whether a text that is not empty begins and ends as JSON that holds something."""
    if text[0] not in _FIRST:
        return False
    inner = text.strip(_AROUND)
    return (inner[:1] in {"{", "["} and inner[-1:] in {"}", "]"}) or _may_be_literal(inner[:1], inner[-1:], "\\" in inner)


def bytes_may_be_json(raw: bytes) -> bool:
    """The same of UTF-8, for JSON with keys or texts in it."""
    if raw[:1] not in _FIRST_BYTES or b'"' not in raw:
        return False
    inner = raw.strip(_AROUND_BYTES)
    return (inner[:1] in _OPENS and inner[-1:] in _CLOSES) or _may_be_literal(
        inner[:1].decode("ascii", "replace"), inner[-1:].decode("ascii", "replace"), b"\\" in inner
    )


def _may_be_literal(first: str, last: str, escaped: bool) -> bool:
    """A literal without a backslash hides nothing."""
    return escaped and first == last == '"'


def parsed(text: str) -> tuple[Any, Callable[[Any], str]] | None:
    """The value in a text and how to write another in its place; None where it is no JSON."""
    inner = text.strip(_AROUND)
    try:
        value, write = orjson.loads(inner), _compact
    except ValueError:
        if '"' not in inner:
            return None
        try:
            value, write = json.loads(_STRING_OR_COMMA.sub(_without_comma, inner)), _lenient
        except (ValueError, RecursionError):
            return None
    return value, write if inner == text else partial(_between, text, inner, write)


def _between(text: str, inner: str, write: Callable[[Any], str], value: Any) -> str:
    start = text.index(inner)
    return f"{text[:start]}{write(value)}{text[start + len(inner) :]}"


def lines_of(text: str) -> list[str] | None:
    """The lines of JSON Lines, ends included; None where not every line may be JSON."""
    lines = text.splitlines(keepends=True) if '"' in text else []
    filled = [line for line in lines if not line.isspace()]
    return lines if len(filled) > 1 and all(map(may_be_json, filled)) else None


def _without_comma(match: re.Match[str]) -> str:
    return "" if match[0] == "," else match[0]


def _compact(value: Any) -> str:
    return orjson.dumps(value).decode()


def _lenient(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
