"""Access and portability: everything a region holds about a person, read once into an encrypted file of JSON lines.

A line is `{"is": "event" | "region", ...}`. There may be a million events: they pass through one at a time.
"""

from __future__ import annotations

import base64
import secrets
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from consentryd.config.settings import Settings
from consentryd.consent.policy import Policy
from consentryd.consent.receipt import Proof, Terms, issue
from consentryd.model.clock import HOUR, Clock
from consentryd.model.decision import Lane
from consentryd.privacy.seal import Place, unseal
from consentryd.rights.office import Office
from consentryd.rights.terms import terms_of
from consentryd.storage import person as people
from consentryd.storage.choice import Choice, read_choices
from consentryd.storage.ledger import Entry, Ledger, iso
from consentryd.storage.location import CONTROL
from consentryd.storage.member import spells_of
from consentryd.storage.person import Person
from consentryd.storage.request import Casebook, RequestRow
from consentryd.storage.retention import days_of
from consentryd.storage.saved import SavedStore
from consentryd.storage.subject_key import keys_of
from consentryd.storage.vault import VaultWriter

BATCH: Final = 2_000

#: How the lines of a vault begin; the rest is the record's own JSON, without its brace.
EVENT: Final = b'{"is":"event",'
REGION: Final = b'{"is":"region",'

#: What a person is to be told besides (GDPR article 15(1)(e) to (g)).
SOURCE: Final = "The site's pages and servers sent it while you used them."
RIGHTS: Final = (
    "to have what is wrong corrected, and to have it all erased",
    "to have its use restricted, and to object to it",
    "to withdraw a consent at any time",
    "to complain to a data protection authority",
)

_TOP: Final = 50
_NOT_TOLD: Final = frozenset({"subject", "visitor"})


@dataclass(slots=True)
class Profile:
    """What the events say of the person in sum."""

    events: int = 0
    first: str | None = None
    last: str | None = None
    sessions: array[int] = field(default_factory=lambda: array("q"))
    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, events: Sequence[Mapping[str, Any]]) -> None:
        """Events in order of time."""
        self.events += len(events)
        self.first = self.first or events[0]["time"]
        self.last = events[-1]["time"]
        self.sessions.extend(event["session"] for event in events if "session" in event)
        for name in ("event", "country", "device", "browser", "purpose", "site"):
            if values := [event[name] for event in events if name in event]:
                self.counts.setdefault(name, Counter()).update(values)

    def told(self) -> dict[str, Any]:
        return {
            "events": self.events,
            "first_event": self.first,
            "last_event": self.last,
            "sessions": len(np.unique(np.frombuffer(self.sessions, np.int64))) if self.sessions else 0,
            **{f"by_{name}": dict(counter.most_common(_TOP)) for name, counter in self.counts.items()},
        }


@dataclass(frozen=True, slots=True)
class Collector:
    """Collects in one region. `progress` is told events done and all of them."""

    office: Office
    settings: Settings
    policy: Policy
    clock: Clock
    progress: Callable[[str, int, int], None] = lambda _step, _done, _of: None

    def run(self, book: Casebook, row: RequestRow) -> None:
        """Write the export of a request and record it. Repeatable: the file is written anew."""
        with book.transaction():
            if not book.take_up(row, self.clock.now()):
                return
        person = book.person(row)
        key = secrets.token_bytes(32)
        profile = Profile()
        with VaultWriter(self.office.export_path(row.id), key) as vault:
            for events in self._events(book, person):
                profile.add(events)
                vault.write(b"".join(_line(EVENT, event) for event in events))
                self.progress("collected", profile.events, 0)
            vault.write(_line(REGION, self._region(book, row, person, profile)))
        self.progress("collected", profile.events, profile.events)
        now = self.clock.now()
        expires = now + int(self.settings.rights.export_hours * HOUR)
        result = {"people": people.count_people(book.connection, person)}
        with book.transaction():
            wrapped = book.seal(row.id, base64.b64encode(key).decode())
            book.add_artifact(row.id, wrapped, profile.events, expires)
            book.update(row.id, now, status="completed", step="collected", sealed=None, result=result, done_at=now)

    def _events(self, book: Casebook, person: Person) -> Iterator[list[dict[str, Any]]]:
        """In order of time, some at once, encrypted values given back."""
        if not person.subjects:
            return
        keys = keys_of(book.connection, person.digests, self.office.keys.subject)
        with self.office.reader.snapshot(restricted=False, subjects=person.subjects) as snapshot:
            for batch in snapshot.of_subjects(person.subjects, rows=BATCH):
                if batch.num_rows:
                    yield [_readable(event, self.office.name, keys) for event in _plain(batch).to_pylist()]

    def _region(self, book: Casebook, row: RequestRow, person: Person, profile: Profile) -> dict[str, Any]:
        connection = book.connection
        sites = row.terms["sites"]
        return {
            "region": self.office.name,
            "sites": sites,
            "profile": profile.told(),
            "identities": {
                "count": len(person.digests) - len(book.digests(row.id)) if person.subjects else 0,
                "note": "Identifiers are kept only as keyed hashes: how many others belong to you can be told, not which.",
            },
            "choices": self._choices(book, person),
            "receipts": self._receipts(book, person),
            "requests": self._requests(book, person, row),
            "cohorts": self._cohorts(book, person),
            "uses": people.uses(connection, person),
            "purposes": [
                {
                    "purpose": name,
                    "why": self.policy.purposes.by_name[name].text if name in self.policy.purposes.by_name else name,
                    "kept_days": {site: self._days(site, name) for site in sites},
                }
                for name in sorted(profile.counts.get("purpose", {}))
            ],
            "kept_days": {site: self._days(site, None) for site in sites},
            "recipients": self.settings.rights.recipients,
            "source": SOURCE,
            "rights": RIGHTS,
            "restricted_since": None if (since := people.restricted_since(connection, person)) is None else iso(since),
            "collected_at": iso(self.clock.now()),
        }

    def _choices(self, book: Casebook, person: Person) -> list[dict[str, Any]]:
        """Each once: one that was made by a user on a device is stored with both ids."""
        told: list[dict[str, Any]] = []
        for choice in (each for subject in person.subjects for each in read_choices(book.connection, subject)):
            said = {
                "sites": self._sites_of(book, choice),
                "purpose": choice.purpose,
                "state": choice.state,
                "by": "server" if choice.vouched else "visitor",
                "decided_at": iso(choice.decided_at),
                "notice": choice.notice,
            }
            if said not in told:
                told.append(said)
        return told

    def _sites_of(self, book: Casebook, choice: Choice) -> list[str]:
        """Those of the statement, or of the objection, that the choice was made by."""
        entry = Ledger(book.connection).entry(choice.entry)
        facts = {} if entry is None else orjson.loads(entry.body)
        if "site" in facts:
            return [facts["site"]]
        objection = book.get(facts.get("request", ""))
        return [] if objection is None else list(objection.terms["sites"])

    def _days(self, site: str, purpose: str | None) -> int:
        return days_of(self.settings, self.office.name, site, Lane.CONSENTED, purpose)

    def _receipts(self, book: Casebook, person: Person) -> list[dict[str, Any]]:
        ledger, signer = Ledger(book.connection), self.office.signing.signer()
        entries = [(ledger.entry(number), nonce) for number, nonce in people.consent_entries(book.connection, person)]
        if not entries:
            return []
        checkpoint, size = ledger.checkpoint(signer), ledger.size
        return [
            issue(entry, nonce, Proof(checkpoint, ledger.inclusion(entry.number, size)), self._terms_of(entry), signer)
            for entry, nonce in entries
            if entry is not None
        ]

    def _terms_of(self, entry: Entry) -> Terms:
        """Those of the site where the choice was made."""
        return terms_of(self.settings, self.policy, self.office.name, orjson.loads(entry.body)["site"])

    def _cohorts(self, book: Casebook, person: Person) -> list[dict[str, Any]]:
        """The groups that the person was counted among, and when."""
        found = spells_of(book.connection, person.subjects)
        if not found:
            return []
        with closing(SavedStore(self.office.root.parent / CONTROL, self.clock)) as saved:
            names = saved.names("cohort")
        return [
            {
                "cohort": names.get(cohort, cohort),
                "entered_at": iso(spell.entered_at),
                "left_at": None if spell.left_at is None else iso(spell.left_at),
            }
            for cohort, spell in found
        ]

    def _requests(self, book: Casebook, person: Person, own: RequestRow) -> list[dict[str, Any]]:
        others = [book.get(name) for name in people.requests_of(book.connection, person) if name != own.id]
        return [
            {"id": each.id, "type": each.type, "status": each.status, "received_at": iso(each.received_at)}
            for each in others
            if each is not None
        ]


def _line(head: bytes, record: Mapping[str, Any]) -> bytes:
    return head + orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)[1:]


def _readable(event: dict[str, Any], region: str, keys: Sequence[bytes]) -> dict[str, Any]:
    """An event as the person may read it: no internal numbers, times as text, JSON as JSON, sealed values opened."""
    told = {name: value for name, value in event.items() if value is not None}
    if keys:
        _open(told, Place(region, event["site"], event["event_id"]), keys)
    for name in ("properties", "redactions"):
        if isinstance(told.get(name), str):
            told[name] = orjson.Fragment(told[name])
    told["region"] = region
    return told


def _open(told: dict[str, Any], place: Place, keys: Sequence[bytes]) -> None:
    for name, value in told.items():
        if isinstance(value, str) and "[enc:" in value:
            told[name] = unseal(orjson.loads(value) if name == "properties" else value, keys, place, name)


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The columns that are told and not empty, times (RFC 3339) and money as text: in bulk a tenth of what it costs one by one."""
    names = [name for name in batch.schema.names if name not in _NOT_TOLD and batch.column(name).null_count < batch.num_rows]
    return pa.record_batch([_as_text(batch.column(name)) for name in names], names=names)


def _as_text(column: pa.Array) -> pa.Array:
    if pa.types.is_timestamp(column.type):
        return pc.replace_substring(column.cast(pa.string()), " ", "T", max_replacements=1)
    return column.cast(pa.string()) if pa.types.is_decimal(column.type) else column
