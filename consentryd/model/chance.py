"""Randomness of the system's source, drawn in stock."""

from __future__ import annotations

import secrets
from typing import Final

_STOCK_BYTES: Final = 4096


class Chance:
    """Fit for ids and keys. Belongs to one thread of one process.

    A draw from the system gives the interpreter to another thread and waits to have it back, however few its bytes.
    """

    def __init__(self) -> None:
        self._stock = b""
        self._used = 0

    def take(self, count: int) -> bytes:
        """`count` bytes, at most 4,096, that nobody else gets."""
        start, end = self._used, self._used + count
        if end > len(self._stock):
            self._stock = secrets.token_bytes(_STOCK_BYTES)
            start, end = 0, count
        self._used = end
        return self._stock[start:end]

    def number(self) -> int:
        """1 to 2^63 - 1."""
        drawn = 0
        while not drawn:
            drawn = int.from_bytes(self.take(8), "little") >> 1
        return drawn
