"""The quieter rights: restriction, objection and rectification. Each is one transaction, and a ledger entry without personal data."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from threading import Lock
from typing import Any, Final, NamedTuple

import numpy as np
import orjson
import pyarrow as pa

from consentryd.consent.policy import Policy
from consentryd.model.clock import Clock
from consentryd.model.error import Unprocessable
from consentryd.model.identity import IdentityKind
from consentryd.model.money import TELLING, Money, money_of
from consentryd.privacy.identifier import Identifiers
from consentryd.privacy.redaction import Action
from consentryd.privacy.scrub import Scrubber
from consentryd.privacy.seal import Place, seal
from consentryd.rights.demand import NamedIdentity, RequestStatus
from consentryd.rights.office import Office
from consentryd.storage import person as people
from consentryd.storage.choice import Choice, ChoiceState, write_choice
from consentryd.storage.erasure import empty_wal, rewrite
from consentryd.storage.hold import held
from consentryd.storage.ledger import EntryKind, Ledger
from consentryd.storage.person import Person
from consentryd.storage.request import Casebook, RequestRow
from consentryd.storage.schema import EVENT_SCHEMA
from consentryd.storage.seal import Sealer
from consentryd.storage.subject_key import keys_of
from consentryd.storage.withdrawal import note_refusal

WAIT_S = 60.0

_READ: Final = ("properties", "subject", "site", "event_id", "event")

#: Calls whose stored properties are what they say of a person or a group.
_OF_TRAITS: Final = frozenset({"identify", "group"})


class _Scrubbed(NamedTuple):
    """Corrections as an event may hold them: those that may stand there, and those to be encrypted."""

    clean: dict[str, Any]
    secret: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Clerk:
    """Works in one region. `scrubber` cleans corrections as it cleans events."""

    office: Office
    policy: Policy
    scrubber: Scrubber
    clock: Clock
    new_subject: Callable[[], int] = lambda: secrets.randbits(63)

    def restrict(self, book: Casebook, row: RequestRow) -> None:
        """Keep the person's data and show it to nobody else; with `lift`, show it again."""
        lifted = bool(row.terms.get("lift"))
        with book.transaction() as connection:
            now = self.clock.now()
            if not book.take_up(row, now):
                return
            person = book.person(row) if lifted else self._person(book, row, now)
            if lifted:
                people.unrestrict(connection, person)
            else:
                people.restrict(connection, person, now)
            Ledger(connection).append(now, EntryKind.RESTRICTION, {"request": row.id, "lifted": lifted})
            self._done(book, row, {"subjects": len(person.subjects)})

    def object(self, book: Casebook, row: RequestRow) -> None:
        """Stop the purposes named (none named: all of them) for the person from now on, and what is stored for them waits to go."""
        names = row.terms.get("purposes") or sorted(self.policy.purposes.by_name)
        with book.transaction() as connection:
            now = self.clock.now()
            if not book.take_up(row, now):
                return
            person = self._person(book, row, now)
            entry = Ledger(connection).append(now, EntryKind.OBJECTION, {"request": row.id, "purposes": list(names)})
            for subject in person.subjects:
                for name in names:
                    for digest in book.digests(row.id):
                        write_choice(
                            connection, subject, Choice(name, digest, ChoiceState.WITHDRAWN, True, now, entry.number, None)
                        )
                    note_refusal(connection, subject, name, now)
            self._done(book, row, {"subjects": len(person.subjects), "purposes": list(names)})

    def rectify(self, book: Casebook, row: RequestRow) -> None:
        """Put corrected values in the place of wrong ones wherever the person's events hold that property; null takes it out.

        The old values are gone from every file afterwards, exports that wait are made again; so it waits while the law holds the person's
        data. Repeatable.
        """
        with book.transaction():
            if not book.take_up(row, self.clock.now()):
                return
            person = book.person(row)
        assert row.sealed is not None
        file = book.unseal(row.id, row.sealed)
        corrections, ids = file["corrections"], Identifiers(value for _, value, form in file["identities"] if form == "raw")
        held: set[tuple[str, str]] = set()
        if self._waits(book, row, person):
            return
        if person.subjects:
            lake = self.office.lake
            Sealer(self.office.root, lake).run(wait_s=WAIT_S)
            with lake.writing(WAIT_S):
                if self._waits(book, row, person):
                    return
                correct = self._corrector(book.connection, person, corrections, ids, held)
                rewrite(lake, person.subjects, correct)
                lake.vacuum(WAIT_S)
        with book.transaction() as connection:
            now = self.clock.now()
            if "email" in corrections and person.subjects:
                self._readdress(connection, row.terms["sites"], person, corrections["email"], now)
            if held:
                book.renew_artifacts(people.requests_of(connection, person), now)
            Ledger(connection).append(now, EntryKind.RECTIFICATION, {"request": row.id, "properties": len(corrections)})
            self._done(book, row, {"events": len(held)})
        empty_wal(book.connection, WAIT_S)

    def _waits(self, book: Casebook, row: RequestRow, person: Person) -> bool:
        """Whether the law holds the person. With the lake's lock the answer lasts: who sets a hold waits for that."""
        with book.transaction() as connection:
            reason = held(connection, person)
            if reason is not None:
                book.update(row.id, self.clock.now(), status=RequestStatus.ON_HOLD, result={"held": reason})
        return reason is not None

    def _readdress(self, connection: sqlite3.Connection, sites: Iterable[str], person: Person, address: Any, now: int) -> None:
        """The wrong e-mail address finds the person no more; the right one, if there is one, does."""
        people.forget_emails(connection, person)
        if isinstance(address, str):
            for site in sites:
                people.note_email(connection, self.office.pseudonyms.email(site, address), person.subjects[0], now)

    def _person(self, book: Casebook, row: RequestRow, now: int) -> Person:
        """Whom the request is about. For ids of theirs that nothing is known by the choice is to hold as well when they come."""
        person = book.person(row)
        if row.sealed is None:
            return person
        named = [
            NamedIdentity(IdentityKind(kind), value, form) for kind, value, form in book.unseal(row.id, row.sealed)["identities"]
        ]
        sites = row.terms["sites"]
        users, devices, emails = (
            self.office.digests(sites, [identity for identity in named if identity.kind is kind])
            for kind in (IdentityKind.USER_ID, IdentityKind.ANONYMOUS_ID, IdentityKind.EMAIL)
        )
        strange = people.unknown(book.connection, [*users, *devices])
        if not strange:
            return person
        made = people.register(
            book.connection,
            strange,
            [] if person.subjects else emails,
            self.new_subject(),
            now,
            known=not set(users).isdisjoint(strange),
            since=row.terms.get("asked_at", row.received_at) + row.starts_at - row.received_at,
        )
        return Person((*person.subjects, *made.subjects), tuple(dict.fromkeys((*person.digests, *made.digests))))

    def _corrector(
        self,
        connection: sqlite3.Connection,
        person: Person,
        corrections: Mapping[str, Any],
        ids: Identifiers,
        held: set[tuple[str, str]],
    ) -> Callable[[pa.Table], pa.Table]:
        """What the rules for a site and event have encrypted is encrypted again there; what they let nothing stand of goes.

        To `held` the site and id come of each event that holds something of it: a table may pass twice.
        """
        keys = self._keys(connection, person)
        wanted = np.array(sorted(person.subjects), np.int64)
        scrubbed: dict[tuple[str, str], _Scrubbed] = {}
        lock = Lock()

        def right(subject: int, site: str, event_id: str, event: str | None) -> Mapping[str, Any]:
            scope = (event or "", site)
            with lock:
                told = scrubbed.get(scope) or self._scrubbed(*scope, corrections, ids)
                scrubbed[scope] = told
            key, place = keys.get(subject), Place(self.office.name, site, event_id)
            if key is None:
                return told.clean
            sealed = {
                name: seal(value, key, place.bound_to(_path(name)), secrets.token_bytes) for name, value in told.secret.items()
            }
            return {**told.clean, **sealed}

        def correct(table: pa.Table) -> pa.Table:
            own = np.isin(table["subject"].combine_chunks().fill_null(-1).to_numpy(zero_copy_only=False), wanted)
            if not own.any():
                return table
            rows = list(zip(own.tolist(), *(table[name].to_pylist() for name in _READ), strict=True))
            fixed = [_corrected(text, corrections, right(*place)) if mine else text for mine, text, *place in rows]
            with lock:
                held.update((site, event) for mine, text, _, site, event, _ in rows if mine and _holds(text, corrections))
            corrected = _with(table, "properties", fixed)
            return _repriced(corrected, own.tolist()) if TELLING & set(corrections) else corrected

        return correct

    def _scrubbed(self, event: str, site: str, corrections: Mapping[str, Any], ids: Identifiers) -> _Scrubbed:
        scrubbed = self.scrubber.scrub(event, site, {"properties": dict(corrections)}, identifiers=ids)
        clean: dict[str, Any] = scrubbed.fields["properties"]
        paths = {redaction.path for redaction in scrubbed.redactions if redaction.action is Action.ENCRYPT}
        return _Scrubbed(clean, {name: corrections[name] for name in corrections.keys() - clean.keys() if _path(name) in paths})

    def _keys(self, connection: sqlite3.Connection, person: Person) -> dict[int, bytes]:
        """A key of each of the person's subjects, by which their exports open values."""
        wrap = self.office.keys.subject
        keys = {subject: keys_of(connection, people.identities_of(connection, subject), wrap) for subject in person.subjects}
        return {subject: each[0] for subject, each in keys.items() if each}

    def _done(self, book: Casebook, row: RequestRow, result: Mapping[str, Any]) -> None:
        now = self.clock.now()
        book.update(row.id, now, status=RequestStatus.COMPLETED, step="done", sealed=None, result=dict(result), done_at=now)


def check_purposes(names: list[str], policy: Policy) -> None:
    """Raises `Unprocessable` for a purpose that is in no table."""
    if any(name not in policy.purposes.by_name for name in names):
        raise Unprocessable("invalid", "A purpose is not in the table of purposes.", known=sorted(policy.purposes.by_name))


def _corrected(text: str | None, names: Iterable[str], right: Mapping[str, Any]) -> str | None:
    """Only properties that are there are corrected: nothing is told about a person that was not."""
    if text is None:
        return None
    properties = orjson.loads(text)
    for name in properties.keys() & set(names):
        if right.get(name) is None:
            del properties[name]
        else:
            properties[name] = right[name]
    return orjson.dumps(properties).decode()


def _holds(text: str | None, names: Iterable[str]) -> bool:
    return text is not None and not orjson.loads(text).keys().isdisjoint(names)


def _path(name: str) -> str:
    return f"properties.{name}"


def _repriced(table: pa.Table, own: Sequence[bool]) -> pa.Table:
    """The columns of money say of the person's events what their properties do. A trait of that name is no amount that was paid."""
    columns = zip(own, *(table[name].to_pylist() for name in ("type", "properties", "revenue", "currency")), strict=True)
    money = [
        _money_in(text) if mine and text is not None and kind not in _OF_TRAITS else told for mine, kind, text, *told in columns
    ]
    amounts = [None if amount is None else Decimal(amount) for amount, _ in money]
    return _with(_with(table, "revenue", amounts), "currency", [currency for _, currency in money])


def _money_in(text: str) -> Money:
    return money_of(orjson.loads(text))


def _with(table: pa.Table, name: str, values: Sequence[Any]) -> pa.Table:
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values, EVENT_SCHEMA.field(name).type))
