"""Takes a request's events through the pipeline into the stores of their regions, and says what became of each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec

from consentryd.config.settings import Settings
from consentryd.gateway.foresight import Foresight
from consentryd.gateway.health import Check
from consentryd.gateway.intake import Intake
from consentryd.gateway.letters import letter
from consentryd.gateway.pipeline import Pipeline, prepare, turns
from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.place import UNKNOWN, Place
from consentryd.gateway.ties import Pair, Ties
from consentryd.model.decision import Lane
from consentryd.model.error import Misdirected, Unavailable
from consentryd.model.event import POSITION, CleanEvent, RawEvent
from consentryd.model.outcome import OUTCOME_OF, Outcome, Reason, Result, Verdict
from consentryd.privacy.scrub import Scrubber
from consentryd.storage.log import Log
from consentryd.storage.rejected import Letter

#: Told the site and the region that is not served here.
NoteRefusal = Callable[[str, str], Awaitable[None]]

_EVENT_ID: Final = POSITION["event_id"]
_LANE: Final = POSITION["lane"]
_STORED: Final = Outcome.STORED
_STORED_BY_NOW: Final = (Outcome.STORED, Outcome.DUPLICATE)
_RETRY: Final = Reason.UNAVAILABLE
#: Refusals of events that their senders still have.
_KEPT_BY_SENDERS: Final = (Reason.UNAVAILABLE, Reason.WRONG_REGION)


class Collector:
    """One for a process. `logs` are the regions it serves. `note_refusal` is told once of a request with events of another."""

    def __init__(
        self,
        settings: Settings,
        pipeline: Pipeline,
        place: Place,
        foresight: Foresight,
        logs: Mapping[str, Log],
        scrubbers: Mapping[str, Scrubber],
        ties: Ties,
        note_refusal: NoteRefusal | None = None,
    ) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._place = place
        self._foresight = foresight
        self._logs = logs
        self._scrubbers = scrubbers
        self._ties = ties
        self._note_refusal = note_refusal

    async def collect(self, intake: Intake, events: Sequence[RawEvent]) -> list[Result]:
        """One result per event, in order, once everything stored is durable. Raises `Unavailable`, `Misdirected`: nothing was kept."""
        passage = prepare(intake, self._settings)
        try:
            items = await self._run(events, passage)
        except Misdirected:
            await self._note(intake, UNKNOWN)
            raise
        if passage.misdirected:
            await self._note(intake, passage.misdirected)
        if passage.misdirected and all(item is Reason.WRONG_REGION for item in items):
            raise Misdirected(
                "wrong_region",
                "These events belong to a region that this gateway does not serve. Nothing was kept.",
                region=passage.misdirected,
                endpoint=self._place.endpoint(passage.misdirected),
            )
        verdicts = await self._store(items)
        if passage.apart:
            await self._ties.make(intake.key.site, passage.apart, _pairs(items, verdicts))
        await self._keep_letters(events, verdicts, passage)
        results = [
            Result(raw.event_id, verdict) if verdict is _STORED and raw.event_id.__class__ is str else _result(raw, item, verdict)
            for raw, item, verdict in zip(events, items, verdicts, strict=True)
        ]
        for position, violation in passage.violations.items():
            results[position] = msgspec.structs.replace(results[position], violation=violation)
        return results

    async def _run(self, events: Sequence[RawEvent], passage: Passage) -> list[CleanEvent | Reason]:
        """Other requests have their turn between the parts of a large body."""
        items: list[CleanEvent | Reason] = []
        for part in turns(events, passage.intake.size):
            if items:
                await asyncio.sleep(0)
            await self._foresight.foresee(part, passage)
            items += self._pipeline.run(part, passage)
        return items

    async def readiness(self) -> list[Check]:
        """Whether each region's log takes a commit now."""
        problems = await asyncio.gather(*(log.check_writable() for log in self._logs.values()))
        return [
            Check(f"log:{region}", problem is None, problem or "") for region, problem in zip(self._logs, problems, strict=True)
        ]

    async def _note(self, intake: Intake, region: str) -> None:
        if self._note_refusal is not None:
            with contextlib.suppress(Unavailable):
                await self._note_refusal(intake.key.site, region)

    async def _store(self, items: Sequence[Any]) -> list[Verdict]:
        """Append each region's events to its log. If every store asked fails, the request fails; else its events are to be retried."""
        verdicts = list(items)
        by_region: dict[str, list[int]] = {}
        for position, item in enumerate(items):
            if item.__class__ is CleanEvent:
                by_region.setdefault(item.region, []).append(position)
        failures = []
        for positions, answer in await self._append(by_region, items):
            if isinstance(answer, Unavailable):
                failures.append(answer)
                answer = [_RETRY] * len(positions)  # noqa: PLW2901 - their senders have them still
            for position, verdict in zip(positions, answer, strict=True):
                verdicts[position] = verdict
        if failures and len(failures) == len(by_region):
            raise failures[0]
        return verdicts

    async def _append(
        self, by_region: Mapping[str, list[int]], items: Sequence[Any]
    ) -> list[tuple[list[int], list[Verdict] | Unavailable]]:
        async def append(region: str, positions: list[int]) -> tuple[list[int], list[Verdict] | Unavailable]:
            try:
                return positions, await self._logs[region].append([items[position] for position in positions])
            except Unavailable as error:
                return positions, error

        if len(by_region) == 1:
            return [await append(*next(iter(by_region.items())))]
        return await asyncio.gather(*(append(region, positions) for region, positions in by_region.items()))

    async def _keep_letters(self, events: Sequence[RawEvent], verdicts: Sequence[Verdict], passage: Passage) -> None:
        if Reason not in map(type, verdicts):
            return
        intake, violations = passage.intake, passage.violations
        if _RETRY in verdicts and not intake.partial:  # what was refused comes again with the rest
            return
        declared = self._place.declared(intake.key.region, intake.region)
        region = declared or self._place.of_country(intake.client.country)
        if region not in self._logs:
            if declared:
                return
            region = next(iter(self._logs))
        position = 0
        for part in turns(events, intake.size):
            if position:
                await asyncio.sleep(0)
            refused: list[Letter] = [
                letter(raw, verdict, intake.key.site, intake.received_at, self._scrubbers[region], violations.get(place))
                for place, (raw, verdict) in enumerate(zip(part, verdicts[position:], strict=False), position)
                if verdict.__class__ is Reason and verdict not in _KEPT_BY_SENDERS
            ]
            position += len(part)
            if refused:
                self._logs[region].reject(refused)


def _pairs(items: Sequence[Any], verdicts: Sequence[Verdict]) -> set[tuple[str, Pair]]:
    """The user ids and the anonymous ids named with them, of events that are stored, now or before."""
    stored = [
        item for item, verdict in zip(items, verdicts, strict=True) if item.__class__ is CleanEvent and verdict in _STORED_BY_NOW
    ]
    return {
        (item.region, (item.user, other))
        for item in stored
        if item.user is not None
        for other in (item.anonymous, item.previous)
        if other is not None
    }


def _result(raw: RawEvent, item: Any, verdict: Any) -> Result:
    event_id = raw.event_id
    if event_id.__class__ is int:
        event_id = str(event_id)
    elif event_id.__class__ is not str:
        event_id = _given_id(item)
    if verdict.__class__ is Outcome:
        return Result(event_id, verdict)
    return Result(event_id, OUTCOME_OF[verdict], verdict)


def _given_id(item: Any) -> str | None:
    """The id that we gave. That of an anonymous row is nobody's to know."""
    if item.__class__ is not CleanEvent or item.row[_LANE] == Lane.ANONYMOUS:
        return None
    event_id: str = item.row[_EVENT_ID]
    return event_id
