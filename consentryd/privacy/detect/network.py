"""IP and MAC addresses. Four numbers after `v` or under a key such as `version` are a version, not an address."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from consentryd.privacy.detect.detector import Detector, Gate

_VERSION_WORD: Final = re.compile(r"(?:\bv|version|release|build|firmware|[A-Za-z]/)[ :=]{0,2}$", re.IGNORECASE)
_LOOK_BACK: Final = 12


def _is_ipv4(match: re.Match[str]) -> bool:
    if any(int(part) > 255 or (len(part) > 1 and part[0] == "0") for part in match[0].split(".")):  # noqa: PLR2004  an octet
        return False
    return _VERSION_WORD.search(match.string[max(0, match.start() - _LOOK_BACK) : match.start()]) is None


def _is_ipv6(match: re.Match[str]) -> bool:
    try:
        return int(ipaddress.IPv6Address(match[0].partition("%")[0])) > 1
    except ValueError:
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
        r"(?<![\w:-])(?:[0-9A-Fa-f]{2}(?P<part>[:-])[0-9A-Fa-f]{2}(?:(?P=part)[0-9A-Fa-f]{2}){4}"
        r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![\w:-])",
        re.ASCII,
    ),
    check=_is_mac,
)

DETECTORS: Final = (IPV4, IPV6, MAC)
