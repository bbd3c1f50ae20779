"""The demonstration shop on a loopback port, in threads of its own beside the gateway."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from threading import Thread
from typing import Final
from urllib.parse import urlsplit

from consentryd.model.error import ConfigError

HOST: Final = "127.0.0.1"

_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
}


def pages(gateway: str, write_key: str, notice: str) -> dict[str, bytes]:
    """Every file of the shop by its path, told where the gateway is, with which key to send, and which notice its banner shows."""
    told = {"{{GATEWAY}}": gateway, "{{WRITE_KEY}}": write_key, "{{NOTICE}}": escape(notice)}
    found = {}
    for file in files(__package__).joinpath("shop").iterdir():
        if file.name.rpartition(".")[2] in _TYPES:
            text = file.read_text(encoding="utf-8")
            for mark, value in told.items():
                text = text.replace(mark, value)
            found[f"/{file.name}"] = text.encode()
    found["/"] = found["/index.html"]
    return found


class Site:
    """A bound address, which answers 404 to everything until `serve` fills it."""

    def __init__(self, server: ThreadingHTTPServer, shown: dict[str, bytes]) -> None:
        self._server = server
        self._shown = shown
        self.port: int = server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def origins(self) -> list[str]:
        """What a browser may call it."""
        return [self.url, f"http://localhost:{self.port}"]

    def serve(self, shown: Mapping[str, bytes]) -> None:
        self._shown.update(shown)


@contextmanager
def open_site(port: int) -> Iterator[Site]:
    """The shop's address. Raises `ConfigError` if it cannot be had."""
    shown: dict[str, bytes] = {}
    try:
        server = ThreadingHTTPServer((HOST, port), _handler(shown))
    except OSError as error:
        reason = "it is in use" if error.errno == errno.EADDRINUSE else str(error.strerror)
        raise ConfigError(f"Cannot listen on {HOST} port {port}: {reason}.") from error
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever, args=(0.1,), name="shop", daemon=True)
    thread.start()
    try:
        yield Site(server, shown)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(shown: Mapping[str, bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            body = self._answer()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self._answer()

        def _answer(self) -> bytes:
            path = urlsplit(self.path).path
            body = shown.get(path)
            name = "index.html" if path == "/" else path
            self.send_response(200 if body is not None else 404)
            body = body if body is not None else b"There is no such page.\n"
            self.send_header("Content-Type", _TYPES.get(name.rpartition(".")[2], "text/plain; charset=utf-8"))
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", "no-store")
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            return body

        def log_message(self, *_: object) -> None:
            """A visitor's address is nobody's business, not even here."""

    return Handler
