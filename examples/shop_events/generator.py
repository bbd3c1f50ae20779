"""The log: an agenda of visits and of what the shop's server does later, worked off in short slots of time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, date, datetime
from random import Random
from typing import Final, NamedTuple

from examples.shop_events import wire
from examples.shop_events.catalogue import PLANS
from examples.shop_events.population import BOT, SOURCES, Person, choose_source
from examples.shop_events.rhythm import DAY, HOUR, choose_country, hour_weights, next_visit
from examples.shop_events.visit import Visit

#: Events in one slot, about: what is held in memory between two yields.
SLOT_EVENTS: Final = 4_000
MONTH: Final = 30 * DAY

#: Shares of newcomers that are crawlers, of orders sent back, of renewals that end the subscription instead.
CRAWLERS: Final = 0.012
REFUNDED: Final = 0.05
CANCELLED: Final = 0.09


class Scenario(NamedTuple):
    """How many events, which ones (`seed`), from midnight UTC of `start` for `days` days."""

    events: int
    seed: int
    start: date
    days: int


class Entry(NamedTuple):
    """Something that will happen: a visit, a renewal of the person's plan, or a refund of `cents` for the order `ref`."""

    time: int
    kind: str
    person: Person
    cents: int = 0
    ref: str = ""


def lines(scenario: Scenario) -> Iterator[str]:
    """The log as JSON lines in the order of time. Memory is bounded by the people who will come again, about 0.5 KB each."""
    return Shop(scenario).run() if scenario.events > 0 else iter(())


class Shop:
    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self._random = Random(scenario.seed)
        self._start = int(datetime.combine(scenario.start, datetime.min.time(), UTC).timestamp()) * 1000
        self._end = self._start + scenario.days * DAY
        self._recorder = wire.Recorder()
        self._slots_per_hour = max(1, scenario.events // (scenario.days * 24 * SLOT_EVENTS))
        self._agenda: defaultdict[int, list[Entry]] = defaultdict(list)

    def run(self) -> Iterator[str]:
        remaining = self._scenario.events
        waiting: list[tuple[int, str]] = []
        for slot, share in enumerate(self._shares()):
            until = self._begin(slot + 1)
            self._work_off(slot, self._scenario.events * share)
            waiting += self._taken()
            ready = sorted(event for event in waiting if event[0] < until)
            waiting = [event for event in waiting if event[0] >= until]
            if until >= self._end:
                ready = self._fill(slot, ready, remaining)
            for _, line in ready[:remaining]:
                yield line
            remaining -= len(ready)
            if remaining <= 0:
                return

    def _shares(self) -> Iterator[float]:
        """The share of all events that begin before the end of each slot."""
        weights = hour_weights(self._scenario.start, self._scenario.days)
        total, reached = sum(weights), 0.0
        for weight in weights:
            for _ in range(self._slots_per_hour):
                reached += weight / self._slots_per_hour
                yield reached / total

    def _begin(self, slot: int) -> int:
        return self._start + slot * HOUR // self._slots_per_hour

    def _work_off(self, slot: int, wanted: float) -> None:
        for entry in self._agenda.pop(slot, ()):
            self._happen(entry)
        while self._recorder.count < wanted:
            self._newcomer(slot)

    def _fill(self, slot: int, ready: list[tuple[int, str]], remaining: int) -> list[tuple[int, str]]:
        """The last slot makes up for the visits that run past the end."""
        while len(ready) < remaining:
            self._newcomer(slot)
            ready += (event for event in self._taken() if event[0] < self._end)
        return sorted(ready)

    def _taken(self) -> list[tuple[int, str]]:
        taken, self._recorder.lines = self._recorder.lines, []
        return taken

    def _newcomer(self, slot: int) -> None:
        random = self._random
        time = random.randrange(self._begin(slot), self._begin(slot + 1))
        person = Person(random, choose_country(random, time))
        if random.random() < CRAWLERS:
            self._crawl(person, time)
        else:
            self._visit(person, time)

    def _happen(self, entry: Entry) -> None:
        if entry.kind == "visit":
            self._visit(entry.person, entry.time)
        elif entry.kind == "renewal":
            self._renew(entry)
        else:
            properties = (
                f'"order_id":"{entry.ref}","revenue":-{entry.cents / 100:.2f},"currency":"{entry.person.country.currency}"'
            )
            self._server(entry, "order_refunded", properties)

    def _crawl(self, person: Person, time: int) -> None:
        person.devices[0].agent = BOT
        visit = Visit(self._random, self._recorder, person, time, SOURCES[0])
        visit.listing()
        visit.product()

    def _visit(self, person: Person, time: int) -> None:
        random = self._random
        visit = Visit(random, self._recorder, person, time, choose_source(random))
        visit.run()
        if visit.ordered > 0 and random.random() < REFUNDED:
            self._plan(Entry(time + random.randrange(3 * DAY, 15 * DAY), "refund", person, visit.ordered, visit.order_id))
        if visit.subscribed >= 0:
            self._plan(Entry(visit.time + PLANS[visit.subscribed].months * MONTH, "renewal", person))
        if random.random() < min(0.25 + 0.08 * person.sessions + 0.2 * bool(person.orders), 0.86):
            self._plan(Entry(next_visit(random, person.country, visit.time), "visit", person))

    def _renew(self, entry: Entry) -> None:
        person, random = entry.person, self._random
        plan = PLANS[person.plan]
        subscription = f'"subscription_id":"sub-{person.user_id[2:]}",{wire.PLAN_JSON[person.plan]}'
        if random.random() < CANCELLED:
            reason = random.choice(("price", "too_much_coffee", "moved", "card_failed"))
            self._server(entry, "subscription_cancelled", f'{subscription},"reason":"{reason}"')
            person.plan = -1
        else:
            self._server(
                entry,
                "subscription_renewed",
                f'{subscription},"revenue":{plan.price / 100:.2f},"currency":"{person.country.currency}"',
            )
            self._plan(entry._replace(time=entry.time + plan.months * MONTH))

    def _server(self, entry: Entry, event: str, properties: str) -> None:
        session = f"{self._random.getrandbits(32):08x}-0000-4000-a000"
        device = entry.person.devices[0]
        head = wire.server_head(device.anonymous_id, entry.person.user_id, device.choice)
        self._recorder.add(entry.time, head, session, f'"type":"track","event":"{event}","properties":{{{properties}}}')

    def _plan(self, entry: Entry) -> None:
        if entry.time < self._end:
            self._agenda[(entry.time - self._start) * self._slots_per_hour // HOUR].append(entry)
