"""JSON: parsed within a depth, or left unread until somebody asks what it says. Most contexts never are: their like came before."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson

from consentryd.model.error import BadRequest

#: What stands in an event for an object that is still unread: its JSON, the syntax checked, the text UTF-8. No JSON value is of this class.
Unread: Final = bytes

#: What stands for JSON that says nothing usable, such as a number beyond all bounds.
UNREADABLE: Final = object()

_BOM: Final = b"\xef\xbb\xbf"
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)


def look_into(value: Any) -> Any:
    """The value of JSON that is still unread, `UNREADABLE` if it has none; any other value as it is."""
    if value.__class__ is not Unread:
        return value
    try:
        return parse(value)
    except BadRequest:
        return UNREADABLE


def parse(body: bytes) -> Any:
    """JSON as the standard says, at most 1024 levels deep. The last of duplicate keys counts; integers beyond 64 bits become floats.

    Half a surrogate pair, which JavaScript sends when it cuts an emoji in two, is read as U+FFFD: one such string must not cost the
    sender the whole batch. Raises `BadRequest`.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return orjson.loads(_ESCAPE.sub(_whole, body.removeprefix(_BOM)))
    except orjson.JSONDecodeError:
        raise BadRequest("bad_json", "The body is not JSON.") from None


def _whole(escape: re.Match[bytes]) -> bytes:
    return escape[0] if escape[1] is None else b"\\ufffd"
