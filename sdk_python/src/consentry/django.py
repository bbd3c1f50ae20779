"""Middleware for Django. In `settings.py`:

    MIDDLEWARE = [..., "consentry.django.ConsentryMiddleware"]
    CONSENTRY = {"client": Consentry("csy_server_...", "https://events.example.com"), "watch": Watch(consent=..., user_id=...)}

Views find `request.consentry`, a client that knows the request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Union

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponseBase

from consentry.bound import Bound
from consentry.web import Watch

Answer = Union[HttpResponseBase, Awaitable[HttpResponseBase]]


class ConsentryMiddleware:
    """For synchronous and asynchronous views. Stands behind Django's session and authentication middleware."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._client = settings.CONSENTRY["client"]
        self._watch: Watch[HttpRequest] = settings.CONSENTRY.get("watch") or Watch()
        self._async = iscoroutinefunction(get_response)
        if self._async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Answer:
        if self._async:
            return self._answer(request)
        bound = self._bind(request)
        response: HttpResponseBase = self._get_response(request)
        self._see(bound, request, response)
        return response

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        bound = self._bind(request)
        response: HttpResponseBase = await self._get_response(request)
        self._see(bound, request, response)
        return response

    def _bind(self, request: HttpRequest) -> Bound:
        try:
            url = request.build_absolute_uri()
        except DisallowedHost:  # Django answers it by itself
            url = request.get_full_path()
        peer = request.META.get("REMOTE_ADDR")
        bound = self._watch.bind(self._client, request, url, request.headers.get, peer)
        request.consentry = bound
        return bound

    def _see(self, bound: Bound, request: HttpRequest, response: HttpResponseBase) -> None:
        self._watch.see(bound, request.method or "", response.status_code, response.headers.get("Content-Type"))


__all__ = ["ConsentryMiddleware", "Watch"]
