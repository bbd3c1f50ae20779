"""Event ids for lines that have none: the same file gives the same ids again, so that an import can be repeated."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

#: Identical lines further apart than this are taken for one; they would be an event id apart otherwise. 100,000 cost about 12 MB.
REMEMBERED: Final = 100_000
_ID_BYTES: Final = 16


class Fingerprint:
    """Keyed by `secret` (16 to 64 bytes): without it nobody can test a guess about a line against the event id that is stored.

    An id is made of a line and of how often it came before, not of its number: it stays the same when a log is rotated.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._repeats: dict[bytes, int] = {}

    def of(self, line: bytes) -> str:
        digest = blake2b(line, key=self._secret, digest_size=_ID_BYTES).digest()
        repeat = self._repeats.get(digest)
        if repeat is None:
            if len(self._repeats) >= REMEMBERED:
                del self._repeats[next(iter(self._repeats))]
            self._repeats[digest] = 0
            return digest.hex()
        self._repeats[digest] = repeat + 1
        return blake2b(digest + (repeat + 1).to_bytes(8, "big"), key=self._secret, digest_size=_ID_BYTES).hexdigest()
