"""The first look at an event: three passes of C code over its JSON say which families of detectors could match at all.

Most events have none of the signs, and are not looked at further.
"""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.detect.detector import Gate

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = b"0123456789"
_ALNUM: Final = _LETTERS + _DIGITS
_SHAPES: Final = bytes.maketrans(_ALNUM, b"a" * 52 + b"0" * 10)
_RUNS: Final = bytes.maketrans(_ALNUM, b"a" * 62)
_GAPS: Final = b" -./()"

_SIGNS: Final = re.compile(rb"[@%\\+?#=\x80-\xff]|&[#;]|\.\.\.|::|-----")
_ESCAPE: Final = re.compile(rb"%(?:40|2[05bBdDeE]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|[Ee][0-9A-Fa-f]%|[fF])")
_ENTITY: Final = re.compile(rb"&(?:#|[a-z]{2,12};)")
_PLUS: Final = re.compile(rb"\+[ (]{0,2}[0-9]")
_FILE_PATH: Final = re.compile(
    rb"(?i:/(?:home|users?|accounts?|customers?|members?|profiles?|patients?|people|person|clients?|contacts?)/)"
)
_LONG_RUN: Final = b"a" * 14
_ADDRESS_SIGNS: Final = (b"...", b":::::", b"-----")


def gate_of(data: bytes) -> int:
    """The signs in UTF-8 text or JSON, as a union of `Gate` values; 0 when nothing can match."""
    marks = data.translate(None, _ALNUM)
    gate = _by_marks(marks, data) if _SIGNS.search(marks) else 0
    shapes = data.translate(_SHAPES, _GAPS)
    if b"000000" in shapes:
        if b"000000000" in shapes:
            gate |= Gate.DIGITS
        if b"a0000000a" in shapes or b"00000000a" in shapes or b"aa000000a" in shapes or b"000000a000" in shapes:
            gate |= Gate.SHAPE
        elif b"000000+000" in shapes:
            gate |= Gate.SHAPE | Gate.DIGITS
    if b"aaaaa0000a" in shapes:
        gate |= Gate.SHAPE
    if _LONG_RUN in data.translate(_RUNS):
        gate |= Gate.RUN
    if b"/" in marks and _FILE_PATH.search(data):
        gate |= Gate.FILE_PATH
    if b"asic " in data or b"ASIC " in data:
        gate |= Gate.BASIC
    return gate


def _by_marks(marks: bytes, data: bytes) -> int:
    gate = 0
    if b"@" in marks:
        gate |= Gate.AT
    if (
        b"\\" in marks
        or not marks.isascii()
        or (b"%" in marks and _ESCAPE.search(data))
        or (b"&" in marks and _ENTITY.search(data))
    ):
        gate |= Gate.ENCODED
    if b"+" in marks and _PLUS.search(data):
        gate |= Gate.PLUS
    if any(sign in marks for sign in _ADDRESS_SIGNS) or (b"::" in marks and b"::" in data):
        gate |= Gate.ADDRESS
    if b"=" in marks:
        gate |= Gate.QUERY
    return gate
