"""Request bodies made before the clock starts, from the example shop's events.

Each use of a body is a new round: its event ids and identities change by overwriting the same few bytes, so that a body of 100 events
costs the loader about 10 microseconds and nothing is ever a duplicate.
"""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GRANT = b'"consent":{"purposes":{"analytics":true,"marketing":false},"notice":"2026-01"}'
_CONSENT = re.compile(rb'"consent":\{(?:"purposes":\{[^}]*\},"notice":"[^"]*"|"gpc":true)\}')
#: The first eight characters of ids, which the round overwrites.
_ID = re.compile(rb'"(?:messageId|anonymousId|previousId|sessionId)":"(.{8})|"userId":"u-(.{8})')


def shop_events(count: int, *, granted: bool, seed: int = 1) -> list[bytes]:
    """Events of yesterday and the day before. `granted`: each carries a grant and none is a bot's, so that every one is stored."""
    wanted = count + count // 20 if granted else count
    start = datetime.now(UTC).date() - timedelta(days=2)
    arguments = ["--events", str(wanted), "--seed", str(seed), "--start", start.isoformat(), "--days", "2"]
    made = subprocess.run(
        [sys.executable, "-m", "examples.shop_events", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    lines = made.stdout.splitlines()
    if granted:
        lines = [_grant(line) for line in lines if b"Googlebot" not in line]
    return lines[:count]


def _grant(line: bytes) -> bytes:
    line, replaced = _CONSENT.subn(GRANT, line, count=1)
    return line if replaced else line.replace(b'"context":{', b'"context":{' + GRANT + b",", 1)


class Body:
    """A request's bytes. `round` makes its ids new; the buffer must not be in flight then."""

    def __init__(self, path: str, key: str, events: list[bytes], *, batch: bool) -> None:
        payload = b'{"batch":[' + b",".join(events) + b"]}" if batch else events[0]
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {key}\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        self.events = len(events)
        self.data = bytearray(head.encode() + payload)
        self._places = [found.start(found.lastindex or 1) for found in _ID.finditer(self.data)]

    def round(self, number: int) -> bytearray:
        tag = b"%08x" % number
        data = self.data
        for place in self._places:
            data[place : place + 8] = tag
        return data


def bodies(events: list[bytes], key: str, batch: int) -> list[Body]:
    """All events, in their order, in batches of that many; of 1: each by the call that it is."""
    if batch == 1:
        return [Body(f"/v1/{_type(event)}", key, [event], batch=False) for event in events]
    return [Body("/v1/batch", key, events[at : at + batch], batch=True) for at in range(0, len(events) - batch + 1, batch)]


def _type(event: bytes) -> str:
    found = re.search(rb'"type":"(\w+)"', event)
    assert found is not None
    return found[1].decode()
