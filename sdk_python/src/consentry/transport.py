"""How bytes get to the gateway: one connection that is kept, from the standard library."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple, Optional, Protocol
from urllib.parse import urlsplit

_MOST_BYTES = 8 * 1024 * 1024
#: What an idle connection that the other side has closed meanwhile answers with.
_GONE = (http.client.RemoteDisconnected, http.client.CannotSendRequest, ConnectionResetError, BrokenPipeError)


class Answer(NamedTuple):
    """`retry_after` in seconds, None if it was not said."""

    status: int
    body: bytes = b""
    retry_after: Optional[float] = None


class Transport(Protocol):
    """Sends a POST. `consentry.testing.MemoryTransport` is the one for tests."""

    def send(self, path: str, body: bytes, headers: Mapping[str, str], *, keep: bool = True) -> Answer:
        """The answer, whatever its status. Raises `OSError` when there is none. `keep`: always of the same thread, more will follow."""
        ...

    def forget(self) -> None:
        """Another process has the connection."""
        ...

    def close(self) -> None: ...


class HttpTransport:
    """HTTP/1.1 to `host`, such as `https://events.example.com`; a path before the API's is kept. `timeout` in seconds, for each step."""

    def __init__(self, host: str, timeout: float = 10.0, tls: Optional[ssl.SSLContext] = None) -> None:
        parts = urlsplit(host)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("host must be an address such as https://events.example.com")
        self._secure = parts.scheme == "https"
        self._name, self._port = parts.hostname, parts.port
        self._prefix = parts.path.rstrip("/")
        self._timeout = timeout
        self._tls = (tls or ssl.create_default_context()) if self._secure else None
        self._kept: Optional[http.client.HTTPConnection] = None

    def send(self, path: str, body: bytes, headers: Mapping[str, str], *, keep: bool = True) -> Answer:
        if not keep:
            connection = self._connect()
            try:
                return self._ask(connection, path, body, headers)
            finally:
                connection.close()
        if self._kept is not None:
            with suppress(*_GONE):  # an event that did arrive is told by its id
                return self._ask_kept(path, body, headers)
        self._kept = self._connect()
        return self._ask_kept(path, body, headers)

    def forget(self) -> None:
        self._kept = None

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def _ask_kept(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        assert self._kept is not None
        try:
            return self._ask(self._kept, path, body, headers)
        except BaseException:
            self.close()
            raise

    def _ask(self, connection: http.client.HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        try:
            connection.request("POST", self._prefix + path, body, dict(headers))
            response = connection.getresponse()
            text = response.read(_MOST_BYTES)
        except (http.client.HTTPException, ValueError) as error:
            if isinstance(error, _GONE):
                raise
            raise ConnectionError(str(error)) from error
        if response.will_close or not response.isclosed():
            connection.close()
        return Answer(response.status, text, _seconds(response.getheader("Retry-After")))

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            return http.client.HTTPSConnection(self._name, self._port, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(self._name, self._port, timeout=self._timeout)


def _seconds(text: Optional[str]) -> Optional[float]:
    """Retry-After in seconds; a date counts as not said, the gateway sends none (RFC 9110, section 10.2.3)."""
    return float(text) if text is not None and text.strip().isdecimal() else None
