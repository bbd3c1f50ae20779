"""The second look: signs that ordinary events show too (times, UUIDs, hexadecimal ids, umlauts) are told from candidates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from operator import contains
from typing import Final

from consentryd.privacy.decode import holds_base64, may_hide, plain
from consentryd.privacy.detect.detector import Gate
from consentryd.privacy.detect.named import is_named
from consentryd.privacy.detect.secret import PROVIDER, PROVIDER_BEHIND
from consentryd.privacy.gate import (
    CONTROL,
    GAPS,
    LINKED,
    LONG_NUMBER,
    LONG_RUN,
    PARTED,
    RUNS,
    SHAPES,
    by_dashes,
    gate_of,
    has_link,
)

_HEX: Final = b"0123456789abcdef"
_WORDS: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-")
_HEX_TEXT: Final = re.compile(rb"(?:[2-7][0-9A-Fa-f]){7,}")
_CONTINUES: Final = _WORDS - frozenset(b".+")
_CHINESE: Final = 17  # digits, before a check digit that may be an X
_SECONDS: Final = 10
_MILLISECONDS: Final = 13
_MOST_RUNS: Final = 24
_LOOK_BACK: Final = 24
_LEAST_GROUPED: Final = 9
_LONGEST_START: Final = 256
_LONGEST_END: Final = 4096
_SIGNS: Final = (b"+", b"-")
#: An integer as programs write it that know no integers.
_WHOLE: Final = re.compile(rb"\.0{1,2}(?![A-Za-z0-9_.])")
_LETTER: Final = re.compile(rb"-?[A-Za-z](?![A-Za-z0-9_-])")
#: What stands before a number that is somebody's telephone's, whatever else it could be.
_LINKS: Final = (b"wa.me/", b"?phone=")
_LINK: Final = 7
_LONGEST_LINK: Final = 64
_OF_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_"

_NUMBER: Final = re.compile(rb"(?:[^A-Za-z0-9_.+-][+-]?|[Nn][or]\.)(?=([0-9(][0-9 ./()+-]{7,}[0-9xXkK]))")
_DATE: Final = re.compile(rb"^(?:19|20)[0-9]{2}[-/.][01][0-9][-/.][0-3][0-9](?![0-9])")
_SHAPE: Final = re.compile(
    rb"[^A-Za-z0-9_.+-](?:[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]|[0-9]{8}-?[A-Z]|[XYZ]-?[0-9]{7}-?[A-Z]|[STFGM][0-9]{7}[A-Z]"
    rb"|[A-Z]{5}[0-9]{4}[A-Z]|[0-3][0-9]{5}[A-FU-Y+-][0-9]{3}[0-9A-Y]|[0-9.]{8,10}-[kK]"
    rb"|[12] ?[0-9]{2} ?[0-9]{2} ?[0-9][AB] ?[0-9]{3} ?[0-9]{3} ?[0-9]{2})(?![A-Za-z0-9_-])"
)
_TOKEN: Final = re.compile(
    rb"(?:AKIA|ASIA|AGPA|AIDA|AROA|AIza|SK[0-9a-f]{32}|gh[opsur]_|github_pat_|xox[a-z]-|xapp-|[srp]k_|whsec_|ya29\.|SG\.|gl[a-z]+-|npm_|pypi-"
    rb"|hf_|dop_v1_|sk-|key-|shp[acs][a-z]_|eyJ|0x[0-9A-Fa-f]{40}|(?i:bc1|tb1|ltc1)|[13LMDT][1-9A-HJ-NP-Za-km-z]{25}"
    rb"|[A-Za-z]{2}[0-9]{2}[A-Za-z0-9]{11}|[A-Za-z]{6}[0-9L-V]{2}|[A-Za-z]{4}[0-9]{6}[A-Za-z]"
    rb"|(?:[A-Za-f][A-HQ-Xg-nw-z0-3][A-Za-z0-9+/_-]{2}){3})"
)
_PROVIDER: Final = re.compile(f"{PROVIDER.pattern.pattern}|{PROVIDER_BEHIND.pattern.pattern}".encode(), PROVIDER.pattern.flags)
_PREFIXES: Final = (
    b"AKIA", b"ASIA", b"AGPA", b"AIDA", b"AROA", b"gh", b"github_pat_", b"xox", b"xapp-", b"k_live_", b"k_test_", b"whsec_", b"AIza",
    b"ya29.", b"SG.", b"gl", b"npm_", b"pypi-", b"hf_", b"dop_v1_", b"sk-", b"key-", b"SK", b"shp",
    b"ntn_", b"lin_api_", b"dapi", b"glsa_", b"NRAK-", b"PMAK-", b"sbp_", b"gsk_", b"r8_", b"xkeysib-", b"-us", b"rubygems_", b"pul-",
    b"hooks.slack.com", b":AA",
)  # fmt: skip
#: What follows these is a credential or looks like one, whatever parts it.
_TELLING: Final = (b"bearer", b"sg.", b"ya29.")
_BASIC: Final = re.compile(rb"(?i:basic) [A-Za-z0-9+/][a-z]*[A-Z0-9+/=]")
_PARTS: Final = bytes.maketrans(b"/.=:;,?&#\"'()[]{}<>|~*!$%^@\\\t\n\r" + bytes(range(0x80, 0x100)), b" " * (31 + 128))


def confirm(data: bytes, gate: int) -> int:
    """The gate without the signs for which no whole candidate stands in the JSON `data`."""
    if gate & Gate.FOREIGN:
        gate = _look_through(data, gate)
    if gate & Gate.DIGITS and not _has_number(data):
        gate &= ~Gate.DIGITS
    if gate & Gate.SHAPE and not _SHAPE.search(data):
        gate &= ~Gate.SHAPE
    if gate & Gate.RUN and not _has_token(data):
        gate &= ~Gate.RUN
    return gate


def _look_through(data: bytes, gate: int) -> int:
    """Other scripts are no sign; characters that hide or imitate are, if something stands there without them."""
    if CONTROL.search(data):
        return gate | gate_of(CONTROL.sub(b"", data))
    if not may_hide(data):
        return gate & ~Gate.FOREIGN
    folded = plain(data.decode(errors="replace")).encode(errors="replace")
    return gate if folded == data else gate | gate_of(folded) | Gate.ENCODED


def _has_number(data: bytes) -> bool:
    if is_named(data):
        return True
    rest, last = [], 0
    for start, end in _runs(data.translate(SHAPES), LONG_NUMBER, b"0"):
        if not _is_harmless(data, start, end):
            return True
        rest.append(data[last:start])
        last = end
    shapes = b"x".join([*rest, data[last:]]).translate(SHAPES, GAPS)
    if has_link(shapes, data):
        return True
    if shapes.find(PARTED) >= 0 or shapes.find(b"0000,000000,00000") >= 0:
        return True
    if shapes.find(LONG_NUMBER) < 0 and shapes.find(b"000000-0") < 0 and not by_dashes(shapes):
        return False
    return any(_is_grouped(match[1]) for match in _NUMBER.finditer(data))


def _is_harmless(data: bytes, start: int, end: int) -> bool:
    """Part of a longer word, or a time in seconds or milliseconds. A full stop ends a sentence, if no digit follows."""
    before, after, length = data[start - 1 : start], data[end : end + 1], end - start
    if before and before[0] in _WORDS and (before not in _SIGNS or data[start - 2] in _WORDS):
        return before != b"." and data[start - 2 : start - 1] != b"%" and data[end : end + 1] != b"^"
    if after and after[0] in _CONTINUES:
        return not ((after in b"xX" and (length == _CHINESE or _is_linked(data, start))) or _LETTER.match(data, end))
    if _is_linked(data, start):
        return False
    if after == b"." and data[end + 1 : end + 2].isdigit() and not _WHOLE.match(data, end):
        return True
    return (length <= _SECONDS or (length == _MILLISECONDS and data[start : start + 1] == b"1")) and after != b" "


def _is_linked(data: bytes, start: int) -> bool:
    head = data[max(0, start - _LONGEST_LINK) : start]
    if head[-_LINK:].lower().endswith(_LINKS):
        return True
    head = head.rstrip(b" \t\r\n(/")
    return head.endswith(b":") and not head.endswith(b'":') and LINKED.search(head + b"0") is not None


def _is_grouped(text: bytes) -> bool:
    if text.isdigit():
        return len(text) > _SECONDS and not (len(text) == _MILLISECONDS and text.startswith(b"1"))
    return len(_DATE.sub(b"", text).translate(None, GAPS + b"+-")) >= _LEAST_GROUPED


def _has_key(data: bytes) -> bool:
    """Whether a provider's key stands in the JSON, whatever its neighbours; most have too many digits to be told by their runs."""
    return any(map(partial(contains, data), _PREFIXES)) and _PROVIDER.search(data) is not None


def _has_token(data: bytes) -> bool:
    if _has_key(data):
        return True
    lower = data.lower()
    if any(lower.find(word) >= 0 for word in _TELLING) or (lower.find(b"basic ") >= 0 and _BASIC.search(data)):
        return True
    for count, (start, end) in enumerate(_runs(data.translate(RUNS), LONG_RUN, b"a")):
        run = data[start:end]
        if count >= _MOST_RUNS:
            return True
        if _HEX_TEXT.fullmatch(run, run[:2] in {b"0x", b"0X"} and 2):
            return True
        if not run.translate(None, _HEX) and not run[2:12].isdigit() and data[start - 1 : start] != b" ":
            continue
        before = data[max(0, start - _LOOK_BACK) : start].translate(_PARTS).rpartition(b" ")[2]
        if _TOKEN.match(data, start - len(before)) or (before and _TOKEN.match(data, start)) or _is_base64(data, start, end):
            return True
    return False


def _is_base64(data: bytes, start: int, end: int) -> bool:
    """Whether a run is part of base64 of readable text, which may begin with letters that `_TOKEN` does not know."""
    before = data[max(0, start - _LONGEST_START) : start]
    first = start - len(before) + len(before.rstrip(_OF_BASE64))
    after = data[end : end + _LONGEST_END]
    return holds_base64(data[first : end + len(after) - len(after.lstrip(_OF_BASE64))].decode())


def _runs(view: bytes, needle: bytes, filler: bytes) -> Iterator[tuple[int, int]]:
    """Where a run of one class that is at least as long as `needle` stands."""
    start = view.find(needle)
    while start >= 0:
        end = start + len(view[start : start + 4096]) - len(view[start : start + 4096].lstrip(filler))
        yield start, end
        start = view.find(needle, end)
