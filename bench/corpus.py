"""Request bodies made before the clock starts, from the example shop's events.

Each use of a body is a new round: its event ids and identities change by one replacement of a few bytes, so that a body of 100 events
costs the loader little and nothing is ever a duplicate.
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
#: Where the round goes: over the first eight characters of a random id, or in front of a short one.
_ID = re.compile(rb'("(?:messageId|anonymousId|previousId)":").{8}|("userId":"u-)')
#: Hexadecimal, so that ids stay the UUIDs that clients send. That another eight digits of a body equal a tag is one in four billion.
_TAG = b"c0%06x"


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
    """A request's bytes; `round` gives them with new ids."""

    def __init__(self, path: str, key: str, events: list[bytes], *, batch: bool) -> None:
        payload = b'{"batch":[' + b",".join(events) + b"]}" if batch else events[0]
        self._tag = _TAG % 0
        payload = _ID.sub(lambda found: (found[1] or found[2]) + self._tag, payload)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {key}\r\nContent-Length: {len(payload)}\r\n\r\n"
        )
        self.events = len(events)
        self._data = head.encode() + payload

    def round(self, number: int) -> bytes:
        tag = _TAG % number
        if tag != self._tag:
            self._data = self._data.replace(self._tag, tag)
            self._tag = tag
        return self._data


def bodies(events: list[bytes], key: str, batch: int) -> list[Body]:
    """All events, in their order, in batches of that many; of 1: each by the call that it is."""
    if batch == 1:
        return [Body(f"/v1/{_type(event)}", key, [event], batch=False) for event in events]
    return [Body("/v1/batch", key, events[at : at + batch], batch=True) for at in range(0, len(events) - batch + 1, batch)]


def _type(event: bytes) -> str:
    found = re.search(rb'"type":"(\w+)"', event)
    assert found is not None
    return found[1].decode()
