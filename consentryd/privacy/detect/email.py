"""E-mail addresses (RFC 5321 without quoted local parts; RFC 6531 for international ones)."""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.detect.detector import Detector, Gate

#: `logo@2x.png` is a file name; none of these is a top-level domain.
_FILE_SUFFIXES: Final = frozenset(
    [
        "avif",
        "bmp",
        "css",
        "csv",
        "gif",
        "gz",
        "htm",
        "html",
        "ico",
        "jpeg",
        "jpg",
        "js",
        "json",
        "jsx",
        "less",
        "map",
        "md",
        "mjs",
        "mp3",
        "mp4",
        "otf",
        "pdf",
        "png",
        "scss",
        "svg",
        "tar",
        "tgz",
        "tiff",
        "tsx",
        "ttf",
        "txt",
        "webm",
        "webp",
        "woff",
        "woff2",
        "xml",
        "yaml",
        "yml",
        "zst",
    ]
)
_GIT_USERS: Final = ("git@", "hg@", "svn@")


def _is_address(match: re.Match[str]) -> bool:
    address = match[0].lower()
    if address[address.rindex(".") + 1 :] in _FILE_SUFFIXES:
        return False
    if not address.startswith(_GIT_USERS):
        return True
    after = match.string[match.end() : match.end() + 2]
    return not (after[:1] in {":", "/"} and not after[1:].isdigit())


EMAIL: Final = Detector(
    name="email",
    gate=Gate.AT,
    sign="@",
    pattern=re.compile(
        r"(?<![\w.+-])(?=[\w.%'+-]{1,128}+@)\w(?:[\w.%'+-]{0,126}[\w+-])?"
        r"@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})"
    ),
    check=_is_address,
)

DETECTORS: Final = (EMAIL,)
