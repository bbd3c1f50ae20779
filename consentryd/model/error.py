"""Every error a client can meet, once: code, status, text, log level and when to come back.

    ConsentryError
      BadRequest 400     bad_json, bad_body, bad_encoding, bad_parameter, bad_query, bad_request
      Unauthorized 401   missing_key, unknown_key, bad_token
      Forbidden 403      wrong_key_kind, forbidden_origin, other_site
      NotFound 404       not_found
      MethodNotAllowed 405   method_not_allowed
      Conflict 409       conflict
      TooLarge 413       body_too_large, batch_too_large
      UnsupportedMedia 415   unsupported_encoding
      Misdirected 421    wrong_region, unknown_region
      Unprocessable 422  invalid
      RateLimited 429    rate_limited
      Unavailable 503    store_unavailable, partly_unavailable, overloaded, body_too_slow, not_ready, keys_unavailable

Texts never repeat what the client sent.
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar


class ConsentryError(Exception):
    """Base of all. `detail` holds extra members of the answer's `error` object, free of personal data."""

    status: ClassVar[int] = 500
    level: ClassVar[int] = logging.ERROR

    def __init__(self, code: str, message: str, *, retry_after: int | None = None, **detail: Any) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retry_after = retry_after
        self.detail = detail

    def body(self) -> dict[str, Any]:
        """The one error shape: `{"error": {"code", "message", ...}}`."""
        return {"error": {"code": self.code, "message": self.message, **self.detail}}


class BadRequest(ConsentryError):
    status = 400
    level = logging.INFO


class Unauthorized(ConsentryError):
    status = 401
    level = logging.INFO


class Forbidden(ConsentryError):
    status = 403
    level = logging.INFO


class NotFound(ConsentryError):
    status = 404
    level = logging.INFO


class MethodNotAllowed(ConsentryError):
    status = 405
    level = logging.INFO


class Conflict(ConsentryError):
    status = 409
    level = logging.INFO


class TooLarge(ConsentryError):
    status = 413
    level = logging.INFO


class UnsupportedMedia(ConsentryError):
    status = 415
    level = logging.INFO


class Misdirected(ConsentryError):
    status = 421
    level = logging.INFO


class Unprocessable(ConsentryError):
    status = 422
    level = logging.INFO


class RateLimited(ConsentryError):
    status = 429
    level = logging.INFO


class Unavailable(ConsentryError):
    """Not all was kept, mostly nothing; the client should send it again after `retry_after` seconds."""

    status = 503
    level = logging.WARNING

    def __init__(self, code: str, message: str, *, retry_after: int = 2, **detail: Any) -> None:
        super().__init__(code, message, retry_after=retry_after, **detail)


class ConfigError(Exception):
    """A setting, key or file is wrong in a way that must stop start-up. The message says what to do."""


class CorruptStore(Exception):
    """Stored bytes are not what was written. The message names the file and what was expected."""
