"""E-mail addresses (RFC 5321; RFC 6531 for international ones)."""

from __future__ import annotations

import re
from typing import Final

from consentryd.privacy.decode import CONTROLS
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
#: Files of documentation; `md` is Moldova's domain as well.
_MARKDOWN: Final = re.compile(r"(?:.*\.)?(?:readme|changelog|changes|license|contributing|index|[0-9]x|v?[0-9]+)\.md")
_GIT_USERS: Final = ("git@", "hg@", "svn@")


def _is_address(match: re.Match[str]) -> bool:
    address = match[0].lower()
    suffix = address[address.rindex(".") + 1 :]
    if suffix in _FILE_SUFFIXES or (suffix == "md" and _MARKDOWN.fullmatch(address[address.rindex("@") + 1 :])):
        return False
    if not address.startswith(_GIT_USERS):
        return True
    after = match.string[match.end() : match.end() + 2]
    return not (after[:1] in {":", "/"} and not after[1:].isdigit())


_DOMAIN: Final = r"@@?(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})"

EMAIL: Final = Detector(
    name="email",
    gate=Gate.AT,
    sign="@",
    pattern=re.compile(
        rf"(?:(?<![\w.+{CONTROLS}-])"  # it may go on behind a control character
        r"|(?<=[.+-])(?<![\w.+-][.+-])|(?<=[.+-]{2})(?<![\w.+-][.+-]{2}))"  # up to two signs in front
        r"(?=[\w.%'+-]{1,128}+@)\w(?:[\w.%'+-]{0,126}[\w+-])?" + _DOMAIN
    ),
    check=_is_address,
)
QUOTED: Final = Detector(
    name="email", gate=Gate.AT, sign='"@', pattern=re.compile(r"\"[^\"\\@\s][^\"\\@\r\n]{0,62}\"" + _DOMAIN), check=_is_address
)

DETECTORS: Final = (EMAIL, QUOTED)
