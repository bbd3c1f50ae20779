"""A load generator that costs little: keep-alive connections on bare protocols, bodies ready made, answers hardly parsed."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from corpus import Body

_ACCEPTED = b'{"accepted":'


@dataclass
class Report:
    """`acknowledged` sums what the answers called accepted; `sent` what was in the requests answered 200."""

    sent: int = 0
    acknowledged: int = 0
    refused: dict[int, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    @property
    def rate(self) -> float:
        return self.sent / self.seconds

    def quantile(self, share: float) -> float:
        """Latency of a request in milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1000


class Connection(asyncio.Protocol):
    """One request in flight at a time; the next leaves when the answer is there."""

    def __init__(self, bodies: Iterator[tuple[Body, int]], report: Report, done: asyncio.Event) -> None:
        self._bodies = bodies
        self._report = report
        self._done = done
        self._received = b""
        self._events = 0
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def _next(self) -> None:
        following = next(self._bodies, None)
        if following is None:
            self._transport.close()
            return
        body, number = following
        self._events = body.events
        data = body.round(number)
        self._sent_at = time.perf_counter()
        self._transport.write(data)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self._received = received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        if head < 0:
            return
        at = received.find(b"Content-Length: ", 0, head)
        length = int(received[at + 16 : received.find(b"\r\n", at)])
        if len(received) < head + 4 + length:
            return
        self._received = b""
        self._note(int(received[9:12]), received[head + 4 :])
        self._next()

    def _note(self, status: int, answer: bytes) -> None:
        report = self._report
        report.latencies.append(time.perf_counter() - self._sent_at)
        if status != 200:
            report.refused[status] = report.refused.get(status, 0) + 1
            return
        report.sent += self._events
        if answer.startswith(_ACCEPTED):
            report.acknowledged += int(answer[len(_ACCEPTED) : answer.index(b",", len(_ACCEPTED))])

    def connection_lost(self, _: Exception | None) -> None:
        self._done.set()


def rounds(bodies: list[Body], events: int, first: int) -> Iterator[tuple[Body, int]]:
    """The bodies, again and again with new ids, until that many events; `first` is the first round's number."""
    given, number = 0, first
    while True:
        for body in bodies:
            if given >= events:
                return
            given += body.events
            yield body, number
        number += 1


async def drive(
    port: int,
    bodies: list[Body],
    events: int,
    connections: int,
    first_round: int = 0,
    watch: Callable[[Report], None] | None = None,
) -> Report:
    """Send `events` events over `connections` connections. Each has its own bodies. `watch` is called twice a second."""
    report = Report()
    loop = asyncio.get_running_loop()
    finished = []
    cpu, started = time.process_time(), time.perf_counter()
    for number in range(connections):
        done = asyncio.Event()
        own = rounds(bodies[number::connections], events // connections, first_round)
        await loop.create_connection(lambda own=own, done=done: Connection(own, report, done), "127.0.0.1", port)  # type: ignore[misc]
        finished.append(done.wait())
    everything = asyncio.gather(*finished)
    while not everything.done():
        await asyncio.wait([everything], timeout=0.5)
        if watch is not None:
            watch(report)
    report.seconds = time.perf_counter() - started
    report.cpu_seconds = time.process_time() - cpu
    return report


def fsync_ms(directory: Path) -> float:
    """The median of 50 appends of 4 KiB with fsync: what the disk itself costs."""
    taken = []
    with tempfile.TemporaryFile(dir=directory, buffering=0) as file:
        for _ in range(50):
            file.write(b"x" * 4096)
            started = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - started)
    return sorted(taken)[25] * 1000
