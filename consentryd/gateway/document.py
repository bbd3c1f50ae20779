"""JSON: parsed within a depth, or left unread until somebody asks what it says. Most contexts never are: their like came before."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec
import orjson

from consentryd.model.error import BadRequest

#: What stands in an event for an object that is still unread: its JSON, the syntax checked, the text UTF-8. No JSON value is of this class.
Unread: Final = bytes

#: Where a record has room for JSON that did not come.
ABSENT: Final = msgspec.Raw()

#: What stands for JSON that says nothing usable, such as a number beyond all bounds.
UNREADABLE: Final = object()

_BOM: Final = b"\xef\xbb\xbf"
#: An escaped surrogate behind what backslashes stand before it (group 1): a whole pair (group 2), or half of one.
_SURROGATE: Final = re.compile(
    rb"(?<!\\)(\\*)(?:(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_HALF_CHARS: Final = len(r"\ud800")


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
    body = mended(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _refusal(body, error) from None


def mended(body: bytes) -> bytes:
    """Without a byte order mark, and half surrogate pairs as U+FFFD."""
    return _SURROGATE.sub(_whole, body.removeprefix(_BOM))


def _refusal(body: bytes, error: orjson.JSONDecodeError) -> BadRequest:
    """Where it went wrong, and nothing of what stands there."""
    try:
        body.decode()
    except UnicodeDecodeError as wrong:
        return BadRequest("bad_json", f"The body is not JSON: it is not UTF-8 at byte {wrong.start}.", byte=wrong.start)
    where = f"line {error.lineno}, column {error.colno}"
    return BadRequest("bad_json", f"The body is not JSON: it goes wrong at {where}.", line=error.lineno, column=error.colno)


def _whole(found: re.Match[bytes]) -> bytes:
    escaped, is_pair = len(found[1]) % 2 == 1, found[2] is not None
    if escaped != is_pair:  # a pair, or only the text of half a one
        return found[0]
    return found[0][:-_HALF_CHARS] + b"\\ufffd"  # of an escaped pair the second half is none
