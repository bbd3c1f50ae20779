"""The client for asyncio: `AsyncConsentry`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Optional

from consentry.bound import Bound
from consentry.client import Consentry
from consentry.failure import Stats


class AsyncConsentry:
    """`Consentry`, whose arguments it takes, without a call that keeps the event loop waiting.

    `track` and its like are plain functions: they put an event into the queue in microseconds (but `fsync="always"` waits for the disk).
    What waits for the gateway is awaited: `flush`, `close`, `set_consent`. Delivery runs in a thread of its own, so that a busy loop does
    not hold it up.
    """

    def __init__(self, write_key: str, host: str = "http://127.0.0.1:8088", **settings: Any) -> None:
        self._client = Consentry(write_key, host, **settings)
        self.track = self._client.track
        self.identify = self._client.identify
        self.page = self._client.page
        self.screen = self._client.screen
        self.group = self._client.group
        self.alias = self._client.alias

    def bind(self, **options: Any) -> Bound:
        return Bound(self, options)

    @property
    def stats(self) -> Stats:
        return self._client.stats

    async def set_consent(self, purposes: Mapping[str, bool], **options: Any) -> dict[str, Any]:
        return await asyncio.to_thread(self._client.set_consent, purposes, **options)

    async def flush(self, timeout: Optional[float] = 10.0) -> bool:
        delivery, given_up = self._client._delivery, threading.Event()  # noqa: SLF001 -- a client cannot take a flush back
        try:
            return await asyncio.to_thread(delivery.flush, timeout, given_up.is_set)
        except asyncio.CancelledError:
            # the loop's end waits for its threads
            given_up.set()
            delivery.look_up()
            raise

    async def close(self, timeout: Optional[float] = None) -> None:
        await asyncio.to_thread(self._client.close, timeout)

    async def __aenter__(self) -> AsyncConsentry:  # noqa: PYI034 -- Python 3.9 has no `Self`
        return self

    async def __aexit__(
        self, _kind: Optional[type[BaseException]], _error: Optional[BaseException], _trace: Optional[TracebackType]
    ) -> None:
        await self.close()
