"""Who is who in a region: from the keyed digests of identities to `subject`, a random 63-bit id.

The rules of identity:
- an unknown anonymous id and a user id seen together get one subject; a known anonymous id joins a new user id;
- a subject known only by anonymous ids merges into a known user's (an alias row now, rewritten at the next compaction);
- an anonymous id that already belongs to another user is re-pointed from now on and nothing merges: a shared device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

from consentryd.model.made import made

NewSubject = Callable[[], int]


class Owner(NamedTuple):
    """The subject that a digest stands for; `known` once a user id belongs to it."""

    subject: int
    known: bool


class IdentityTable(Protocol):
    """Where the index keeps its rows. All calls happen inside one append transaction."""

    def find(self, digest: bytes) -> Owner | None: ...

    def create(self, subject: int) -> bool:
        """Hand out a subject id, for an identity to be bound to; False if it is taken."""
        ...

    def bind(self, digest: bytes, owner: Owner, now: int) -> None:
        """Let the digest stand for the owner, from now on."""
        ...

    def claim(self, subject: int) -> None:
        """A user id belongs to the subject now."""
        ...

    def merge(self, loser: int, winner: Owner, now: int) -> None:
        """The loser is the winner from now on, and so are all its digests."""
        ...


class SubjectIndex:
    """Applies the rules over a table. What it found is remembered until something changes who is who, or `forget` is called."""

    def __init__(self, table: IdentityTable, new_subject: NewSubject) -> None:
        self._table = table
        self._new_subject = new_subject
        self._resolved: dict[tuple[bytes | None, bytes | None], int] = {}

    def forget(self) -> None:
        """Others may have changed who is who."""
        self._resolved.clear()

    def subject_of(self, digest: bytes) -> int | None:
        """The subject that the identity stands for, if it is known."""
        owner = self._table.find(digest)
        return None if owner is None else owner.subject

    def joining(self, user: bytes | None, anonymous: bytes | None) -> list[int]:
        """The subjects known by now that `resolve` makes one: a device of somebody else's stays out of it."""
        person, device = (None if digest is None else self._table.find(digest) for digest in (user, anonymous))
        if device is not None and device.known and user is not None:
            device = None
        return list({owner.subject: None for owner in (person, device) if owner is not None})

    def resolve(self, user: bytes | None, anonymous: bytes | None, now: int) -> int:
        """The subject that an event naming these identities is about; at least one is given."""
        subject = self._resolved.get((user, anonymous))
        if subject is None:
            subject = self._resolved[user, anonymous] = self._look(user, anonymous, now).subject
        return subject

    def alias(self, previous: bytes, user: bytes, now: int) -> int:
        """The site says that `previous` and `user` are one person."""
        return self.resolve(user, previous, now)

    def tie(self, user: bytes, anonymous: bytes, now: int) -> None:
        """Elsewhere the user came on this device: the same person as here, if it is known here and nobody's."""
        device = self._table.find(anonymous)
        if device is not None and not device.known:
            self.resolve(user, anonymous, now)

    def _look(self, user: bytes | None, anonymous: bytes | None, now: int) -> Owner:
        if user is None:
            assert anonymous is not None
            return self._table.find(anonymous) or self._create(anonymous, known=False, now=now)
        if anonymous is None:
            return self._table.find(user) or self._create(user, known=True, now=now)
        return self._join(user, anonymous, now)

    def _join(self, user: bytes, anonymous: bytes, now: int) -> Owner:
        person, device = self._table.find(user), self._table.find(anonymous)
        if person is not None and device is not None and device.subject == person.subject:
            return person
        self._resolved.clear()
        if person is None and device is not None and not device.known:
            return self._claim(user, device.subject, now)
        if person is None:
            person = self._create(user, known=True, now=now)
        if device is None or device.known:
            self._table.bind(anonymous, person, now)
        else:
            self._table.merge(device.subject, person, now)
        return person

    def _create(self, digest: bytes, *, known: bool, now: int) -> Owner:
        subject = self._new_subject()
        while not self._table.create(subject):
            subject = self._new_subject()
        owner = made(Owner, (subject, known))
        self._table.bind(digest, owner, now)
        return owner

    def _claim(self, user: bytes, subject: int, now: int) -> Owner:
        self._table.claim(subject)
        owner = Owner(subject, known=True)
        self._table.bind(user, owner, now)
        return owner


class MemoryIdentityTable:
    """The in-memory double."""

    def __init__(self) -> None:
        self.identities: dict[bytes, int] = {}
        self.subjects: dict[int, bool] = {}
        self.aliases: dict[int, int] = {}

    def find(self, digest: bytes) -> Owner | None:
        subject = self.identities.get(digest)
        return None if subject is None else Owner(subject, self.subjects[subject])

    def create(self, subject: int) -> bool:
        return subject not in self.subjects

    def bind(self, digest: bytes, owner: Owner, now: int) -> None:  # noqa: ARG002 - the double keeps no times
        self.identities[digest] = owner.subject
        self.subjects[owner.subject] = owner.known

    def claim(self, subject: int) -> None:
        self.subjects[subject] = True

    def merge(self, loser: int, winner: Owner, now: int) -> None:  # noqa: ARG002 - the double keeps no times
        for digest, subject in self.identities.items():
            if subject == loser:
                self.identities[digest] = winner.subject
        for merged, becomes in self.aliases.items():
            if becomes == loser:
                self.aliases[merged] = winner.subject
        self.aliases[loser] = winner.subject
