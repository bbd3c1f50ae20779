"""ValidEvent -> PlacedEvent: the region an event belongs to, whose keys and policy apply to it from here on.

Declared by the key or the sender; else the stored home of the subject; else the visitor's country; else the strictest region.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final, Protocol

from consentryd.config.countries import expand
from consentryd.config.settings import Region
from consentryd.gateway.stages.passage import Passage
from consentryd.model.event import PlacedEvent, RawEvent, ValidEvent
from consentryd.model.identity import IdentityKind
from consentryd.model.made import made
from consentryd.model.outcome import Reason

REMEMBERED: Final = 25_000


Identities = Iterable[tuple[IdentityKind, str | None]]

#: Site, kind and value of an identity.
Named = tuple[str, IdentityKind, str]


class Home(Protocol):
    """A region's store, asked whether it knows an identity."""

    def knows(self, identity: Named) -> bool: ...

    def known(self, identities: Sequence[Named]) -> Collection[Named]:
        """Those of the identities that it knows."""
        ...


class Place:
    """The stage. `regions` is all that is configured, `served` what this process keeps, `homes` the stores of those served.

    The region named `*` in its countries (the first one, if none is) takes what nothing else claims: the strictest.
    """

    def __init__(self, regions: Mapping[str, Region], homes: Mapping[str, Home]) -> None:
        self._homes = homes
        self._regions = regions
        self._by_country = {country: name for name, region in regions.items() for country in expand(region.countries)}
        self._strictest = next((name for name, region in regions.items() if "*" in region.countries), next(iter(regions)))
        self._known_homes: dict[tuple[str, IdentityKind], dict[str, str]] = {}
        self._room = REMEMBERED

    def look_ahead(self, events: Iterable[RawEvent], passage: Passage) -> None:
        """Ask the stores about all newcomers of a request at once. What is not known by then is found out event by event."""
        intake = passage.intake
        if len(self._homes) == 1 or intake.key.region or intake.region:
            return
        site = intake.key.site
        users, devices = self._known_of(site, IdentityKind.USER_ID), self._known_of(site, IdentityKind.ANONYMOUS_ID)
        new_users, new_devices = set(), set()
        for _, _, _, user, anonymous, *_ in events:
            if anonymous.__class__ is str and anonymous not in devices:
                new_devices.add(anonymous)
            if user.__class__ is str and user not in users:
                new_users.add(user)
        if not new_users and not new_devices:
            return
        newcomers = [(site, IdentityKind.ANONYMOUS_ID, value) for value in new_devices]
        newcomers += [(site, IdentityKind.USER_ID, value) for value in new_users]
        passage.strangers.update(newcomers)
        for name, home in self._homes.items():
            for identity in home.known(newcomers):
                if identity in passage.strangers:
                    self._remember(identity, name)
                    passage.strangers.discard(identity)

    def put_region(self, event: ValidEvent, passage: Passage) -> PlacedEvent | Reason:
        intake = passage.intake
        declared = intake.key.region or intake.region
        if declared is None or declared not in self._regions:
            site, country, strangers = intake.key.site, event.client.country, passage.strangers
            region = self._remembered(site, event) or self.of_person(site, _identities(event), country, strangers)
        else:
            region = declared
        if region not in self._homes:
            passage.misdirected = region
            return Reason.WRONG_REGION
        return made(PlacedEvent, (event, region))

    def region_of(self, declared: str | None, site: str, identities: Identities, country: str | None) -> str:
        """The region of a person, as for their events: declared, else their home."""
        return declared if declared is not None and declared in self._regions else self.of_person(site, identities, country)

    def of_country(self, country: str | None) -> str:
        return self._by_country.get(country or "", self._strictest)

    def endpoint(self, region: str) -> str | None:
        """Where events of a region that is not served here should be sent."""
        return self._regions[region].endpoint

    def forget(self) -> None:
        """Ask the stores again: identities were erased or moved."""
        for known in self._known_homes.values():
            known.clear()
        self._room = REMEMBERED

    def of_person(
        self, site: str, identities: Identities, country: str | None, strangers: Collection[Named] = frozenset()
    ) -> str:
        """The home of the identities, which is from now on where the country puts them if no store knows them.

        `strangers` are those of whom that is known already.
        """
        if len(self._homes) == 1:
            return self.of_country(country)
        named = [(site, kind, value) for kind, value in identities if value is not None]
        home = next((found for each in named if (found := self._home(each, strangers))), None) or self.of_country(country)
        for each in named:
            self._remember(each, home)
        return home

    def _known_of(self, site: str, kind: IdentityKind) -> dict[str, str]:
        return self._known_homes.get((site, kind)) or self._known_homes.setdefault((site, kind), {})

    def _remember(self, identity: Named, home: str) -> None:
        site, kind, value = identity
        if self._room <= 0:
            self.forget()
        self._room -= 1
        self._known_of(site, kind)[value] = home

    def _remembered(self, site: str, event: ValidEvent) -> str | None:
        """Where the event's identities were placed before, the user's first; None if one of them was not."""
        user, anonymous = event.user_id, event.anonymous_id
        device = None if anonymous is None else self._known_of(site, IdentityKind.ANONYMOUS_ID).get(anonymous)
        if user is None:
            return device
        return None if device is None and anonymous is not None else self._known_of(site, IdentityKind.USER_ID).get(user)

    def _home(self, identity: Named, strangers: Collection[Named]) -> str | None:
        site, kind, value = identity
        known = self._known_of(site, kind).get(value)
        if known is not None or identity in strangers:
            return known
        return next((name for name, home in self._homes.items() if home.knows(identity)), None)


def _identities(event: ValidEvent) -> tuple[tuple[IdentityKind, str | None], ...]:
    return (IdentityKind.USER_ID, event.user_id), (IdentityKind.ANONYMOUS_ID, event.anonymous_id)
