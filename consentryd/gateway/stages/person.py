"""Whom an event names: its user and anonymous id, checked once for all the events of a person that come close together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from consentryd.gateway.stages import shape
from consentryd.model.identity import IdentityKind
from consentryd.model.memory import keep
from consentryd.model.outcome import Reason
from consentryd.privacy.identifier import Identifiers
from consentryd.privacy.pseudonym import Pseudonymiser

#: Pairs of ids remembered, in memory only, and for minutes (`gateway.short_memory`).
REMEMBERED: Final = 4096

#: Looked up once: through their classes, members of an enum cost a search each time.
USER_ID: Final = IdentityKind.USER_ID
ANONYMOUS_ID: Final = IdentityKind.ANONYMOUS_ID

Digests = tuple[bytes | None, bytes | None]
_NOWHERE: Final[Mapping[str, frozenset[str]]] = {}


class Person:
    """Two ids of a site as text, None where there is none. `home` is the region that keeps the person, once `Place` found it; `apart` by
    region are the others that know the anonymous id of a user whose events go there, looked for in those `sought`; `digests` by region stand
    for the ids in its index; `identifiers` are the ids as they are looked for in what is stored."""

    __slots__ = ("anonymous_id", "apart", "digests", "home", "identifiers", "sought", "user_id")

    def __init__(self, user_id: str | None, anonymous_id: str | None) -> None:
        self.user_id = user_id
        self.anonymous_id = anonymous_id
        self.home: str | None = None
        self.apart = _NOWHERE
        self.sought = frozenset[str]()
        self.digests: dict[str, Digests] = {}
        self.identifiers = Identifiers((user_id, anonymous_id))


def digests_of(person: Person, region: str, site: str, pseudonyms: Mapping[str, Pseudonymiser]) -> Digests:
    """What stands for the person's ids in the region's index; found once."""
    found = person.digests.get(region)
    if found is None:
        identity, user, anonymous = pseudonyms[region].identity, person.user_id, person.anonymous_id
        found = person.digests[region] = (
            identity(site, USER_ID, user) if user else None,
            identity(site, ANONYMOUS_ID, anonymous) if anonymous else None,
        )
    return found


class Persons:
    """One for a process. `limit` is how many characters an id may have."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: dict[tuple[str, Any, Any], Person] = {}

    def of(self, site: str, user_id: Any, anonymous_id: Any) -> Person | Reason:
        """The person that the ids, as they came, name; the reason if one is no id."""
        try:
            return self._known[site, user_id, anonymous_id]
        except (KeyError, TypeError):
            return self._check(site, user_id, anonymous_id)

    def forget(self) -> None:
        """Let go of every identifier remembered, and of where its person lives."""
        for person in self._known.values():
            person.home = None
        self._known.clear()

    def _check(self, site: str, user_id: Any, anonymous_id: Any) -> Person | Reason:
        user, anonymous = shape.check_id(user_id, self._limit), shape.check_id(anonymous_id, self._limit)
        if isinstance(user, Reason):
            return user
        if isinstance(anonymous, Reason):
            return anonymous
        person = Person(user, anonymous)
        if _is_text(user_id) and _is_text(anonymous_id):  # only texts: to a dictionary, True, 1 and 1.0 are one
            keep(self._known, (site, user_id, anonymous_id), person, REMEMBERED)
        return person


def _is_text(value: Any) -> bool:
    return value is None or value.__class__ is str
