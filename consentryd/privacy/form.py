"""The form of an event's properties: what their JSON has in common with that of other events of its kind.

Two bodies have one form if they differ only in which digits stand where, in the UUIDs and times (milliseconds, 13 digits) that are
whole values, and in numbers of up to ten digits. What `gate` looks for depends on none of these (`harmless`), so what was found of one
body holds for all of its form: `is_general` says of which forms.
"""

from __future__ import annotations

import re
from typing import Final

_ZEROS: Final = bytes.maketrans(b"123456789", b"0" * 9)
_HEX_ZEROS: Final = bytes.maketrans(b"123456789abcdefABCDEF", b"0" * 21)

#: More digits than a harmless number has. Each such run of (hexadecimal) digits must be the end of a UUID, or a time.
_LONG: Final = b"0" * 11
_UUID: Final = b'"00000000-0000-0000-0000-000000000000"'
_TIME: Final = b'":0000000000000'
_TIME_DIGITS: Final = 13
_NODE_DIGITS: Final = 12  # of a UUID, its last group
_BEFORE_NODE: Final = len(_UUID) - _NODE_DIGITS - 1
_FIRST_OF_TIME: Final = ord("1")  # the years 2001 to 2033
_ENDS: Final = b",]}"

_NUMBER: Final = re.compile(rb'":[0.]+')
_NUMBERED_KEY: Final = re.compile(rb'0[^"]*":')


def form_of(body: bytes) -> bytes | None:
    """The form of compact JSON; None where a long run of digits is neither a UUID nor a time."""
    shape = body.translate(_ZEROS)
    digits = body.translate(_HEX_ZEROS)
    at = digits.find(_LONG)
    pieces, last = [], 0
    while at >= 0:
        if digits[at - _BEFORE_NODE : at + _NODE_DIGITS + 1] == _UUID:
            start, end = at - _BEFORE_NODE + 1, at + _NODE_DIGITS
            is_value = digits[end + 1] in _ENDS
        else:
            start, end = at, at + _TIME_DIGITS
            is_value = shape[at - 2 : end] == _TIME and body[at] == _FIRST_OF_TIME and shape[end] in _ENDS
        if not is_value:
            return None
        pieces.append(shape[last:start])
        last = end
        at = digits.find(_LONG, end)
    return b"".join([*pieces, shape[last:]]) if last else shape


def without_numbers(form: bytes) -> bytes:
    """A form in which numbers of one digit and of ten are alike."""
    return _NUMBER.sub(b'":0', form)


def is_general(form: bytes) -> bool:
    """Whether what a form does not tell can be of no account. A digit in a key is (`ipv4`), and so it is in an escaped character."""
    return b"\\" not in form and _NUMBERED_KEY.search(form) is None
