"""Who used people's data: a ledger entry for each use, with commitments to whom it was about, and the list of them for the operator."""

from __future__ import annotations

import hashlib
import heapq
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

import orjson

from consentryd.model.clock import Clock
from consentryd.model.error import BadRequest
from consentryd.model.identity import MAX_SUBJECT
from consentryd.storage import person as people
from consentryd.storage.database import open_database, transaction
from consentryd.storage.ledger import EntryKind, Ledger
from consentryd.storage.location import DATABASE

#: Up to so many people an entry names each by a commitment; of more it holds one digest over all of theirs.
NAMED: Final = 100
MAX_PAGE: Final = 1_000
_REGION_MARK: Final = ":"


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """`regions` are folders by name; `nonce` gives 64 hex digits. Methods block for some milliseconds."""

    regions: Mapping[str, Path]
    clock: Clock
    nonce: Callable[[], str]

    def note_subjects(self, subjects: Iterable[int], why: str, who: str, site: str) -> None:
        """Record a use of these subjects' data in the regions that know them, durably. A subject stands for all identities they have."""
        each = sorted(subject for subject in set(subjects) if subject <= MAX_SUBJECT)
        for root in self.regions.values():
            with closing(open_database(root / DATABASE, "region")) as connection:
                self._note(connection, each, {"who": who, "why": why, "sites": [site]})

    def page(self, sites: Sequence[str], limit: int, before: str | None = None) -> dict[str, Any]:
        """`uses` of these sites' people, newest first, and `next`: what to give as `before` for those that are older; null at the end."""
        marks = _read_marks(before, self.regions)
        newest = [self._of(name, sites, marks[name]) for name in self.regions]
        found: list[dict[str, Any]] = []
        for use in heapq.merge(*newest, key=itemgetter("at"), reverse=True):
            if len(found) == limit:
                return {"uses": found, "next": _write_marks(marks)}
            marks[use["region"]] = use["entry"]
            found.append(use)
        return {"uses": found, "next": None}

    def _note(self, connection: sqlite3.Connection, subjects: list[int], facts: dict[str, Any]) -> None:
        """Each has a nonce of their own: with one person's, another's commitment cannot be opened, and an erasure takes it away."""
        with transaction(connection):
            known = {subject: digests for subject in subjects if (digests := _digests(connection, subject))}
            if known:
                nonces = {subject: bytes.fromhex(self.nonce()) for subject in known}
                commitments = [commitment(nonces[subject], facts["sites"][0], subject) for subject in known]
                entry = Ledger(connection).append(self.clock.now(), EntryKind.PERSONAL_USE, {**facts, **_committed(commitments)})
                for subject, digests in known.items():
                    people.note_use(connection, digests, entry.number, nonces[subject])

    def _of(self, name: str, sites: Sequence[str], before: int | None) -> Iterator[dict[str, Any]]:
        path = self.regions[name] / DATABASE
        if not path.exists():
            return
        with closing(open_database(path, "region", readonly=True)) as connection:
            rows = connection.execute(
                "SELECT entry, body FROM ledger WHERE kind IN ('personal_use', 'legal_hold') AND entry < ? ORDER BY entry DESC",
                (before if before is not None else 2**62,),
            )
            for entry, body in rows:
                told = orjson.loads(body)
                if set(told.get("sites", ())) & set(sites):
                    yield {"region": name, "entry": entry, **told}


def commitment(nonce: bytes, site: str, subject: int) -> str:
    """To a subject: only who has the nonce (the person's export) and the number can tell that they belong together."""
    return hashlib.blake2b(f"{site}\0subject\0{subject}".encode(), key=nonce, digest_size=32).hexdigest()


def _committed(commitments: Sequence[str]) -> dict[str, Any]:
    if len(commitments) <= NAMED:
        return {"commitments": list(commitments)}
    together = hashlib.sha256("\n".join(sorted(commitments)).encode()).hexdigest()
    return {"commitments": [], "people": len(commitments), "commitments_sha256": together}


def _digests(connection: sqlite3.Connection, subject: int) -> list[bytes]:
    return [
        digest
        for (digest,) in connection.execute(
            "SELECT digest FROM identity WHERE subject = ?1 UNION SELECT digest FROM email WHERE subject = ?1", (subject,)
        )
    ]


def _read_marks(before: str | None, regions: Iterable[str]) -> dict[str, int | None]:
    """The last entry told of each region. Raises `BadRequest`."""
    marks: dict[str, int | None] = dict.fromkeys(regions)
    for part in before.split(",") if before else ():
        name, _, number = part.rpartition(_REGION_MARK)
        if name not in marks or not number.isascii() or not number.isdigit() or len(number) > 15:  # noqa: PLR2004 - fits a SQLite integer
            raise BadRequest("bad_parameter", "`before` is what an earlier answer called `next`.", parameter="before")
        marks[name] = int(number)
    return marks


def _write_marks(marks: Mapping[str, int | None]) -> str:
    return ",".join(f"{name}{_REGION_MARK}{entry}" for name, entry in marks.items() if entry is not None)
