"""Erasing people: seven steps, each done for all waiting requests of a region at once, each repeatable after a crash.

accepted -> hidden     tombstones, suppression and index deletion in one transaction: nothing and nobody shows the person any more
hidden   -> counted    the log is sealed; what is to go is counted
counted  -> rewritten  files that hold the people are rewritten without them, each once, in one commit
rewritten -> vacuumed  the old files are deleted, once no query reads them
vacuumed -> purged     what still names them (tombstones, exports) goes; the WAL is emptied
purged   -> scanned    every file is searched for their bytes
scanned  -> told       downstream systems were told, and answered or had their time
told     -> certified  the certificate is signed and the sealed part of the request destroyed
"""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

from consentryd import __version__
from consentryd.config.settings import Settings
from consentryd.consent.receipt import Proof, principal
from consentryd.model.clock import DAY, HOUR, Clock
from consentryd.model.error import CorruptStore
from consentryd.model.identity import IdentityKind
from consentryd.rights.certificate import METHODS, digest_of, issue
from consentryd.rights.demand import NamedIdentity, RequestStatus
from consentryd.rights.office import Office
from consentryd.rights.suppression import settle
from consentryd.rights.webhook import Messenger
from consentryd.storage import person as people
from consentryd.storage.erasure import candidates, count_events, empty_wal, rewrite_without
from consentryd.storage.hold import held, hold_back, hold_back_no_more
from consentryd.storage.ledger import EntryKind, Ledger, iso
from consentryd.storage.location import DATABASE
from consentryd.storage.person import Person
from consentryd.storage.request import Casebook, RequestRow
from consentryd.storage.rollup import SUFFIX
from consentryd.storage.scan import Needles, ScanReport, scan_files, scan_lake, scan_paths
from consentryd.storage.seal import Sealer
from consentryd.storage.tombstone import bury, forget_tombstones

STEPS: Final = ("accepted", "hidden", "counted", "rewritten", "vacuumed", "purged", "scanned", "told", "certified")

#: Commits of this many people at most, so that events that arrive meanwhile wait for milliseconds only.
GROUP: Final = 25

Progress = Callable[[str, int, int], None]
AtStep = Callable[[str], None]


class StillThere(CorruptStore):
    """The search after an erasure found the person's number. The message names files, never what was found."""


@dataclass(slots=True)
class Case:
    """One request under way: its row, and the unsealed part of it, which the row keeps encrypted from step to step.

    `file` holds what was asked (`identities`, `reason`, `nonce`, `block`, `until`) and, from step to step, `subjects`, `digests`, `rows`,
    `letters`, `keys`, `exports`, `events`, `files`, `scan`, `downstream`.
    """

    row: RequestRow
    file: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def person(self) -> Person:
        return Person(tuple(self.file["subjects"]), tuple(bytes.fromhex(digest) for digest in self.file["digests"]))

    @property
    def identities(self) -> list[NamedIdentity]:
        return [NamedIdentity(IdentityKind(kind), value, form) for kind, value, form in self.file["identities"]]

    @property
    def texts(self) -> list[str]:
        return [identity.value for identity in self.identities]


def _nothing(_step: str, _done: int = 0, _of: int = 0) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Eraser:
    """Works in one region, for one thread that holds the region's case lock. `wait_s` bounds each wait for other tasks and readers.

    `at_step` is called after each step became durable; `progress` with a step, and done and all of its parts.
    """

    office: Office
    settings: Settings
    clock: Clock
    messenger: Messenger
    wait_s: float = 60.0
    progress: Progress = _nothing
    at_step: AtStep = _nothing

    def run(self, book: Casebook, rows: Sequence[RequestRow]) -> None:
        """Take erasures as far as they go now. Raises `Busy` when others must end first, `StillThere`, `CorruptStore`, `OSError`."""
        cases = [Case(row, book.unseal(row.id, row.sealed)) for row in rows if row.sealed is not None]
        for before, step, do in self._steps():
            due = [case for case in cases if case.row.step == before and case.row.status != RequestStatus.ON_HOLD]
            if due:
                self.progress(step, 0, len(due))
                do(book, due)
                self.at_step(step)

    def _steps(self) -> Iterator[tuple[str, str, Callable[[Casebook, list[Case]], None]]]:
        does = (self._hide, self._count, self._rewrite, self._vacuum, self._purge, self._scan, self._tell, self._certify)
        yield from zip(STEPS, STEPS[1:], does, strict=False)

    def _save(self, book: Casebook, case: Case, step: str) -> None:
        """Record that the step is done; within a transaction."""
        sealed = book.seal(case.id, case.file)
        now = self.clock.now()
        book.update(case.id, now, step=step, status=RequestStatus.IN_PROGRESS, sealed=sealed, result=None)
        case.row = case.row._replace(step=step, status=RequestStatus.IN_PROGRESS, sealed=sealed, changed_at=now, result=None)

    def _hide(self, book: Casebook, cases: list[Case]) -> None:
        for start in range(0, len(cases), GROUP):
            with book.transaction():
                for case in cases[start : start + GROUP]:
                    self._hide_one(book, case)
            self.progress("hidden", min(start + GROUP, len(cases)), len(cases))

    def _hide_one(self, book: Casebook, case: Case) -> None:
        connection, now = book.connection, self.clock.now()
        if not book.take_up(case.row, now):
            return
        found = book.person(case.row)
        if (reason := held(connection, found)) is not None:
            hold_back(connection, found.subjects, case.id)
            book.update(case.id, now, status=RequestStatus.ON_HOLD, result={"held": reason})
            case.row = case.row._replace(status=RequestStatus.ON_HOLD)
            return
        hold_back_no_more(connection, case.id)
        person = people.without_shared(connection, found, book.digests(case.id))
        others = [request for request in people.requests_of(connection, person) if request != case.id]
        case.file |= {
            "subjects": list(person.subjects),
            "digests": [digest.hex() for digest in person.digests],
            "rows": people.count_rows(connection, person),
            "keys": people.key_hashes(connection, person),
            "exports": book.drop_artifacts(others),
        }
        book.renew_artifacts(set(people.requests_of(connection, found)).difference(others, [case.id]), now)
        people.delete_rows(connection, person, now)
        bury(connection, person.subjects, case.id, self.office.keys.identity, now)
        case.file["letters"] = people.delete_letters(connection, case.row.terms["sites"], case.texts)
        book.forget_identities(person.digests, but=case.id)
        book.close_others(others, now)
        settle(book, case.id, person.digests, now)
        if case.file["block"] != "no":
            people.suppress(connection, person.digests, case.file["until"], now)
        self._save(book, case, "hidden")

    def _count(self, book: Casebook, cases: list[Case]) -> None:
        subjects = _subjects(cases)
        if subjects:
            Sealer(self.office.root, self.office.lake).run(wait_s=self.wait_s)
        with self.office.lake.reading():
            found = count_events(self.office.lake, subjects) if subjects else {}
        held: dict[int, Counter[str]] = defaultdict(Counter)
        for path, counts in found.items():
            for subject, times in counts.items():
                held[subject][path] += times
        with book.transaction():
            for case in cases:
                own = sum((held[subject] for subject in case.file["subjects"]), Counter[str]())
                case.file |= {"events": own.total(), "files": len(own)}
                self._save(book, case, "counted")

    def _rewrite(self, book: Casebook, cases: list[Case]) -> None:
        lake, subjects = self.office.lake, _subjects(cases)
        if subjects:
            with lake.writing(self.wait_s):
                rewrite_without(lake, subjects, lambda part, whole: self.progress("rewritten", part, whole))
        with book.transaction():
            for case in cases:
                self._save(book, case, "rewritten")

    def _vacuum(self, book: Casebook, cases: list[Case]) -> None:
        if _subjects(cases):
            with self.office.lake.writing(self.wait_s):
                self.office.lake.vacuum(self.wait_s)
        with book.transaction():
            for case in cases:
                self._save(book, case, "vacuumed")

    def _purge(self, book: Casebook, cases: list[Case]) -> None:
        for name in {name for case in cases for name in case.file["exports"]}:
            self.office.export_path(name).unlink(missing_ok=True)
        with book.transaction():
            forget_tombstones(book.connection, _subjects(cases))
            for case in cases:
                self._save(book, case, "purged")

    def _scan(self, book: Casebook, cases: list[Case]) -> None:
        empty_wal(book.connection, self.wait_s)
        needles = Needles(_subjects(cases), list(chain.from_iterable(case.texts for case in cases)))
        database = self._search_database(needles)
        if database.found:
            book.connection.execute("VACUUM")
            empty_wal(book.connection, self.wait_s)
            database = self._search_database(needles)
        report = self._search(needles).plus(database)
        if left := report.of("subject"):
            raise StillThere(f"after an erasure the person's number is still in {', '.join(left[:5])}")
        scan = {
            "files": report.files,
            "bytes": report.size,
            "lake_files_decoded": report.decoded,
            "lake_columns_decoded": "all" if self._is_small() else "subject",
            "found": 0,
            "mentions": report.of("text"),
        }
        with book.transaction():
            for case in cases:
                case.file["scan"] = scan
                self._save(book, case, "scanned")

    def _search_database(self, needles: Needles) -> ScanReport:
        return scan_paths(self.office.root, self._database(), needles)

    def _search(self, needles: Needles) -> ScanReport:
        """The bytes of every file but the database's, and the lake's files decoded. Of a large lake those of the people's buckets, and there
        who the rows are about: no other file can hold a row of theirs, and compressed bytes tell nothing."""
        lake = self.office.lake
        with lake.reading():
            small = self._is_small()
            decoded = scan_lake(lake, needles, everything=small)
            listed = set() if small else self._elsewhere(needles)
        scan_dir = self.settings.rights.scan_dir
        raw = scan_files(self.office.root, needles, self._beside(), {*listed, *self._database()})
        return decoded.plus(raw).plus(scan_files(scan_dir, needles) if scan_dir is not None else ScanReport())

    def _database(self) -> list[Path]:
        return sorted(self.office.root.glob(f"{DATABASE}*"))

    def _elsewhere(self, needles: Needles) -> set[Path]:
        """Lake files, and the rollups of those in other people's buckets."""
        lake = self.office.lake
        near = set(candidates(lake, needles.subjects.tolist()))
        paths = [lake.folder / file.path for file in lake.state().files]
        others = [lake.folder / file.path for file in lake.state().files if file not in near]
        return {*paths, *(path.with_suffix(SUFFIX) for path in others)}

    def _is_small(self) -> bool:
        return sum(file.events for file in self.office.lake.state().files) <= self.settings.rights.scan_events

    def _beside(self) -> list[Path]:
        """Files of the data directory that belong to no region."""
        return [path for path in self.office.root.parent.iterdir() if path.is_file()]

    def _tell(self, book: Casebook, cases: list[Case]) -> None:
        if not self.settings.rights.downstream:
            with book.transaction():
                for case in cases:
                    case.file["downstream"] = []
                    self._save(book, case, "told")
            return
        patience = self.settings.rights.downstream_hours * HOUR
        for case in cases:
            given_up = self.clock.now() > case.row.changed_at + patience
            answers = self.messenger.tell_downstream(book, case.id, self._message(case), give_up=given_up)
            if answers is None:
                self._note_silence(book, case)
                continue
            with book.transaction():
                case.file["downstream"] = answers
                self._save(book, case, "told")

    def _note_silence(self, book: Casebook, case: Case) -> None:
        """Let the request say whom it waits for."""
        systems = book.deliveries.of(case.id, "erasure")
        silent = sum(not each.settled for each in systems)
        told = {"waiting_for": f"{silent} of {len(systems)} systems downstream to acknowledge it"}
        if case.row.result != told:
            with book.transaction():
                book.update(case.id, case.row.changed_at, result=told)

    def _message(self, case: Case) -> dict[str, Any]:
        return {
            "type": "erasure",
            "request_id": case.id,
            "region": self.office.name,
            "sites": case.row.terms["sites"],
            "identities": [identity._asdict() for identity in case.identities],
        }

    def _certify(self, book: Casebook, cases: list[Case]) -> None:
        signer = self.office.signing.signer()
        for start in range(0, len(cases), GROUP):
            group = cases[start : start + GROUP]
            with book.transaction() as connection:
                ledger, now = Ledger(connection), self.clock.now()
                facts = {case.id: self._facts(case, now) for case in group}
                entries = {
                    case.id: ledger.append(now, EntryKind.ERASURE, {"request": case.id, "certificate": digest_of(facts[case.id])})
                    for case in group
                }
                checkpoint = ledger.checkpoint(signer)
                ledger.keep_checkpoint(checkpoint, now)
                for case in group:
                    entry = entries[case.id]
                    proof = Proof(checkpoint, ledger.inclusion(entry.number, ledger.size))
                    result = {"certificate": issue(facts[case.id], entry, proof, signer)}
                    book.update(
                        case.id, now, step="certified", status=RequestStatus.COMPLETED, sealed=None, result=result, done_at=now
                    )
                    case.row = case.row._replace(step="certified", status=RequestStatus.COMPLETED, sealed=None, result=result)
            self.progress("certified", min(start + GROUP, len(cases)), len(cases))

    def _facts(self, case: Case, now: int) -> dict[str, Any]:
        file, nonce = case.file, bytes.fromhex(case.file["nonce"])
        sites = case.row.terms["sites"]
        stores = {"events": file["events"], **file["rows"], "dead_letters": file["letters"], "exports": len(file["exports"])}
        return {
            "request": case.id,
            "region": self.office.name,
            "sites": sites,
            "commitments": [
                principal(nonce, site, identity.kind, identity.value) for site in sites for identity in case.identities
            ],
            "stores": {name: {"before": count, "after": 0} for name, count in stores.items()},
            "subjects": len(file["subjects"]),
            "files_rewritten": file["files"],
            "keys_destroyed": file["keys"],
            "methods": METHODS,
            "scan": file["scan"],
            "suppressed": file["block"] != "no",
            "downstream": file["downstream"],
            "backups_gone_by": iso(now + self.settings.rights.backup_days * DAY),
            "received_at": iso(case.row.received_at),
            "erased_at": iso(now),
            "software": f"consentryd {__version__}",
        }


def new_file(identities: Sequence[NamedIdentity], reason: str | None, block: str, until: int | None) -> dict[str, Any]:
    """The sealed part of a new request."""
    return {
        "identities": [[identity.kind.value, identity.value, identity.format] for identity in identities],
        "reason": reason,
        "block": block,
        "until": until,
        "nonce": secrets.token_hex(32),
    }


def _subjects(cases: Sequence[Case]) -> list[int]:
    return sorted({subject for case in cases for subject in case.file["subjects"]})
