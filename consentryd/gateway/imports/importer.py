"""Lines in, outcomes out: batches of events through the collector, as a server's requests go."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from consentryd.gateway.imports.combined import CombinedReader
from consentryd.gateway.imports.fingerprint import Fingerprint
from consentryd.gateway.imports.jsonl import JsonlReader
from consentryd.gateway.imports.line import LineReader, Read, Unread
from consentryd.gateway.imports.source import Source
from consentryd.gateway.intake import Intake
from consentryd.model.client import UNKNOWN_CLIENT
from consentryd.model.clock import Clock
from consentryd.model.error import Misdirected, Unavailable
from consentryd.model.event import RawEvent
from consentryd.model.key import ApiKey
from consentryd.model.outcome import Outcome, Reason, Result

if TYPE_CHECKING:
    from consentryd.gateway.services import Collecting

BATCH: Final = 1000
#: A batch with so many bytes of lines is sent at once.
BATCH_BYTES: Final = 4 << 20
#: How often a store that cannot take a batch is asked again before the import gives up.
ATTEMPTS: Final = 20
PAUSE_S: Final = 2.0
#: Most line numbers kept of what was wrong; everything is counted.
LISTED: Final = 1000

Sleep = Callable[[float], Awaitable[None]]


@dataclass(slots=True)
class Summary:
    """What became of every line. `faults` lists line numbers and what was wrong with them, never what stood there."""

    lines: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[Reason] = field(default_factory=Counter)
    not_a_page: int = 0
    malformed: int = 0
    truncated: bool = False
    faults: list[tuple[int, str]] = field(default_factory=list)

    @property
    def faulty(self) -> bool:
        """Whether the file, rather than anybody's choice, kept something out."""
        return bool(self.malformed or self.truncated or self.outcomes[Outcome.REJECTED])

    def note(self, line: int, fault: str) -> None:
        if len(self.faults) < LISTED:
            self.faults.append((line, fault))


class Importer:
    """Imports as `key` (a server key, or one made up for a site). `reader` is chosen by the first line that can be read if None.

    `fingerprint` gives ids to lines without one. `sleep` waits between attempts, in seconds.
    """

    def __init__(
        self,
        collector: Collecting,
        key: ApiKey,
        clock: Clock,
        fingerprint: Fingerprint,
        reader: LineReader | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._collector = collector
        self._key = key
        self._clock = clock
        self._fingerprint = fingerprint
        self._chosen = reader
        self._sleep = sleep

    async def run(self, source: Source, progress: Callable[[int], None] = lambda _: None) -> Summary:
        """Import everything; `progress` is told the bytes of the file done. Raises `Unavailable` when the store stays away."""
        summary = Summary()
        batch: list[tuple[int, Read]] = []
        longest = size = 0
        for number, line in source.lines():
            summary.lines += 1
            read = Unread.MALFORMED if line is None else self._read(line)
            if isinstance(read, Read):
                batch.append((number, read))
                longest = max(longest, len(line or b""))
                size += len(line or b"")
            else:
                _count_unread(summary, number, read)
            if len(batch) >= BATCH or size >= BATCH_BYTES:
                await self._send(batch, longest, summary)
                batch, longest, size = [], 0, 0
                progress(source.position)
        await self._send(batch, longest, summary)
        summary.truncated = source.truncated
        progress(source.position)
        return summary

    def _read(self, line: bytes) -> Read | Unread:
        """By the reader of the file, which the first line that one can read decides: a file may begin within a line."""
        if self._chosen is not None:
            return self._chosen.read(line)
        reader = (JsonlReader if line.startswith((b"{", b"[")) else CombinedReader)(self._fingerprint)
        read = reader.read(line)
        if read is not Unread.MALFORMED:
            self._chosen = reader
        return read

    async def _send(self, batch: list[tuple[int, Read]], longest: int, summary: Summary) -> None:
        """Events with a region go first: of people whom no store knows they tell where they live."""
        by_region: dict[str | None, list[tuple[int, RawEvent]]] = {}
        for number, (event, region) in batch:
            by_region.setdefault(region, []).append((number, event))
        for region in sorted(by_region, key=lambda region: region is None):
            await self._send_declared(region, by_region[region], longest, summary)

    async def _send_declared(self, region: str | None, batch: list[tuple[int, RawEvent]], longest: int, summary: Summary) -> None:
        for attempt in range(ATTEMPTS):
            if not batch:
                return
            if attempt:
                await self._sleep(PAUSE_S)
            results = await self._collect(region, [event for _, event in batch], longest)
            again = []
            for entry, result in zip(batch, results, strict=True):
                if result.outcome is Outcome.RETRY:
                    again.append(entry)
                else:
                    _count(summary, entry[0], result)
            batch = again
        if batch:
            raise Unavailable("store_unavailable", GIVEN_UP)

    async def _collect(self, region: str | None, events: list[RawEvent], longest: int) -> Iterable[Result]:
        """One attempt; if it fails as a whole, every event is to be tried again."""
        intake = Intake(self._key, self._clock.now(), UNKNOWN_CLIENT, region=region, size=longest, partial=True)
        try:
            return await self._collector.collect(intake, events)
        except Misdirected:
            return [Result(None, Outcome.REJECTED, Reason.WRONG_REGION)] * len(events)
        except Unavailable:
            return [Result(None, Outcome.RETRY, Reason.UNAVAILABLE)] * len(events)


GIVEN_UP: Final = (
    "The store cannot take events. What was stored is kept; import the file again later, nothing will be counted twice."
)


def _count(summary: Summary, number: int, result: Result) -> None:
    summary.outcomes[result.outcome] += 1
    if result.reason is not None:
        summary.reasons[result.reason] += 1
    if result.outcome is Outcome.REJECTED:
        where = (
            "" if result.violation is None else f" ({result.violation.pointer or 'the properties'}: {result.violation.keyword})"
        )
        summary.note(number, f"{result.reason}{where}")


def _count_unread(summary: Summary, number: int, why: Unread) -> None:
    if why is Unread.NOT_A_PAGE:
        summary.not_a_page += 1
    else:
        summary.malformed += 1
        summary.note(number, why.value)
