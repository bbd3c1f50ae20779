"""Where requests of data subjects are handed in, asked after, cancelled and fetched, over all regions served."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import IO, Any, Final

import orjson

from consentryd.config.settings import Settings
from consentryd.consent.policy import Policy
from consentryd.consent.receipt import principal
from consentryd.model.clock import Clock
from consentryd.model.error import Conflict, CorruptStore, Forbidden, NotFound, Unprocessable
from consentryd.model.identity import IdentityKind
from consentryd.rights.archive import Head, Lines, write_archive
from consentryd.rights.change import check_purposes
from consentryd.rights.demand import Demand, NamedIdentity, RequestStatus, RequestType, deadline
from consentryd.rights.erasure import STEPS, new_file
from consentryd.rights.office import Office
from consentryd.rights.suppression import Named, check_done, keep_out, let_in, readmit
from consentryd.rights.usage import UsageRecord
from consentryd.storage import hold as holding
from consentryd.storage import person as people
from consentryd.storage.ledger import EntryKind, Ledger, iso
from consentryd.storage.location import stored_regions
from consentryd.storage.request import Artifact, Casebook, RequestRow
from consentryd.storage.vault import read_lines

EXPORTS: Final = frozenset({RequestType.ACCESS, RequestType.PORTABILITY})
_OPEN: Final = (RequestStatus.PENDING, RequestStatus.ON_HOLD)
_HOLD_WAIT_S: Final = 60.0

#: Of several regions' statuses the first of these that occurs is the request's.
_ORDER: Final = (
    RequestStatus.ON_HOLD,
    RequestStatus.IN_PROGRESS,
    RequestStatus.PENDING,
    RequestStatus.CANCELLED,
    RequestStatus.COMPLETED,
)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the id of a key, or of a person's token, and the sites they may act for. A token acts for its own `identities` only."""

    id: str
    sites: tuple[str, ...]
    identities: tuple[NamedIdentity, ...] | None = None


@dataclass(frozen=True, slots=True)
class Desk:
    """One for a process. Its methods block for some milliseconds: call them in a thread."""

    settings: Settings
    policy: Policy
    offices: Mapping[str, Office]
    clock: Clock
    new_id: Callable[[], str] = lambda: str(uuid.uuid4())
    nonce: Callable[[], str] = lambda: secrets.token_hex(32)

    @property
    def coverage(self) -> dict[str, Any]:
        """What an answer says of regions that are configured, or stored beside the others, and not served here: nothing, if all are."""
        return self._coverage(self.offices)

    def _coverage(self, covered: Iterable[str]) -> dict[str, Any]:
        missing = self._missing(covered)
        return {"regions_not_covered": missing} if missing else {}

    def _missing(self, covered: Iterable[str]) -> list[str]:
        every = dict.fromkeys([*self.settings.regions, *stored_regions(self.settings.storage.data_dir)])
        return [name for name in every if name not in set(covered)]

    def close(self) -> None:
        """Close what the offices keep open. No thread may use them any more."""
        for office in self.offices.values():
            office.close()

    def accept(self, demand: Demand, caller: Caller, extra: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Record a request, durably, and put suppression in force. The same request again is answered with the first one's state, and with
        its nonce as long as it is not done.

        `extra` joins its terms. Raises `Unprocessable`, `Forbidden`, `Conflict` (its id names another request).
        """
        identities = self._identities(demand, caller)
        sites = self._sites(demand, caller)
        self._check(demand)
        request = demand.request_id or self.new_id()
        nonce = self.nonce()
        terms = {**self._terms(demand, sites, identities, caller), **(extra or {})}
        shown = False
        for office in self.offices.values():
            kept = self._enter(office, request, demand, terms, identities, nonce)
            nonce, shown = kept or nonce, shown or kept is not None
        told = self.get(request, caller)
        return {**told, "commitment_nonce": nonce} if shown else told

    def get(self, request: str, caller: Caller) -> dict[str, Any]:
        """The state of a request. Raises `NotFound`, also for one that is none of the caller's business."""
        rows = {name: row for name, office in self.offices.items() if (row := self._find(office, request, caller)) is not None}
        if not rows:
            raise NotFound("not_found", "There is no request of this id.")
        told = self._told(rows)
        if caller.identities is not None:
            _hide_reasons(told)
        return told

    def select(
        self,
        caller: Caller,
        *,
        statuses: Sequence[str] = (),
        types: Sequence[str] = (),
        due_before: int | None = None,
        limit: int = 100,
    ) -> list[dict[str, Any]]:
        """Requests, newest first, in the form of `get`."""
        found: dict[str, dict[str, Any]] = {}
        for office in self.offices.values():
            naming = self._own(office, caller)
            with (
                office.casebook() as book,
                closing(book.select(statuses=_may_show(statuses), types=types, due_before=due_before, naming=naming)) as rows,
            ):
                concerning = (row.id for row in rows if self._concerns(office, book, row, caller))
                found |= islice(self._wanted(concerning, statuses, caller), limit)
        return sorted(found.values(), key=lambda each: str(each["received_at"]), reverse=True)[:limit]

    def _wanted(self, requests: Iterable[str], statuses: Sequence[str], caller: Caller) -> Iterator[tuple[str, dict[str, Any]]]:
        told = ((request, self.get(request, caller)) for request in requests)
        return ((request, state) for request, state in told if not statuses or state["status"] in statuses)

    def _own(self, office: Office, caller: Caller) -> list[bytes] | None:
        """What stands for the person a token speaks for; None for a key, which may see everybody's requests."""
        return None if caller.identities is None else office.digests(caller.sites, caller.identities)

    def cancel(self, request: str, caller: Caller) -> dict[str, Any]:
        """Take a request back before it is carried out. Raises `NotFound`, `Conflict` (it is too late)."""
        if self.get(request, caller)["status"] not in _OPEN:
            raise Conflict("conflict", "The request is being carried out, or it is done.")
        for office in self.offices.values():
            with office.casebook() as book, book.transaction():
                row = book.get(request)
                if row is None or row.status not in _OPEN or row.step != STEPS[0]:
                    continue
                now = self.clock.now()
                let_in(book, row, now)
                holding.hold_back_no_more(book.connection, request)
                book.update(request, now, status=RequestStatus.CANCELLED, sealed=None, done_at=now)
        return self.get(request, caller)

    def extend(self, request: str, caller: Caller) -> dict[str, Any]:
        """Give a request the longer deadline that the law knows, once. Raises `NotFound`, `Conflict` (it is done)."""
        if self.get(request, caller)["status"] in (RequestStatus.COMPLETED, RequestStatus.CANCELLED):
            raise Conflict("conflict", "The request is done: there is nothing left to take longer over.")
        for office in self.offices.values():
            with office.casebook() as book, book.transaction():
                row = book.get(request)
                if row is not None:
                    due = deadline(row.received_at, row.terms["regulation"], extended=True)
                    book.update(request, row.changed_at, due_at=due, terms={**row.terms, "extended": True})
        return self.get(request, caller)

    def hold(self, identities: Sequence[NamedIdentity], reason: str, caller: Caller, *, lift: bool = False) -> None:
        """Keep people from being erased, for `reason` (free of personal data), or no longer for this one.

        Requests that wait are looked at anew. Whatever is rewriting files, and looked before who is held, ends first. Raises `NotFound` if
        nothing of theirs is held for that reason, `Busy` if rewriting takes long.
        """
        if lift and not any(self._holds_for(office, identities, reason, caller) for office in self.offices.values()):
            raise NotFound("not_found", "They are not held for this reason. GET /v1/privacy/holds lists the reasons.")
        for office in self.offices.values():
            with (
                nullcontext() if lift else office.lake.writing(_HOLD_WAIT_S),
                office.casebook() as book,
                book.transaction() as connection,
            ):
                now = self.clock.now()
                if lift:
                    holding.lift(connection, office.digests(caller.sites, identities), reason)
                    for row in list(book.select(statuses=[RequestStatus.ON_HOLD])):
                        book.update(row.id, now, status=RequestStatus.PENDING, result=None)
                else:
                    for site in caller.sites:
                        holding.hold(connection, site, office.digests([site], identities), reason, now)
                Ledger(connection).append(
                    now, EntryKind.LEGAL_HOLD, {"who": caller.id, "reason": reason, "lifted": lift, "sites": list(caller.sites)}
                )

    def readmit(self, identities: Sequence[NamedIdentity], reason: str, caller: Caller) -> int:
        """Let people in again whom erasures keep out that are done, for `reason` (free of personal data): how many of the identities.

        Raises `Conflict` while an erasure of theirs is open.
        """
        named = [(site, identity) for site in caller.sites for identity in identities]
        readmitted: set[tuple[str, NamedIdentity]] = set()
        for office in self.offices.values():
            with office.casebook() as book:
                check_done(book, office.digests(caller.sites, identities))
        for office in self.offices.values():
            digests = {office.digest(*each): each for each in named}
            with office.casebook() as book, book.transaction():
                found = {digests[digest] for digest in readmit(book, digests, self.clock.now())}
                if found:
                    facts = {"who": caller.id, "why": f"readmitted: {reason}"}
                    self._note_use(book, office, identities, dict.fromkeys(site for site, _ in found), facts)
            readmitted |= found
        return len({identity for _, identity in readmitted})

    def _holds_for(self, office: Office, identities: Sequence[NamedIdentity], reason: str, caller: Caller) -> bool:
        with office.casebook() as book:
            return holding.is_held(book.connection, office.digests(caller.sites, identities), reason)

    def holds(self, caller: Caller) -> list[dict[str, Any]]:
        """The holds of the caller's sites, newest first: why, since when, and of how many identities; not whose."""
        found = []
        for office in self.offices.values():
            with office.casebook() as book:
                found += [{"region": office.name, **each._asdict()} for each in holding.holds(book.connection, caller.sites)]
        return [{**each, "since": iso(each["since"])} for each in sorted(found, key=lambda each: each["since"], reverse=True)]

    def export_size(self, request: str, caller: Caller) -> int:
        """How many events wait in an export. Raises `NotFound` if it is not ready, was fetched, or has expired."""
        self.get(request, caller)
        if caller.identities is not None and not self._is_own(request):
            raise NotFound("not_found", "This export was asked for by somebody else: they hand it over.")
        return sum(each.events for each in self._artifacts(request).values())

    def _is_own(self, request: str) -> bool:
        """Whether somebody asked for themself, or at least by what nobody else can claim to be theirs."""
        terms = self._terms_of(request)
        return bool(terms.get("themself")) or IdentityKind.EMAIL not in terms["kinds"]

    def _terms_of(self, request: str) -> dict[str, Any]:
        for office in self.offices.values():
            with office.casebook() as book:
                if (row := book.get(request)) is not None:
                    return row.terms
        raise NotFound("not_found", "There is no request of this id.")

    def claim_export(self, request: str) -> IO[bytes]:
        """Be the only one, in any process, who fetches an export, until what is returned is closed.

        Raises `NotFound` if it was fetched meanwhile, `Conflict` while somebody else does.
        """
        office, *_ = self._artifacts(request)
        path = self.offices[office].export_path(request)
        try:
            claim = path.open("rb")
        except FileNotFoundError:
            self._artifacts(request)
            raise CorruptStore(f"the export {path} is missing") from None
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._artifacts(request)
        except BlockingIOError:
            claim.close()
            raise Conflict("conflict", "The export is being fetched. If that breaks off, it can be fetched again.") from None
        except BaseException:
            claim.close()
            raise
        return claim

    def write_export(self, request: str, sink: IO[bytes]) -> None:
        """Write the ZIP of an export. Raises `NotFound`, `CorruptStore`."""
        regions: dict[str, Lines] = {}
        for office, key in self._keys(request):
            regions[office.name] = partial(read_lines, office.export_path(request), key)
        controller = self.settings.consent.controller or ", ".join(self._terms_of(request)["sites"])
        write_archive(sink, Head(request, controller, self.clock.now(), self._missing(regions)), regions)

    def destroy_export(self, request: str, caller: Caller) -> None:
        """It was fetched by `caller`: its keys are destroyed, then its files."""
        for office in self.offices.values():
            with office.casebook() as book, book.transaction() as connection:
                book.drop_artifacts([request])
                facts = {
                    "who": caller.id,
                    "why": "export fetched",
                    "request": request,
                    "commitments": [],
                    "sites": list(caller.sites),
                }
                entry = Ledger(connection).append(self.clock.now(), EntryKind.PERSONAL_USE, facts)
                people.note_use(connection, book.digests(request), entry.number, b"")
            office.export_path(request).unlink(missing_ok=True)

    def note_use(self, identities: Sequence[NamedIdentity], why: str, caller: Caller) -> None:
        """Record that a key was used on a person's data: who, when, why, and whom it was about as a commitment."""
        for office in self.offices.values():
            with office.casebook() as book, book.transaction():
                self._note_use(book, office, identities, caller.sites, {"who": caller.id, "why": why})

    def note_use_of(self, subjects: Sequence[int], why: str, caller: Caller) -> None:
        """As `note_use`, of people known by their numbers."""
        self._usage.note_subjects(subjects, why, caller.id, caller.sites[0])

    def uses(self, caller: Caller, limit: int, before: str | None = None) -> dict[str, Any]:
        """Who used the data of the caller's sites' people, newest first: a page. Raises `BadRequest`."""
        return self._usage.page(caller.sites, limit, before)

    @property
    def _usage(self) -> UsageRecord:
        return UsageRecord({name: office.root for name, office in self.offices.items()}, self.clock, self.nonce)

    def _identities(self, demand: Demand, caller: Caller) -> tuple[NamedIdentity, ...]:
        identities = demand.named or caller.identities or ()
        if not identities:
            raise Unprocessable("invalid", "The request names no identity.")
        if caller.identities is not None and not set(identities) <= set(caller.identities):
            raise Forbidden("forbidden_identity", "This token acts for its own identities only.")
        return identities

    def _sites(self, demand: Demand, caller: Caller) -> tuple[str, ...]:
        sites = tuple(dict.fromkeys(demand.sites)) or caller.sites
        if not set(sites) <= set(caller.sites):
            raise Forbidden("other_site", "The key is of another site than one the request names.")
        return sites

    def _check(self, demand: Demand) -> None:
        check_purposes(demand.purposes, self.policy)
        if demand.blocked_until is not None and demand.blocked_until <= self.clock.now():
            raise Unprocessable("invalid", "block_until is over already.")
        if not set(demand.callbacks) <= set(self.settings.rights.callbacks):
            raise Unprocessable("invalid", "A callback is none of those in rights.callbacks.")

    def _terms(
        self, demand: Demand, sites: tuple[str, ...], identities: Sequence[NamedIdentity], caller: Caller
    ) -> dict[str, Any]:
        return {
            "sites": list(sites),
            "kinds": [identity.kind for identity in identities],
            "regulation": demand.regulation,
            "by": caller.id,
            "themself": caller.identities is not None,
            "asked_at": self.clock.now(),
            "purposes": demand.purposes,
            "lift": demand.lift,
            "callbacks": demand.callbacks,
        }

    def _enter(
        self,
        office: Office,
        request: str,
        demand: Demand,
        terms: dict[str, Any],
        identities: Sequence[NamedIdentity],
        nonce: str,
    ) -> str | None:
        """Record the request in one region; its nonce, None if it was there before and is done.

        A retry that overtakes the first call, or comes after a crash in the middle of it, finds it in some regions: all get the same nonce.
        """
        fingerprint = _fingerprint(office, demand, terms, identities)
        digests = office.digests(terms["sites"], identities)
        with office.casebook() as book, book.transaction():
            known = book.get(request)
            if known is not None:
                if not hmac.compare_digest(known.fingerprint, fingerprint):
                    raise Conflict("conflict", "A request of this id exists, and it is another one.")
                return None if known.sealed is None else str(book.unseal(request, known.sealed)["nonce"])
            now = self.clock.now()
            block = demand.block or self.settings.rights.block
            if demand.type is RequestType.ERASURE and block != "no":
                named = Named(request, digests, themself=terms["themself"])
                terms = {**terms, **keep_out(book, named, demand.blocked_until, now)}
            file = {
                **new_file(identities, demand.reason, block, demand.blocked_until),
                "nonce": nonce,
                "corrections": demand.corrections,
            }
            starts = now + int(self.settings.rights.grace_s * 1_000_000)
            due = deadline(now, demand.regulation)
            book.add(
                RequestRow(
                    request, demand.type, RequestStatus.PENDING, STEPS[0], terms, fingerprint, book.seal(request, file), None,
                    now, starts, due, now, None,
                ),
                digests,
            )  # fmt: skip
            self._note_use(
                book,
                office,
                identities,
                terms["sites"],
                {"who": terms["by"], "why": f"request: {demand.type}", "request": request},
            )
        return nonce

    def _note_use(
        self, book: Casebook, office: Office, identities: Iterable[NamedIdentity], sites: Iterable[str], facts: Mapping[str, Any]
    ) -> None:
        nonce = bytes.fromhex(self.nonce())
        named = [(site, identity) for site in sites for identity in identities]
        commitments = [principal(nonce, site, identity.kind, identity.value) for site, identity in named]
        entry = Ledger(book.connection).append(
            self.clock.now(),
            EntryKind.PERSONAL_USE,
            {**facts, "commitments": commitments, "sites": list(dict.fromkeys(site for site, _ in named))},
        )
        people.note_use(book.connection, [office.digest(site, identity) for site, identity in named], entry.number, nonce)

    def _find(self, office: Office, request: str, caller: Caller) -> RequestRow | None:
        with office.casebook() as book:
            row = book.get(request)
            return row if row is not None and self._concerns(office, book, row, caller) else None

    def _concerns(self, office: Office, book: Casebook, row: RequestRow, caller: Caller) -> bool:
        if not set(row.terms["sites"]) <= set(caller.sites):
            return False
        if caller.identities is None:
            return True
        named = book.digests(row.id)
        return bool(named) and set(named) <= set(office.digests(caller.sites, caller.identities))

    def _told(self, rows: Mapping[str, RequestRow]) -> dict[str, Any]:
        first = next(iter(rows.values()))
        statuses = {row.status for row in rows.values()}
        status = next(each for each in _ORDER if each in statuses)
        if status is RequestStatus.PENDING and RequestStatus.COMPLETED in statuses:
            status = RequestStatus.IN_PROGRESS
        told: dict[str, Any] = {
            "id": first.id,
            "type": first.type,
            "status": status.value,
            "sites": first.terms["sites"],
            "identities": [{"type": kind} for kind in first.terms["kinds"]],
            "regulation": first.terms["regulation"],
            "received_at": iso(first.received_at),
            "due_at": iso(max(row.due_at for row in rows.values())),
            "overdue": status not in (RequestStatus.COMPLETED, RequestStatus.CANCELLED) and self.clock.now() > first.due_at,
            "regions": {name: _told_region(row) for name, row in rows.items()},
            **self._coverage(rows),
        }
        begins = max(row.starts_at for row in rows.values())
        if status is RequestStatus.PENDING and begins > self.clock.now():
            told["begins_at"] = iso(begins)
        if status is RequestStatus.COMPLETED:
            told["completed_at"] = iso(max(row.done_at or 0 for row in rows.values()))
            if first.type in EXPORTS:
                told["export"] = self._told_export(first.id)
        certificates = [row.result["certificate"] for row in rows.values() if row.result and "certificate" in row.result]
        if certificates and status in (RequestStatus.COMPLETED, RequestStatus.CANCELLED):
            told["certificates"] = certificates
        return told

    def _told_export(self, request: str) -> dict[str, Any] | None:
        try:
            waiting = self._artifacts(request)
        except NotFound:
            return None
        return {
            "path": f"/v1/privacy/requests/{request}/export",
            "events": sum(each.events for each in waiting.values()),
            "expires_at": iso(min(each.expires_at for each in waiting.values())),
        }

    def _artifacts(self, request: str) -> dict[str, Artifact]:
        """By the regions in which the request was handed in. Raises `NotFound` if one is not there (any more)."""
        found: dict[str, Artifact] = {}
        for name, office in self.offices.items():
            with office.casebook() as book:
                if book.get(request) is None:
                    continue
                artifact = book.artifact(request)
            if artifact is None or artifact.expires_at <= self.clock.now():
                found.clear()
                break
            found[name] = artifact
        if not found:
            raise NotFound("not_found", "The export is not ready, was fetched before, or has expired.")
        return found

    def _keys(self, request: str) -> Iterator[tuple[Office, bytes]]:
        for name, artifact in self._artifacts(request).items():
            with self.offices[name].casebook() as book:
                yield self.offices[name], base64.b64decode(book.unseal(request, artifact.wrapped))


def _may_show(statuses: Sequence[str]) -> tuple[str, ...]:
    """A request of one of these statuses has one of these in a region: where one region is done, and another is not, it is in progress."""
    waits = (RequestStatus.PENDING,) if RequestStatus.IN_PROGRESS in statuses else ()
    return (*statuses, *waits)


def _hide_reasons(told: dict[str, Any]) -> None:
    """Why there is a hold, or what stands in the way, is for the operator to tell."""
    for region in told["regions"].values():
        for name in ("held", "waiting_for"):
            region.get("result", {}).pop(name, None)


def _told_region(row: RequestRow) -> dict[str, Any]:
    steps = STEPS if row.type == RequestType.ERASURE else (STEPS[0], "done")
    finished = row.status == RequestStatus.COMPLETED
    done = len(steps) - 1 if finished else steps.index(row.step) if row.step in steps else 0
    told: dict[str, Any] = {"status": row.status, "step": row.step, "progress": {"done": done, "of": len(steps) - 1}}
    if row.result and "certificate" not in row.result:
        told["result"] = row.result
    return told


def _fingerprint(office: Office, demand: Demand, terms: Mapping[str, Any], identities: Sequence[NamedIdentity]) -> bytes:
    """What two requests of one id must share. Keyed, for it is made of identifiers."""
    asked = demand.model_dump(mode="json", exclude={"request_id", "sites"}) | {"sites": terms["sites"]}
    if not demand.named:  # a token's own
        asked["identities"] = [list(identity) for identity in identities]
    return hmac.new(office.keys.identity, orjson.dumps(asked, option=orjson.OPT_SORT_KEYS), hashlib.sha256).digest()
