"""Telling others: changes of a request's status, and erasures for systems downstream. Signed, retried, only to configured addresses."""

from __future__ import annotations

import hashlib
import hmac
import http.client
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from consentryd.config.settings import Settings
from consentryd.model.clock import HOUR, SECOND, Clock
from consentryd.rights.opendsr import Processor
from consentryd.storage.delivery import Delivery
from consentryd.storage.ledger import iso
from consentryd.storage.request import Casebook

TIMEOUT_S: Final = 5.0
SIGNATURE: Final = "X-Consentry-Signature"
ATTEMPTS: Final = 12

#: Waits between attempts double from the first to the last.
FIRST_WAIT: Final = 2 * SECOND
LAST_WAIT: Final = HOUR

_ANSWER_CHARS: Final = 200

#: Posts a body with headers to an address; the status of the answer and the beginning of its body. Raises `OSError`.
Post = Callable[[str, bytes, Mapping[str, str]], tuple[int, str]]


def post(url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
    """One request; redirects are not followed. An address that nothing can be sent to is an `OSError` as well."""
    try:
        parts = urlsplit(url)
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        with closing(connect(parts.netloc, timeout=TIMEOUT_S)) as connection:
            connection.request("POST", parts.path or "/", body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read(_ANSWER_CHARS).decode("utf-8", "replace")
    except (http.client.HTTPException, ValueError, OverflowError) as error:
        raise OSError(type(error).__name__) from None


def sign(body: bytes, secret: bytes, at: int) -> str:
    """`t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>." and the body>`: who checks it also sees how old it is."""
    stamp = str(at // SECOND)
    return f"t={stamp},v1={hmac.new(secret, stamp.encode() + b'.' + body, hashlib.sha256).hexdigest()}"


def is_signed(body: bytes, header: str, secret: bytes) -> bool:
    """For receivers: whether `header` is our signature of `body`."""
    stamp, _, signature = header.encode(errors="replace").removeprefix(b"t=").partition(b",v1=")
    expected = hmac.new(secret, stamp + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature)


@dataclass(frozen=True, slots=True)
class Messenger:
    """Sends what is due. One for a region, a thread and a run of its work.

    Who does not answer is not tried again in that run: each try takes seconds, and there may be one for each person.
    """

    settings: Settings
    clock: Clock
    post: Post = post
    processor: Processor | None = None
    silent: set[str] = field(default_factory=set)

    def tell_downstream(
        self, book: Casebook, request: str, message: Mapping[str, Any], *, give_up: bool
    ) -> list[dict[str, Any]] | None:
        """Tell every downstream system of an erasure until it acknowledges; the acknowledgements when all are in, until then None.

        `give_up` ends the waiting, of those that were told before.
        """
        told = bool(book.deliveries.of(request, "erasure"))
        if not told:
            with book.transaction():
                for url in self.settings.rights.downstream:
                    book.deliveries.add(request, "erasure", url, dict(message), self.clock.now())
        self.send_due(book, request)
        deliveries = book.deliveries.of(request, "erasure")
        if not (told and give_up) and not all(delivery.settled for delivery in deliveries):
            return None
        with book.transaction():
            book.deliveries.give_up(request)
        return [_acknowledgement(delivery) for delivery in deliveries]

    def send_due(self, book: Casebook, request: str | None = None) -> int:
        """Try what is due (of one request); how many were answered."""
        answered = 0
        for delivery in book.deliveries.due(self.clock.now(), ATTEMPTS, request):
            if delivery.url in self.silent:
                continue
            body = orjson.dumps(book.deliveries.body(delivery))
            status, answer = self._try(delivery, body)
            ok = 200 <= status < 300  # noqa: PLR2004 - HTTP's own
            now = self.clock.now()
            wait = min(FIRST_WAIT << delivery.attempts, LAST_WAIT)
            with book.transaction():
                book.deliveries.settle(delivery, now, status, answer if ok else "", next_at=None if ok else now + wait)
            answered += ok
        return answered

    def _try(self, delivery: Delivery, body: bytes) -> tuple[int, str]:
        secret = self.settings.rights.webhook_secret
        headers = {"Content-Type": "application/json", "User-Agent": "consentry"}
        if delivery.kind == "opendsr" and self.processor is not None:
            headers |= self.processor.headers(body)
        elif secret is not None:
            headers[SIGNATURE] = sign(body, secret.get_secret_value().encode(), self.clock.now())
        try:
            return self.post(delivery.url, body, headers)
        except OSError:
            self.silent.add(delivery.url)
            return 0, ""


def _acknowledgement(delivery: Delivery) -> dict[str, Any]:
    answered = delivery.answered_at
    return {
        "url": delivery.url,
        "acknowledged_at": None if answered is None else iso(answered),
        "attempts": delivery.attempts,
        "answer_sha256": None if answered is None else hashlib.sha256((delivery.answer or "").encode()).hexdigest(),
    }
