"""User names in file paths, user-info and personal path segments in URLs, and places on maps."""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.detect.detector import Detector, Gate

_NOBODY: Final = frozenset({"shared", "public", "default", "runner", "node", "app", "root", "user", "www-data"})


def _is_somebody(match: re.Match[str]) -> bool:
    return match["user"].lower() not in _NOBODY and not match["user"].startswith("[")


USER_PATH: Final = Detector(
    name="user_path",
    gate=Gate.FILE_PATH,
    sign="/",
    pattern=re.compile(r"(?<![\w.%~-])(?:file://)?/(?:Users|home)/(?P<user>[^\\/:\"\s?#<>|]{1,64})(?=/[^\\/\s\"])"),
    check=_is_somebody,
    group="user",
)
WINDOWS_PATH: Final = Detector(
    name="user_path",
    gate=Gate.FILE_PATH,
    sign=":",
    pattern=re.compile(
        r"(?<![\w.%~-])/?[A-Za-z]:[\\/]{1,2}(?:Users|Documents and Settings)[\\/]{1,2}"
        r"(?P<user>[^\\/:\"\r\n?#<>|]{1,64})(?=[\\/][^\\/\s\"])"
    ),
    check=_is_somebody,
    group="user",
)
URL_USER: Final = Detector(
    name="url_user",
    gate=Gate.AT,
    sign="://",
    pattern=re.compile(r"(?<![\w])[A-Za-z][A-Za-z0-9+.-]{1,20}://(?P<user>[^/?#\s\"\[]{1,200})@(?=[\w\[])"),
    check=lambda match: match["user"] not in {"git", "hg"},
    group="user",
)
URL_ID: Final = Detector(
    name="url_id",
    gate=Gate.FILE_PATH,
    sign="/",
    pattern=re.compile(
        r"/(?:users?|accounts?|customers?|members?|profiles?|patients?|people|person|clients?|contacts?)/"
        r"(?P<id>(?=[\w.~-]*[0-9])[\w.~-]{3,64})(?=[/?#\"\s]|$)",
        re.ASCII | re.IGNORECASE,
    ),
    group="id",
)

URL_FRAGMENT: Final = Detector(
    name="url_fragment",
    gate=Gate.FRAGMENT,
    sign="#",
    pattern=re.compile(r"(?:(?<![\w])[A-Za-z][A-Za-z0-9+.-]{1,20}://|\A/)[^\s\"#]{0,2048}(?P<fragment>#[^\s\"]+)"),
    group="fragment",
)

#: RFC 5870, and the parameters and paths of maps; four decimals are eleven metres.
COORDINATE: Final = Detector(
    name="coordinate",
    gate=Gate.ADDRESS,
    sign=",",
    pattern=re.compile(
        r"(?:(?<!\w)geo:|[?&](?:s?ll|q|query|center|centre|cp|loc|location|[sd]addr|origin|destination|daddr|point)=(?:loc:)?|/@|/dir/|/place/|/search/)"
        r"(?P<pair>[-+]?[0-9]{1,2}\.[0-9]{4,},[+ ]?[-+]?[0-9]{1,3}\.[0-9]{4,})",
        re.ASCII | re.IGNORECASE,
    ),
    group="pair",
)

DETECTORS: Final = (COORDINATE, URL_FRAGMENT, USER_PATH, WINDOWS_PATH, URL_USER, URL_ID)
