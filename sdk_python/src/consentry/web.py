"""What the middlewares share: a request as the context of its events, and the page view."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any, Callable, Generic, Optional, TypeVar
from urllib.parse import urlsplit

from consentry.bound import Bound, Calls
from consentry.call import Id
from consentry.consent import Consent, ConsentLike
from consentry.redact import redact_text, redact_url

_log = logging.getLogger("consentry")

R = TypeVar("R")
T = TypeVar("T")
Headers = Callable[[str], Optional[str]]

_OK = 200
_REDIRECT = 300


@dataclass(frozen=True)
class Watch(Generic[R]):
    """What a middleware asks about a request; each may be left out.

    `consent`: what this visitor chose; without it nothing is claimed, and the gateway decides by the visitor's country. `user_id`,
    `anonymous_id`, `session_id`: who it is. `address`: the visitor's IP address, of which the gateway keeps the country. `pages`: whether a
    page that was answered with HTML and 2xx is a page view.
    """

    consent: Optional[Callable[[R], Optional[ConsentLike]]] = None
    user_id: Optional[Callable[[R], Optional[Id]]] = None
    anonymous_id: Optional[Callable[[R], Optional[Id]]] = None
    session_id: Optional[Callable[[R], Optional[Id]]] = None
    address: Optional[Callable[[R], Optional[str]]] = None
    pages: bool = True

    def bind(self, client: Calls, request: R, url: str, header: Headers, peer: Optional[str]) -> Bound:
        """The client with everything that is known of the request."""
        ids = {"user_id": self.user_id, "anonymous_id": self.anonymous_id, "session_id": self.session_id}
        known = {name: _asked(ask and _as_text(ask), request) for name, ask in ids.items()}
        given: dict[str, Any] = {name: value for name, value in known.items() if value is not None}
        given["consent"] = with_browser(_asked(self.consent and _as_consent(self.consent), request), header)
        given["context"] = context_of(url, header, _asked(_as_text(self.address), request) if self.address else peer)
        return Bound(client, given)

    def see(self, bound: Bound, method: str, status: int, content_type: Optional[str]) -> None:
        """Tracks the page view, if it is one."""
        if self.pages and method == "GET" and _OK <= status < _REDIRECT and (content_type or "").startswith("text/html"):
            bound.page()


def _asked(ask: Optional[Callable[[R], Optional[T]]], request: R) -> Optional[T]:
    """The answer; none where asking fails: no error of ours breaks a request, and nobody agreed by an error."""
    if ask is None:
        return None
    try:
        return ask(request)
    except Exception:  # noqa: BLE001 -- whatever it is
        _log.exception("a middleware's question about a request failed")
        return None


def _as_text(ask: Callable[[R], Any]) -> Callable[[R], Optional[str]]:
    """`False` is nobody: so `user.is_authenticated and user.id` says it."""

    def asked(request: R) -> Optional[str]:
        value = ask(request)
        if value is None or value is False:
            return None
        if value is True or (isinstance(value, Container) and not isinstance(value, str)):
            raise TypeError(f"{type(value).__name__} is no text")
        return str(value)

    return asked


def _as_consent(ask: Callable[[R], Any]) -> Callable[[R], Optional[Consent]]:
    def asked(request: R) -> Optional[Consent]:
        said = ask(request)
        if said is None or isinstance(said, Consent):
            return said
        if not isinstance(said, Mapping):
            raise TypeError("consent is a Consent, its purposes or None")
        return Consent(purposes=dict(said))

    return asked


def with_browser(consent: Optional[ConsentLike], header: Headers) -> Consent:
    """What the visitor chose with what the browser says by itself: Global Privacy Control, Do Not Track."""
    said = consent if isinstance(consent, Consent) else Consent(purposes=dict(consent) if consent is not None else None)
    if header("Sec-GPC") == "1":
        said = replace(said, gpc=True)
    return replace(said, dnt=True) if header("DNT") == "1" else said


def context_of(url: str, header: Headers, address: Optional[str]) -> dict[str, Any]:
    """`context` of a request's events. The gateway keeps of address and user agent a country and a kind of device."""
    clean = redact_url(url)
    page: dict[str, Any] = {"url": clean, "path": urlsplit(clean).path}
    referrer = header("Referer")
    if referrer:
        page["referrer"] = redact_url(referrer)
    context: Mapping[str, Any] = {"page": page, "ip": address, "userAgent": header("User-Agent"), "locale": _locale(header)}
    return {name: value for name, value in context.items() if value}


def _locale(header: Headers) -> str:
    """The first language that the browser asks for."""
    return redact_text((header("Accept-Language") or "").partition(",")[0].partition(";")[0].strip()[:35])
