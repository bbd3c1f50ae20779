"""ValidEvent -> PlacedEvent: the region an event belongs to, whose keys and policy apply to it from here on.

Declared by the key or the sender; else the stored home of the subject; else the visitor's country; else the strictest region. A region
that is declared and not known is refused: to put its events elsewhere would be to decide against what was declared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final, Protocol

from consentryd.config.countries import expand
from consentryd.config.settings import Region
from consentryd.gateway.stages.passage import Passage
from consentryd.gateway.stages.person import Person, Persons
from consentryd.gateway.stages.staged import PlacedEvent, ValidEvent
from consentryd.model.error import Misdirected
from consentryd.model.identity import IdentityKind
from consentryd.model.outcome import Reason

REMEMBERED: Final = 25_000
#: Stands in the ledger for a declared region that there is not: what the sender wrote may be anything.
UNKNOWN: Final = "(unknown)"


Identities = Iterable[tuple[IdentityKind, str | None]]

#: Site, kind and value of an identity.
Named = tuple[str, IdentityKind, str]


#: Those of some identities that a store knows, and whether anybody in its region has chosen anything.
Told = tuple[Collection[Named], bool]


#: People of some events, by the positions of these.
Pairs = Mapping[int, Person]


class Homes(Protocol):
    """The stores of the regions that this process serves, asked whether they know identities."""

    @property
    def regions(self) -> AbstractSet[str]: ...

    def since(self, region: str, identity: Named) -> int | None:
        """When the region's store came to know the identity, UTC microseconds; None if it does not."""
        ...

    def look(self, regions: Collection[str], identities: Sequence[Named]) -> Mapping[str, Told]:
        """What each of some regions' stores says of the identities; what people chose there is as of now."""
        ...


class Place:
    """The stage. `regions` is all that is configured.

    The region named `*` in its countries (the first one, if none is) takes what nothing else claims: the strictest.
    """

    def __init__(self, regions: Mapping[str, Region], homes: Homes, persons: Persons) -> None:
        self._persons = persons
        self._homes = homes
        self._served = homes.regions
        self._regions = regions
        self._by_country = {country: name for name, region in regions.items() for country in expand(region.countries)}
        self._strictest = next((name for name, region in regions.items() if "*" in region.countries), next(iter(regions)))
        self._known_homes: dict[tuple[str, IdentityKind], dict[str, str]] = {}
        self._elsewhere: dict[Named, frozenset[str]] = {}
        self._guests: dict[Named, str] = {}
        self._room = REMEMBERED

    def put_regions(self, events: Sequence[ValidEvent], passage: Passage) -> list[PlacedEvent | Reason]:
        """Raises `Misdirected` for a declared region that there is not."""
        declared = self.declared(passage.intake.key.region, passage.intake.region)
        several = len(self._served) > 1
        pairs = self._pairs(events, passage.intake.key.site) if several else {}
        if several and not passage.foreseen:
            self._look_ahead(events, pairs, passage)
        settled: dict[Person, str] = {}
        if declared is None:
            regions = [
                event.person.home or settled.get(event.person) or self._settle(event, passage, settled) for event in events
            ]
        else:
            regions = [declared] * len(events)
            settled = self._declare(events, declared, passage) if several else {}
        served = self._served
        if several:
            for person, region in settled.items():
                self._seek(passage.intake.key.site, person, region)
            self._note_apart(events, pairs, regions, passage)
        if not served >= set(regions):
            passage.misdirected = next(region for region in regions if region not in served)
        return [
            PlacedEvent(event, region) if region in served else Reason.WRONG_REGION
            for event, region in zip(events, regions, strict=True)
        ]

    def _look_ahead(self, events: Iterable[ValidEvent], pairs: Pairs, passage: Passage) -> None:
        """Ask the stores about all newcomers at once. What is not known by then is found out event by event."""
        newcomers, regions = self.expected({event.person for event in events}.union(pairs.values()), passage)
        if newcomers:
            self.welcome(newcomers, regions, [passage])

    def expected(self, people: Iterable[Person], passage: Passage) -> tuple[set[Named], AbstractSet[str]]:
        """The ids of which stores must be asked whether they know them, and the regions whose stores will be asked about people.

        Raises `Misdirected` for a declared region that there is not.
        """
        declared = self.declared(passage.intake.key.region, passage.intake.region)
        if len(self._served) == 1:
            return set(), self._served if declared is None else self._served & {declared}
        if declared is not None:
            return self._expected_in(declared, people, passage)
        site, newcomers, regions = passage.intake.key.site, set(), set()
        users, devices = self._known_of(site, IdentityKind.USER_ID), self._known_of(site, IdentityKind.ANONYMOUS_ID)
        for person in people:
            if person.home is not None:
                regions.add(person.home)
                continue
            user, anonymous = person.user_id, person.anonymous_id
            if user in users:
                regions.add(users[user])
            elif user is not None:
                newcomers.add((site, IdentityKind.USER_ID, user))
            if anonymous in devices:
                regions.add(devices[anonymous])
            elif anonymous is not None:
                newcomers.add((site, IdentityKind.ANONYMOUS_ID, anonymous))
        return newcomers, self._served if newcomers else self._served & regions

    def _expected_in(self, declared: str, people: Iterable[Person], passage: Passage) -> tuple[set[Named], AbstractSet[str]]:
        """Of the people of a declared region it is asked whose devices others know."""
        site = passage.intake.key.site
        devices = self._known_of(site, IdentityKind.ANONYMOUS_ID)
        newcomers = {
            (site, IdentityKind.ANONYMOUS_ID, person.anonymous_id)
            for person in people
            if person.user_id is not None
            and person.anonymous_id is not None
            and declared not in person.sought
            and person.anonymous_id not in devices
        }
        return newcomers, self._served if newcomers else self._served & {declared}

    def welcome(self, newcomers: AbstractSet[Named], regions: AbstractSet[str], passages: Sequence[Passage]) -> None:
        """Ask the stores of `regions` about the newcomers of some requests at once, and what was chosen there up to now.

        Remember where those live whom one region knows; of several which it is is found out event by event.
        """
        asked, found = list(newcomers), dict[Named, list[str]]()
        for name, (known, chosen) in self._homes.look(regions, asked).items():
            for passage in passages:
                passage.looked[name] = chosen
            for identity in known:
                found.setdefault(identity, []).append(name)
        strangers = newcomers - found.keys()
        for passage in passages:
            passage.strangers |= strangers
        for identity, names in found.items():
            if len(names) == 1:
                self._remember(identity, names[0])
            else:
                self._note_elsewhere(identity, names)

    def _settle(self, event: ValidEvent, passage: Passage, settled: dict[Person, str]) -> str:
        """The home of an event's person, who is known to live there from now on if a store knows them, else for this request."""
        person, site = event.person, passage.intake.key.site
        region = self._remembered(site, person) or self.of_person(
            site, _identities(person), event.scene.client.country, passage.strangers
        )
        if len(self._served) > 1:
            settled[person] = region
            if self._remembered(site, person) is not None:
                person.home = region
        return region

    def _note_apart(self, events: Sequence[ValidEvent], pairs: Pairs, regions: Sequence[str], passage: Passage) -> None:
        """Who is a user in one region on a device that another one knows: `passage.apart`."""
        if not pairs and not any([event.person.apart for event in events]):  # noqa: C419 - a generator would be dearer
            return
        for position, (event, region) in enumerate(zip(events, regions, strict=True)):
            people = [event.person]
            if position in pairs:
                people.append(pairs[position])
                self._seek(passage.intake.key.site, pairs[position], region)
            passage.apart.update({(person, region): None for person in people if region in person.apart})

    def _declare(self, events: Sequence[ValidEvent], region: str, passage: Passage) -> dict[Person, str]:
        """The people whom this region was not declared for lately."""
        people = {event.person: region for event in events if region not in event.person.sought}
        for person in people:
            person.sought |= {region}
            self._note_declared(passage.intake.key.site, person, region)
        return people

    def _note_declared(self, site: str, person: Person, region: str) -> None:
        """The region comes to know a device that is remembered as another's only."""
        anonymous = person.anonymous_id
        if anonymous is None or self._known_of(site, IdentityKind.ANONYMOUS_ID).get(anonymous, region) == region:
            return
        device = (site, IdentityKind.ANONYMOUS_ID, anonymous)
        if region not in self._elsewhere.get(device, ()):
            self._note_elsewhere(device, [region])
            self._persons.forget()

    def _pairs(self, events: Sequence[ValidEvent], site: str) -> Pairs:
        """The users of alias calls with the ids that they had before, by the positions of their events."""
        aliases = [(position, event) for position, event in enumerate(events) if event.previous_id is not None]
        found = {position: self._persons.of(site, event.person.user_id, event.previous_id) for position, event in aliases}
        return {position: pair for position, pair in found.items() if isinstance(pair, Person)}

    def _seek(self, site: str, person: Person, region: str) -> None:
        """Note which other regions know the device of a user whose events go to `region`."""
        if person.user_id is None or person.anonymous_id is None:
            return
        device = (site, IdentityKind.ANONYMOUS_ID, person.anonymous_id)
        home = self._known_of(site, IdentityKind.ANONYMOUS_ID).get(person.anonymous_id, region)
        guest, elsewhere = self._guests.get(device, region), self._elsewhere.get(device)
        if home != region or guest != region or elsewhere is not None:
            others = frozenset({home, guest, *(elsewhere or ())} - {region})
            if others:
                person.apart = {**person.apart, region: others}

    def declared(self, pinned: str | None, told: Any) -> str | None:
        """The region that the key is pinned to, else the one that the sender told, in letters of any case; None if neither is there.

        Raises `Misdirected` for one that is not configured.
        """
        region = pinned or told
        if not region:
            return None
        if isinstance(region, str) and (name := region.strip().lower()) in self._regions:
            return name
        raise Misdirected(
            "unknown_region",
            "The region that was declared is none of this gateway's. Nothing was kept.",
            regions=list(self._regions),
        )

    def region_of(self, declared: str | None, site: str, identities: Identities, country: str | None) -> str:
        """The region of a person, as for their events: declared, else their home."""
        return self.of_person(site, identities, country) if declared is None else declared

    def of_country(self, country: str | None) -> str:
        return self._by_country.get(country or "", self._strictest)

    def endpoint(self, region: str) -> str | None:
        """Where events of a region that is not served here should be sent."""
        return self._regions[region].endpoint

    def forget(self) -> None:
        """Ask the stores again: identities were erased or moved."""
        self._persons.forget()
        for known in self._known_homes.values():
            known.clear()
        self._elsewhere.clear()
        self._guests.clear()
        self._room = REMEMBERED

    def of_person(
        self, site: str, identities: Identities, country: str | None, strangers: Collection[Named] = frozenset()
    ) -> str:
        """The home of the identities; where the country puts them if no store knows them. There they stay until one does: another process
        may put them elsewhere, and what they choose there counts here.

        `strangers` are those of whom that no store knows them is known already.
        """
        if len(self._served) == 1:
            return self.of_country(country)
        named = [(site, kind, value) for kind, value in identities if value is not None]
        local = self.of_country(country)
        homes = [self._home(each, strangers, local) for each in named]
        home = next(filter(None, homes), None)
        if home is None:
            return self._receive(named, local)
        for each, own in zip(named, homes, strict=True):  # a user's device may be at home elsewhere, where it was before
            self._remember(each, own or home)
        return home

    def _receive(self, named: Sequence[Named], local: str) -> str:
        """Where people whom no store knows were placed before, else `local`."""
        home = next((self._guests[each] for each in named if each in self._guests), local)
        for each in named:
            if each not in self._guests:
                self._make_room()
                self._guests[each] = home
        return home

    def _known_of(self, site: str, kind: IdentityKind) -> dict[str, str]:
        return self._known_homes.get((site, kind)) or self._known_homes.setdefault((site, kind), {})

    def _remember(self, identity: Named, home: str) -> None:
        site, kind, value = identity
        self._make_room()
        known = self._known_of(site, kind)
        before = known.setdefault(value, home)
        if before != home:
            known[value] = home
            self._note_elsewhere(identity, [before])
            self._persons.forget()

    def _note_elsewhere(self, identity: Named, regions: Iterable[str]) -> None:
        """They may know the identity, too."""
        self._make_room()
        self._elsewhere[identity] = self._elsewhere.get(identity, frozenset()).union(regions)

    def _make_room(self) -> None:
        if self._room <= 0:
            self.forget()
        self._room -= 1

    def _remembered(self, site: str, person: Person) -> str | None:
        """Where the person's identities were placed before, the user's first; None if one of them was not."""
        user, anonymous = person.user_id, person.anonymous_id
        device = None if anonymous is None else self._known_of(site, IdentityKind.ANONYMOUS_ID).get(anonymous)
        if user is None:
            return device
        return None if device is None and anonymous is not None else self._known_of(site, IdentityKind.USER_ID).get(user)

    def _home(self, identity: Named, strangers: Collection[Named], local: str) -> str | None:
        """The region that has known it for longest. What a person asks for is on record in every region at one time: of those `local`, where
        their country puts them, goes first.
        """
        site, kind, value = identity
        known = self._known_of(site, kind).get(value)
        if known is not None or identity in strangers:
            return known
        since = {name: at for name in self._served if (at := self._homes.since(name, identity)) is not None}
        if len(since) > 1:
            self._note_elsewhere(identity, since)
        first = min(since.values(), default=None)
        oldest = [name for name, at in since.items() if at == first]
        return local if local in oldest else next(iter(oldest), None)


def _identities(person: Person) -> tuple[tuple[IdentityKind, str | None], ...]:
    return (IdentityKind.USER_ID, person.user_id), (IdentityKind.ANONYMOUS_ID, person.anonymous_id)
