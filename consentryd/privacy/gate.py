"""The first look at an event: three passes of C code over its JSON say which families of detectors could match at all.

Most events show no sign and are not looked at further; `confirm` clears most of the rest. On 800 bytes, to find a byte costs 0.1 us, to
translate them 0.5 us, a regular expression that may start anywhere 10 us: so expressions are only tried where something was found.
"""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.decode import CONTROLS
from consentryd.privacy.detect.detector import Gate
from consentryd.privacy.detect.location import PEOPLE, PICTURE, PROFILE, SENT
from consentryd.privacy.detect.phone import LINK

_LETTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = b"0123456789"
_ALNUM: Final = _LETTERS + _DIGITS
SHAPES: Final = bytes.maketrans(_ALNUM + b"_\t", b"a" * 52 + b"0" * 10 + b",,")
RUNS: Final = bytes.maketrans(_ALNUM, b"a" * 62)
GAPS: Final = b" ./()\r\n"
LONG_RUN: Final = b"a" * 14
PARTED: Final = b"0000,0000,"
LONG_NUMBER: Final = b"0" * 9
SHORTEST_KEY: Final = 15

_SIGNS: Final = re.compile(rb"[@%\\+=#" + CONTROLS.encode() + rb"\x80-\xff]|&;|\.\.\.|::|-----")
_ESCAPE: Final = re.compile(
    rb"%2[fF][0-9]|%(?:40|2[035bBdDeE]|3[0-9]|[46][1-9A-Fa-f]|[57][0-9Aa]|5[cC]|[Ee][0-9A-Fa-f]%|[fF])"
    rb"|[0-9]{4}%2[cC][-+]?[0-9]{1,3}\.[0-9]{4}|\A\s*%[57][bB]|%3[aA](?:[0-9A-Fa-f]|%3[aA])|%3[dD][0-9]"
    rb"|%2[fF](?:home|[Uu]sers?|accounts?|customers?|members?|profiles?|patients?|people|person"
    rb"|clients?|contacts?|(?<=linkedin\.com%2[fF])in)%2[fF]"
    rb"|%(?:0[9aAdD]|2[1246789aAcC]|3[b-eB-E]|5[bBdDeE]|60|7[bBcCdD])(?:[0-9]{3}|[A-Za-z]{2}[0-9]{2}|[A-Za-z0-9+/_.-]{14})"
    rb"|%2[fF](?:[A-Za-z]{2}[0-9]{2}|[A-Za-z0-9_]{20})"
    rb"|%(?:0[0-8bBcCeEfF]|1[0-9A-Fa-f]|7[fF])"
    rb"|%[0-7][0-9A-Fa-f]\+[0-9(]|%2[27]%3[aA]|%3[aAdD]%2[27]|%3[cC]%2[fF]|%u00"
)
#: An equals sign, encoded as often as anyone does.
EQUALS: Final = re.compile(rb"%(?:25){0,3}3[dD]")
CONTROL: Final = re.compile(f"[{CONTROLS}]".encode())
_ENTITY: Final = re.compile(rb"&(?:#|[a-z]{2,12};)")
_PLUS: Final = re.compile(rb"\+[ (]{0,2}[0-9]")
_PAIR: Final = re.compile(rb"[0-9]\.[0-9]{4,},[+ ]?[-+]?[0-9]{1,3}\.[0-9]{4}")
#: A number that a link or a word says is somebody's telephone's.
LINKED: Final = re.compile(rf"(?i:{LINK})[(]?[0-9]".encode())
_CISCO: Final = re.compile(rb"[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}")
_CREDENTIAL: Final = re.compile(rb"(?i:basic |bearer[ :=]{1,2})[A-Za-z0-9+/._~-][a-z._~-]*[A-Z0-9+/=]")
#: Keys of providers whose signs may part them into short runs; nothing of it depends on which digit stands where.
_KEY: Final = re.compile(
    rb"(?<![A-Za-z0-9])(?:xox[a-z]-|xapp-|whsec_|AIza|ya[0-9]{2}\.|SG\.|gl[a-z]{2,3}-|github_pat_|pypi-|sk-)[A-Za-z0-9_+/-]{10}"
)
_FRAGMENT: Final = re.compile(rb"(?:://|\A/)[^\s\"#]{0,2048}#[^\s\"]")
_PERSON: Final = re.compile(rf"/(?:(?:home|{PEOPLE}|{SENT}|{PROFILE})/|{PICTURE})".encode())
_AGENT: Final = re.compile(rb"/[0-9][0-9A-Za-z_.-]{0,40}[ +]\(")
_SHAPES_OF_IDS: Final = (b"a0000000a", b"-0000000a", b"00000000a", b"aa000000a", b"000000a000")


def gate_of(data: bytes) -> int:
    """The signs in UTF-8 text or JSON, as a union of `Gate` values; 0 when nothing can match."""
    marks = data.translate(None, _ALNUM)
    gate = _by_marks(marks, data) if _SIGNS.search(marks) else 0
    shapes = data.translate(SHAPES, GAPS)
    if shapes.find(b"000000") >= 0:
        gate |= _by_shapes(shapes) | _by_links(shapes, data)
    if shapes.find(b"0000,") >= 0:
        gate |= _by_commas(shapes, data)
    if shapes.find(b"000-00") >= 0:
        gate |= by_dashes(shapes) | _by_links(shapes, data)
    if shapes.find(b"aaaaa0000a") >= 0:
        gate |= Gate.SHAPE
    if data.translate(RUNS).find(LONG_RUN) >= 0 or (len(data) >= SHORTEST_KEY and _may_be_key(data) and _KEY.search(data)):
        gate |= Gate.RUN
    lower = data.lower()
    if (lower.find(b"basic ") >= 0 or lower.find(b"bearer") >= 0) and _CREDENTIAL.search(data):
        gate |= Gate.RUN
    if marks.find(b"..") >= 0 and _CISCO.search(data):
        gate |= Gate.ADDRESS
    return gate | _by_slashes(marks, lower, data) if marks.find(b"/") >= 0 else gate


def _by_slashes(marks: bytes, lower: bytes, data: bytes) -> int:
    gate = Gate.FILE_PATH if _PERSON.search(lower) else 0
    return gate | Gate.AGENT if marks.find(b"(") >= 0 and _AGENT.search(data) else gate


def _by_commas(shapes: bytes, data: bytes) -> int:
    """Groups of four digits parted by commas, underscores or tabs, and pairs of coordinates."""
    gate = Gate.DIGITS if shapes.find(PARTED) >= 0 or shapes.find(b"0000,000000,00000") >= 0 else 0
    return gate | Gate.ADDRESS if shapes.find(b"00000,") >= 0 and _PAIR.search(data) else gate


def _may_be_key(data: bytes) -> bool:
    find = data.find
    return (
        find(b"sk-") >= 0
        or find(b"xox") >= 0
        or find(b"gl") >= 0
        or find(b"AIza") >= 0
        or find(b"whsec_") >= 0
        or find(b"SG.") >= 0
        or find(b"ya") >= 0
        or find(b"pypi-") >= 0
        or find(b"xapp-") >= 0
        or find(b"github_pat_") >= 0
    )


def by_dashes(shapes: bytes) -> int:
    """Eight digits and more, in groups of three and four parted by dashes. A date is parted otherwise."""
    found = shapes.find(b"000-00-0000") >= 0 or shapes.find(b"000-000-000") >= 0 or shapes.find(b"0000-0000-0000") >= 0
    return Gate.DIGITS if found else 0


def has_link(shapes: bytes, data: bytes) -> bool:
    """Whether a number stands behind a word that says that it is a telephone's, and a colon."""
    return (shapes.find(b"aa:0") >= 0 or shapes.find(b"aa:,0") >= 0) and LINKED.search(data) is not None


def _by_links(shapes: bytes, data: bytes) -> int:
    return Gate.DIGITS if has_link(shapes, data) else 0


def _by_shapes(shapes: bytes) -> int:
    gate = Gate.DIGITS if shapes.find(LONG_NUMBER) >= 0 else 0
    if shapes.find(b"000000-") >= 0 and (shapes.find(b"000000-0") >= 0 or shapes.find(b"0000000-a") >= 0):
        gate |= Gate.DIGITS | Gate.SHAPE
    if shapes.find(b"000000a") >= 0 and any(shapes.find(shape) >= 0 for shape in _SHAPES_OF_IDS):
        gate |= Gate.SHAPE
    return gate


def _by_marks(marks: bytes, data: bytes) -> int:
    gate = 0
    if marks.find(b"@") >= 0:
        gate |= Gate.AT
    if marks.find(b"=") >= 0 or (marks.find(b"%") >= 0 and EQUALS.search(data)):
        gate |= Gate.QUERY
    if not marks.isascii() or CONTROL.search(marks):
        gate |= Gate.FOREIGN
    if marks.find(b"\\") >= 0:
        gate |= Gate.ENCODED | Gate.FILE_PATH
    if (marks.find(b"%") >= 0 and _ESCAPE.search(data)) or (marks.find(b"&") >= 0 and _ENTITY.search(data)):
        gate |= Gate.ENCODED
    if marks.find(b"#") >= 0 and _FRAGMENT.search(data):
        gate |= Gate.FRAGMENT
    if marks.find(b"+") >= 0 and _PLUS.search(data):
        gate |= Gate.PLUS
    if marks.find(b"...") >= 0 or marks.find(b":::::") >= 0 or marks.find(b"-----") >= 0 or _has_double_colon(marks, data):
        gate |= Gate.ADDRESS
    return gate


def _has_double_colon(marks: bytes, data: bytes) -> bool:
    """A time leaves two colons too, but after a date's dashes."""
    return marks.find(b"::") >= 0 and marks.count(b"::") > marks.count(b"--::") and data.find(b"::") >= 0
