"""What the hot path remembers of people, in memory only, is forgotten after minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final, Protocol

FORGET_EVERY_S: Final = 300.0


class Forgetful(Protocol):
    def forget(self) -> None:
        """Let go of every identifier remembered."""
        ...


class ShortMemory:
    """Empties the memories of `holders`: an identifier outlives its last event, or its erasure, by five minutes at most."""

    def __init__(self, holders: Iterable[Forgetful]) -> None:
        self._holders = tuple(holders)

    async def keep(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(FORGET_EVERY_S)
            self.forget()

    def forget(self) -> None:
        for holder in self._holders:
            holder.forget()
