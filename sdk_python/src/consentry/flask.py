"""For Flask: `ConsentryFlask(app, client, Watch(consent=...))`. Views find `g.consentry`, a client that knows the request."""

from __future__ import annotations

from typing import Optional

from flask import Flask, Request, Response, g, request

from consentry.bound import Calls
from consentry.web import Watch


class ConsentryFlask:
    def __init__(self, app: Flask, client: Calls, watch: Optional[Watch[Request]] = None) -> None:
        self._client = client
        self._watch: Watch[Request] = watch or Watch()
        app.before_request(self._bind)
        app.after_request(self._see)

    def _bind(self) -> None:
        g.consentry = self._watch.bind(self._client, request, request.url, request.headers.get, request.remote_addr)

    def _see(self, response: Response) -> Response:
        if "consentry" in g:
            self._watch.see(g.consentry, request.method, response.status_code, response.content_type)
        return response


__all__ = ["ConsentryFlask", "Watch"]
