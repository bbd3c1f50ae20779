"""IP and MAC addresses. Four numbers after `v` or a product's name, or under a key such as `version`, are a version, not an address."""

from __future__ import annotations

import re
import socket
from dataclasses import replace
from typing import Final

from consentryd.privacy.detect.detector import Detector, Gate

#: A product of a user agent (RFC 9110 section 10.1.5) has a capital letter, or is one of few, and stands behind no path.
_VERSION_WORD: Final = re.compile(
    r"(?:(?i:\bv|version|release|build|firmware|\b(?:ios|ipados|macos|android|windows|chrome|safari|firefox|edge|sdk|section|chapter|clause|article"
    r"|paragraph|appendix|figure|table|abschnitt|kapitel|abbildung|tabelle|secci.n|cap.tulo)|\u00a7)[ :=]{0,2}"
    r"|(?:\A|[\s(;,])(?!(?i:ip(?:v[46])?|whois|host|addr|address|client|remote|source|src|dst|peer)/)(?=[\w.+-]{3})"
    r"(?:[\w.+-]*[A-Z][\w.+-]*|android|app|axios|chrome|chromium|curl|dart|edge|electron|expo|firefox|flutter|ios|java|libcurl|nginx|node|okhttp"
    r"|opera|php|python|python-requests|ruby|safari|sdk|undici|wget)/)\Z"
)
_LOOK_BACK: Final = 48
_OCTETS: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.|\Z)){4}")
_LETTERS: Final = re.compile(r"[A-Za-z:]+")
_NOBODY: Final = frozenset({bytes(16), bytes(15) + b"\x01"})  # :: and ::1


def is_octets(text: str) -> bool:
    return _OCTETS.fullmatch(text) is not None


def _is_ipv4(match: re.Match[str]) -> bool:
    if not is_octets(match[0]):
        return False
    start = match.start()
    return start == 0 or _VERSION_WORD.search(match.string[max(0, start - _LOOK_BACK) : start]) is None


def _is_ipv6(match: re.Match[str]) -> bool:
    """Not `Feed::Ad`, a class."""
    if _LETTERS.fullmatch(match[0]):
        return False
    try:
        return socket.inet_pton(socket.AF_INET6, match[0].partition("%")[0]) not in _NOBODY
    except OSError:
        return False


def _is_mac(match: re.Match[str]) -> bool:
    return len(set(match[0].replace(match[0][2], ""))) > 1


IPV4: Final = Detector(
    name="ip",
    gate=Gate.ADDRESS,
    sign=".",
    pattern=re.compile(r"(?<![\w.-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w-])(?!\.[0-9])", re.ASCII),
    check=_is_ipv4,
)
IPV6: Final = Detector(
    name="ip",
    gate=Gate.ADDRESS,
    sign=":",
    pattern=re.compile(
        r"(?<![\w:.])(?:[0-9A-Fa-f]{1,4}:){1,7}(?::?[0-9A-Fa-f]{1,4}(?![0-9A-Fa-f])){0,7}(?:(?<=:)[0-9]{1,3}(?:\.[0-9]{1,3}){3})?:{0,2}"
        r"(?:%25?[A-Za-z0-9]+)?(?![\w:])"
        r"|(?<![\w:.])::(?:[0-9A-Fa-f]{1,4}:){0,6}(?:[0-9A-Fa-f]{1,4}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})(?![\w:])",
        re.ASCII,
    ),
    check=_is_ipv6,
)
MAC: Final = Detector(
    name="mac",
    gate=Gate.ADDRESS,
    pattern=re.compile(
        r"(?<![\w:-])(?:[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}|[0-9A-Fa-f]{2}(?:-[0-9A-Fa-f]{2}){5}"
        r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?!\.[0-9]))(?![\w:-])",
        re.ASCII,
    ),
    check=_is_mac,
)

#: Behind a word and a colon (`mac:0a:1b:...`, `ip:2001:db8::1`). A word has a letter that no group of an address has.
_AFTER_WORD: Final = r"(?:(?<=[G-Zg-z]:)|(?<=[G-Zg-z][A-Fa-f]:)|(?<=[G-Zg-z][A-Fa-f]{2}:))"
_BEHIND: Final = re.compile(r"\(\?<!\[[^]]*\]\)")

IPV6_TOLD, MAC_TOLD = (
    replace(detector, pattern=re.compile(_AFTER_WORD + f"(?:{_BEHIND.sub('', detector.pattern.pattern)})", re.ASCII))
    for detector in (IPV6, MAC)
)

DETECTORS: Final = (IPV4, IPV6, MAC, IPV6_TOLD, MAC_TOLD)
