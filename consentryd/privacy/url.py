"""From a URL to what may be kept of it: host, path, and the query parameters an allow-list names. No user-info, no port, no fragment."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, NamedTuple
from urllib.parse import unquote, unquote_plus

import idna

from consentryd.privacy.segment import HARMLESS, clean_text, strip_invisible

MAX_CHARS: Final = 8192
PATH_CHARS: Final = 1024
VALUE_CHARS: Final = 255
MAX_PARAMETERS: Final = 100
MAX_SEGMENTS: Final = 256


class Page(NamedTuple):
    """`host` is lower-case ASCII (IDNA), `path` starts with a slash, `query` holds decoded pairs in their order, each name once."""

    host: str | None = None
    path: str | None = None
    query: tuple[tuple[str, str], ...] = ()


NO_PAGE: Final = Page()

#: A plain web URL or path: groups host, path, query. What fits needs no normalising.
_PLAIN: Final = re.compile(
    r"(?:https?://((?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24})(?::\d{0,5})?)?((?:/" + HARMLESS + r")*/?)(?:\?([^#]*))?(?:#|\Z)",
    re.ASCII,
)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(.*)", re.DOTALL)
_OPAQUE: Final = frozenset(
    {"about", "blob", "cid", "data", "javascript", "mailto", "sms", "tel", "urn", "vbscript", "view-source"}
)
_WEB: Final = frozenset({"http", "https", "ws", "wss"})
_ESCAPED: Final = re.compile(r"[/\\]")
_HOST: Final = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_NUMERIC_HOST: Final = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)")  # an IPv4 address in any spelling that browsers take


def coarsen_url(url: str | None, keep: Collection[str] = ()) -> Page:
    """What may be kept of an absolute or relative URL; never raises, `NO_PAGE` where nothing may be.

    `keep` names the query parameters that stay (decoded names, exact). Hosts that are IP addresses are dropped. Path segments that
    carry an e-mail address, a user and password, an IP address, a token or a long hash become `:redacted`; so do such values of
    kept parameters. Matrix parameters go. Work is bounded: what stands behind the first 8,192 characters is not looked at.
    """
    if not url:
        return NO_PAGE
    plain = _PLAIN.match(url) if len(url) <= PATH_CHARS else None
    if plain is None:
        return _coarsen(url, keep)
    host, path, query = plain.groups()
    return Page(host, path or ("/" if host else None), _query(strip_invisible(query), keep) if query and keep else ())


def referrer_host(url: str | None) -> str | None:
    """The host of an absolute URL (of an `android-app://` one: the package), None for anything else."""
    return coarsen_url(url).host


def _coarsen(url: str, keep: Collection[str]) -> Page:
    text = strip_invisible(_whole(url)).strip().partition("#")[0]
    text, _, query = text.partition("?")
    scheme = _SCHEME.match(text)
    page = _locate(scheme[1].lower(), scheme[2].replace("\\", "/")) if scheme else _locate_relative(text.replace("\\", "/"))
    return page if page is NO_PAGE else page._replace(query=_query(query, keep))


def _whole(url: str) -> str:
    """The URL, or so much of an overlong one that no piece of it is halved."""
    if len(url) <= MAX_CHARS:
        return url
    end = max(url.rfind(separator, 0, MAX_CHARS) for separator in "/\\?&#")
    return url[: max(end, 0)]


def _locate(scheme: str, rest: str) -> Page:
    if scheme in _OPAQUE:
        return NO_PAGE
    if scheme == "file":
        return Page(None, _path(rest.rpartition("/")[2]))
    if scheme in _WEB:
        rest = "//" + rest.lstrip("/")
    return _locate_absolute(rest) if rest.startswith("//") else NO_PAGE


def _locate_relative(text: str) -> Page:
    if text.startswith("//"):
        return _locate_absolute(text)
    return Page(None, _path(text) if text else None)


def _locate_absolute(text: str) -> Page:
    authority, _, path = text[2:].partition("/")
    return Page(_host(authority), _path(path)) if authority else NO_PAGE


def _host(authority: str) -> str | None:
    host, colon, port = authority.rpartition("@")[2].partition(":")
    if colon and port and not port.isdigit():
        return None
    try:
        host = unquote(host).rstrip(".").lower()
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode("ascii")
    except ValueError:  # idna.IDNAError is one
        return None
    return host if _HOST.fullmatch(host) and not _NUMERIC_HOST.fullmatch(host) else None


def _path(text: str) -> str:
    """Normalised: dot segments and empty ones resolved, segments cleaned, a slash in front, at most 1,024 characters."""
    kept: list[str] = []
    last = ""
    room = PATH_CHARS
    for last in map(_segment, text.split("/", MAX_SEGMENTS)[:MAX_SEGMENTS]):
        if last == "..":
            del kept[-1:]
        elif last not in {"", "."}:
            kept.append(last)
            room -= len(last) + 1
            if room < 0:  # what follows is cut anyway
                break
    path = "/" + "/".join(kept) + ("/" if kept and last in {"", ".", ".."} else "")
    return path if len(path) <= PATH_CHARS else path[: path.rindex("/", 0, PATH_CHARS)]


def _segment(raw: str) -> str:
    text = clean_text(raw)
    return _ESCAPED.sub(lambda match: f"%{ord(match[0]):02X}", text) if "/" in text or "\\" in text else text


def _query(query: str, keep: Collection[str]) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for pair in query.split("&", MAX_PARAMETERS)[:MAX_PARAMETERS]:
        name, _, value = pair.partition("=")
        name = unquote_plus(name).removeprefix("amp;")  # "&amp;" of HTML that was not decoded
        if name in keep and name not in found and (cleaned := _value(value)):
            found[name] = cleaned
    return tuple(found.items())


def _value(raw: str) -> str:
    return clean_text(raw.replace("+", " ")).strip()[:VALUE_CHARS]
