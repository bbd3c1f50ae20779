"""A region as the rights see it: its folder, its keys, and who is who in it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from consentryd.model.clock import Clock
from consentryd.model.identity import IdentityKind
from consentryd.privacy.pseudonym import Pseudonymiser
from consentryd.rights.demand import NamedIdentity
from consentryd.storage.delta import DeltaLake
from consentryd.storage.keys import RegionKeys
from consentryd.storage.reader import Reader
from consentryd.storage.request import Casebook
from consentryd.storage.signing import SigningKeys

#: For putting a month of a person's events in order.
MEMORY: Final = "192MB"


@dataclass(frozen=True, slots=True)
class Office:
    """One for each region served. Cheap to make; opens files as they are needed."""

    name: str
    root: Path
    keys: RegionKeys
    signing: SigningKeys
    pseudonyms: Pseudonymiser
    lake: DeltaLake
    reader: Reader
    idle: deque[Casebook] = field(default_factory=deque, repr=False)

    @contextmanager
    def casebook(self) -> Iterator[Casebook]:
        """The region's requests, for one thread and for a while. Opening costs milliseconds, so open ones are kept for the next."""
        try:
            book = self.idle.pop()
        except IndexError:
            book = Casebook(self.root, self.keys.subject)
        try:
            yield book
        except BaseException:
            book.close()
            raise
        self.idle.append(book)

    def close(self) -> None:
        """Close what is kept open. No thread may use the office any more."""
        while self.idle:
            self.idle.pop().close()
        self.reader.close()

    def digests(self, sites: Iterable[str], identities: Iterable[NamedIdentity]) -> list[bytes]:
        """What stands for the identities in this region."""
        each = list(identities)
        return [self.digest(site, identity) for site in sites for identity in each]

    def digest(self, site: str, identity: NamedIdentity) -> bytes:
        if identity.format == "sha256":
            return self.pseudonyms.hashed(site, identity.kind, identity.value.lower())
        if identity.kind is IdentityKind.EMAIL:
            return self.pseudonyms.email(site, identity.value)
        return self.pseudonyms.identity(site, identity.kind, identity.value)

    @property
    def exports(self) -> Path:
        """Where the region's finished exports wait."""
        return self.root / "exports"

    def export_path(self, request: str) -> Path:
        return self.exports / f"{request}.vault"


def open_offices(root: Path, keys: Mapping[str, RegionKeys], clock: Clock) -> dict[str, Office]:
    """An office for each region of which `keys` are given; `root` is the data directory."""
    offices = {}
    for name, each in keys.items():
        folder = root / name
        lake = DeltaLake(folder)
        signing = SigningKeys(root, name, each.signing, clock)
        offices[name] = Office(
            name,
            folder,
            each,
            signing,
            Pseudonymiser(each.identity, each.dedup),
            lake,
            Reader(folder, lake, tail_events=0, memory=MEMORY),
        )
    return offices
