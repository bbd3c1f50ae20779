"""For your own tests: a transport that keeps what it is given and answers as the gateway does.

transport = MemoryTransport()
client = Consentry("key", transport=transport)
...
client.flush()
assert [event["event"] for event in transport.events] == ["signup_completed"]
"""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Mapping
from typing import Any, Callable, Optional

from consentry.transport import Answer

#: An outcome and its reason for an event: `("stored", None)`, `("rejected", "invalid_time")`.
Fate = Callable[[dict[str, Any]], tuple[str, Optional[str]]]


class MemoryTransport:
    """`events` and `choices` are what arrived, in order; an id that arrived before is a duplicate and not kept again.

    Set `down` to be unreachable, `status` (with `retry_after`) to refuse requests, `fate` to decide about single events. `dropped` sums what
    the client said it lost. `requests` counts attempts.
    """

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.choices: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.requests = 0
        self.dropped = 0
        self.down = False
        self.status = 200
        self.retry_after: Optional[float] = None
        self.fate: Fate = lambda _event: ("stored", None)
        self._ids: set[str] = set()
        self._lock = threading.Lock()

    def send(self, path: str, body: bytes, headers: Mapping[str, str], *, keep: bool = True) -> Answer:
        with self._lock:
            self.requests += 1
            self.headers.append({**headers, "keep": str(keep)})
            if self.down:
                raise ConnectionRefusedError("down")
            if self.status != 200:  # noqa: PLR2004
                return Answer(self.status, b'{"error":{"code":"refused","message":""}}', self.retry_after)
            plain = gzip.decompress(body) if headers.get("Content-Encoding") == "gzip" else body
            said = json.loads(plain)
            return self._take_choice(said) if path == "/v1/consent" else self._take(said)

    def forget(self) -> None:
        """Nothing to forget."""

    def close(self) -> None:
        """Nothing to close."""

    def named(self, event: str) -> list[dict[str, Any]]:
        """The track calls of that name."""
        return [each for each in self.events if each.get("event") == event]

    def _take_choice(self, said: dict[str, Any]) -> Answer:
        self.choices.append(said)
        in_force = {purpose: "granted" if yes else "refused" for purpose, yes in said["purposes"].items()}
        return Answer(200, json.dumps({"in_force": in_force, "receipt": {}}).encode())

    def _take(self, said: dict[str, Any]) -> Answer:
        results = []
        for event in said["batch"]:
            outcome, reason = ("duplicate", None) if event["messageId"] in self._ids else self.fate(event)
            if outcome in {"stored", "anonymous"}:
                self._ids.add(event["messageId"])
                self.events.append(event)
            if outcome != "stored":
                results.append({"id": event["messageId"], "outcome": outcome, "reason": reason})
        if said.get("partial") is not True and any(result["outcome"] == "retry" for result in results):
            return Answer(503, b'{"error":{"code":"partly_unavailable","message":""}}', self.retry_after)
        self.dropped += said.get("dropped", 0)
        accepted = len(said["batch"]) - sum(result["outcome"] not in {"anonymous", "duplicate"} for result in results)
        return Answer(200, json.dumps({"accepted": accepted, "results": results, "success": True}).encode(), self.retry_after)
