"""A web server's access log in the combined format, as Apache and nginx write it, with or without a virtual host in front.

    [host[:port] ]address ident user [22/Nov/2026:10:15:02 +0100] "GET /path?query HTTP/1.1" 200 5120 "referrer" "user agent"

Each page that was served becomes a page view that names nobody: no cookie stands in a log, and nobody was asked. So it can only be
counted, in the anonymous lane. Address and user agent live as long as the event is in memory.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final

from consentryd.gateway.imports.fingerprint import Fingerprint
from consentryd.gateway.imports.line import Read, Unread
from consentryd.model.event import RawEvent

_QUOTED: Final = r'"((?:[^"\\]|\\.)*)"'
_LINE: Final = re.compile(
    r"(?:(?:([\w.-]+(?::\d{1,5})?) )?((?=\S*[.:])[0-9A-Fa-f.:]{2,45})|[\w.-]{1,253}) \S+ .{0,255}? \[([^\]]{20,30})\] "
    + _QUOTED
    + r" (\d{3}) (?:\d+|-)"
    + rf"(?: {_QUOTED} {_QUOTED})?.*",
    re.ASCII | re.DOTALL,
)
_REQUEST: Final = re.compile(r"([A-Z]{3,10}) (\S{1,8192})(?: HTTP/\d(?:\.\d)?)?")
_TIME: Final = re.compile(r"(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ESCAPE: Final = re.compile(rb"\\(?:x([0-9A-Fa-f]{2})|(.))", re.DOTALL)

#: Endings of what pages are made of, and of files that only programs ask for.
ASSETS: Final = (
    frozenset(("css", "js", "mjs", "map", "json", "xml", "txt", "rss", "atom", "webmanifest", "wasm", "zip", "gz", "tar"))
    | {"ico", "png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "bmp", "woff", "woff2", "ttf", "otf", "eot"}
    | {"mp3", "mp4", "webm", "ogg"}
)
#: A page that the browser still had (304) was looked at all the same.
SERVED: Final = frozenset({"200", "203", "206", "304"})


class CombinedReader:
    def __init__(self, fingerprint: Fingerprint) -> None:
        self._fingerprint = fingerprint

    def read(self, line: bytes) -> Read | Unread:
        found = _LINE.fullmatch(line.decode("utf-8", "backslashreplace"))
        if found is None:
            return Unread.MALFORMED
        host, address, at, request, status, referrer, agent = found.groups()
        time = _read_time(at)
        if time is None:
            return Unread.MALFORMED
        asked = _REQUEST.fullmatch(request)
        target = "" if asked is None else _unescape(asked[2])
        if asked is None or not is_page(asked[1], target, status):
            return Unread.NOT_A_PAGE
        page = {"url": _url(host, target)}
        if referrer and referrer != "-":
            page["referrer"] = _unescape(referrer)
        context: dict[str, Any] = {"page": page}
        if address:
            context["ip"] = address
        if agent and agent != "-":
            context["userAgent"] = _unescape(agent)
        return Read(RawEvent(type="page", event_id=self._fingerprint.of(line), timestamp=time, context=context))


def is_page(method: str, target: str, status: str) -> bool:
    """Whether a request is a person's look at a page: asked for by GET, served, and no part of a page or feed for programs."""
    if method != "GET" or status not in SERVED:
        return False
    path = target.partition("?")[0]
    if path.startswith("/.well-known/"):
        return False
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() not in ASSETS if "." in name else True


def _url(host: str | None, target: str) -> str:
    """Two slashes in front are no host: it is this server that was asked."""
    if not target.startswith("/"):
        return target
    return f"https://{host}{target}" if host else "/" + target.lstrip("/")


@lru_cache(maxsize=4096)
def _read_time(text: str) -> str | None:
    """ISO 8601 of the log's time; None if it is none."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
    try:
        zone = timezone(offset)
        moment = datetime(
            int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), min(int(second), 59), tzinfo=zone
        )
        return moment.astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return None


def _unescape(text: str) -> str:
    """The text behind the escapes that Apache and nginx write for quotes, backslashes, control characters and bytes beyond ASCII."""
    if "\\" not in text:
        return text
    raw = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2], text.encode())
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
