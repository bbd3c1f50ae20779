"""Importing a file: every line has one outcome, and importing again stores nothing twice."""

from __future__ import annotations

import io
from collections.abc import Sequence

import orjson
import pytest

from consentryd.gateway.health import Check
from consentryd.gateway.imports.combined import CombinedReader
from consentryd.gateway.imports.fingerprint import REMEMBERED, Fingerprint
from consentryd.gateway.imports.importer import ATTEMPTS, Importer, Summary
from consentryd.gateway.imports.source import Source
from consentryd.gateway.intake import Intake
from consentryd.model.clock import ManualClock
from consentryd.model.error import Misdirected, Unavailable
from consentryd.model.event import RawEvent
from consentryd.model.key import ApiKey, KeyKind
from consentryd.model.outcome import Outcome, Reason, Result

KEY = ApiKey("key_1", KeyKind.SERVER, "shop", "import", None, (), 0, None)
SECRET = b"s" * 32


class Store:
    """A collector in memory: event ids once, `bad` ones refused; `failures` are raised first, in order."""

    def __init__(self, *failures: Exception) -> None:
        self.seen: dict[str, RawEvent] = {}
        self.batches: list[int] = []
        self.failures = list(failures)

    async def collect(self, intake: Intake, events: Sequence[RawEvent]) -> list[Result]:
        assert intake.key == KEY
        if self.failures:
            raise self.failures.pop(0)
        self.batches.append(len(events))
        return [self._take(event) for event in events]

    def _take(self, event: RawEvent) -> Result:
        if event.event == "bad":
            return Result(event.event_id, Outcome.REJECTED, Reason.INVALID_EVENT)
        if event.event_id in self.seen:
            return Result(event.event_id, Outcome.DUPLICATE)
        self.seen[event.event_id] = event
        return Result(event.event_id, Outcome.STORED)

    async def readiness(self) -> list[Check]:
        return []


async def run(store: Store, data: bytes, **options) -> Summary:
    waited = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    importer = Importer(store, KEY, ManualClock(0), Fingerprint(SECRET), sleep=sleep, **options)
    return await importer.run(Source(io.BytesIO(data)))


def events(count: int, **members) -> bytes:
    return b"".join(orjson.dumps({"type": "track", "event": f"e{number}", **members}) + b"\n" for number in range(count))


async def test_every_event_is_sent_in_batches_and_its_outcome_counted() -> None:
    store = Store()
    summary = await run(store, events(2500))
    assert store.batches == [1000, 1000, 500]
    assert summary.outcomes == {Outcome.STORED: 2500}
    assert summary.lines == 2500
    assert not summary.faulty


async def test_long_lines_do_not_gather_in_memory() -> None:
    store = Store()
    summary = await run(store, events(10, properties={"note": "x" * 900_000}))
    assert store.batches == [5, 5]
    assert summary.outcomes == {Outcome.STORED: 10}


async def test_importing_again_stores_nothing_twice_although_no_line_has_an_id() -> None:
    store = Store()
    data = events(3) * 2
    first, second = await run(store, data), await run(store, data)
    assert first.outcomes == {Outcome.STORED: 6}
    assert second.outcomes == {Outcome.DUPLICATE: 6}


async def test_a_file_that_grew_or_lost_its_head_is_recognised_where_it_is_the_same() -> None:
    store = Store()
    lines = events(10).splitlines(keepends=True)
    await run(store, b"".join(lines[:6]))
    assert (await run(store, b"".join(lines[3:]))).outcomes == {Outcome.DUPLICATE: 3, Outcome.STORED: 4}


async def test_an_id_that_the_line_has_is_kept_in_either_spelling() -> None:
    store = Store()
    await run(store, events(1, messageId="m-1") + events(1, message_id="m-2") + events(1, event_id="m-3"))
    assert set(store.seen) == {"m-1", "m-2", "m-3"}


async def test_a_placeholder_is_no_id_that_the_line_has() -> None:
    store = Store()
    data = events(2, messageId="undefined") + events(1, messageId="{{id}}")
    first, second = await run(store, data), await run(store, data)
    assert first.outcomes == {Outcome.STORED: 3}
    assert second.outcomes == {Outcome.DUPLICATE: 3}


async def test_a_made_up_id_tells_nothing_to_who_lacks_the_secret() -> None:
    line = events(1, userId="jo@example.com")
    ids = {Fingerprint(secret).of(line.strip()) for secret in (SECRET, b"t" * 32)}
    assert len(ids) == 2


def test_fingerprints_remember_a_bounded_number_of_lines() -> None:
    fingerprint = Fingerprint(SECRET)
    first = fingerprint.of(b"line")
    assert fingerprint.of(b"line") != first
    for number in range(REMEMBERED):
        fingerprint.of(b"%d" % number)
    assert fingerprint.of(b"line") == first


async def test_what_cannot_be_read_or_was_refused_is_listed_by_line_number_without_its_content() -> None:
    data = events(1) + b"\n" + b'{"type": "track", "secret\n' + b"[1]\n" + b'{"type": "track", "event": "bad"}\n' + events(1)
    summary = await run(Store(), data)
    assert summary.faults == [(3, "malformed"), (4, "malformed"), (5, "invalid_event")]
    assert (summary.malformed, summary.lines) == (2, 5)
    assert summary.reasons == {Reason.INVALID_EVENT: 1}
    assert summary.faulty
    assert "secret" not in repr(summary)


async def test_an_access_log_is_recognised_and_what_is_no_page_is_no_fault() -> None:
    line = b'192.0.2.7 - - [22/Nov/2026:10:15:02 +0100] "GET %s HTTP/1.1" 200 1 "-" "-"\n'
    store = Store()
    summary = await run(store, line % b"/a" + line % b"/a" + line % b"/a.png")
    assert (summary.outcomes, summary.not_a_page, summary.faulty) == ({Outcome.STORED: 2}, 1, False)
    assert {event.type for event in store.seen.values()} == {"page"}


@pytest.mark.parametrize("head", [b"\xef\xbb\xbf", b'ent":"cut off"}\n', b"\n\0\n"])
async def test_what_stands_before_the_first_whole_line_does_not_hide_what_the_file_is(head: bytes) -> None:
    summary = await run(Store(), head + b'{"event":"x"}\n{"event":"y"}\n')
    assert summary.outcomes == {Outcome.STORED: 2}


async def test_a_format_that_was_named_is_not_guessed() -> None:
    summary = await run(Store(), events(2), reader=CombinedReader(Fingerprint(SECRET)))
    assert summary.malformed == 2


async def test_a_store_that_comes_back_loses_nothing() -> None:
    busy = Unavailable("overloaded", "Later.")
    store = Store(busy, busy, busy)
    assert (await run(store, events(5))).outcomes == {Outcome.STORED: 5}
    assert len(store.seen) == 5


async def test_a_store_that_stays_away_ends_the_import() -> None:
    store = Store(*[Unavailable("overloaded", "Later.")] * ATTEMPTS)
    with pytest.raises(Unavailable, match="counted twice"):
        await run(store, events(5))
    assert store.failures == []


async def test_events_of_a_region_not_served_are_refused_by_line() -> None:
    summary = await run(Store(Misdirected("wrong_region", "Elsewhere.")), events(2))
    assert summary.reasons == {Reason.WRONG_REGION: 2}
    assert summary.faults == [(1, "wrong_region"), (2, "wrong_region")]
