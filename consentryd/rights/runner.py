"""Carries requests out. Whatever stops it, the next run goes on where it stopped."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from consentryd.config.settings import Settings
from consentryd.consent.policy import Policy
from consentryd.model.clock import Clock
from consentryd.model.error import CorruptStore, Unavailable
from consentryd.privacy.scrub import Scrubber
from consentryd.rights.access import Collector
from consentryd.rights.change import Clerk
from consentryd.rights.demand import RequestType
from consentryd.rights.desk import EXPORTS, Desk
from consentryd.rights.erasure import AtStep, Eraser, Progress
from consentryd.rights.herald import Herald
from consentryd.rights.office import Office
from consentryd.rights.opendsr import Processor, load_processor
from consentryd.rights.webhook import Messenger, Post, post
from consentryd.storage.lease import Busy
from consentryd.storage.request import Casebook, RequestRow

#: Requests taken up at once: their files are rewritten together.
BATCH: Final = 1_000
_POLL_S: Final = 0.05


def _nothing(_step: str, _done: int = 0, _of: int = 0) -> None:
    """Nobody watches."""


@dataclass(frozen=True, slots=True)
class Runner:
    """One for a process; other processes may run theirs beside it. `wait_s` bounds each wait for queries and other tasks.

    `at_step` is called after each durable step of an erasure, `progress` with a step, and done and all of its parts.
    """

    settings: Settings
    policy: Policy
    offices: Mapping[str, Office]
    scrubbers: Mapping[str, Scrubber]
    clock: Clock
    post: Post = post
    wait_s: float = 60.0
    progress: Progress = _nothing
    at_step: AtStep = _nothing

    def run(self, *, lock_wait_s: float = 0.0) -> dict[str, str]:
        """Work on what is due, in every region. What stands in the way, by region; such requests are tried again by the next run."""
        problems = {}
        desk = Desk(self.settings, self.policy, self.offices, self.clock)
        processor = load_processor(self.settings.rights)
        for name, office in self.offices.items():
            try:
                with _alone(office, lock_wait_s), office.casebook() as book:
                    self._work(office, book, Messenger(self.settings, self.clock, self.post, processor))
            except (Unavailable, CorruptStore, OSError, sqlite3.Error) as error:
                problems[name] = str(error)
                with suppress(Unavailable, CorruptStore, OSError, sqlite3.Error):
                    self._note_problem(office, str(error))
        if self.settings.rights.callbacks and Herald(desk).report():
            self._deliver(processor)
        return problems

    def _note_problem(self, office: Office, problem: str) -> None:
        """Let the requests that wait say what for."""
        told = {"waiting_for": problem}

        def uninformed() -> list[RequestRow]:
            return [row for row in book.due(self.clock.now(), BATCH) if row.result != told]

        with office.casebook() as book:
            if uninformed():
                with book.transaction():
                    for row in uninformed():  # of those, others may have finished some before this transaction began
                        book.update(row.id, row.changed_at, result=told)

    def _deliver(self, processor: Processor | None) -> None:
        office = next(iter(self.offices.values()))
        with office.casebook() as book:
            Messenger(self.settings, self.clock, self.post, processor).send_due(book)

    def _work(self, office: Office, book: Casebook, messenger: Messenger) -> None:
        try:
            while rows := book.due(self.clock.now(), BATCH):
                before = [(row.id, row.step, row.status) for row in rows]
                self._carry_out(office, book, rows, messenger)
                after = [(row.id, row.step, row.status) for row in map(book.get, (row.id for row in rows)) if row is not None]
                if before == after:
                    break
        finally:
            messenger.send_due(book)
        self._expire(office, book)

    def _carry_out(self, office: Office, book: Casebook, rows: list[RequestRow], messenger: Messenger) -> None:
        """First the quick ones; then exports, before an erasure can take what they are about; then all erasures together."""
        clerk = Clerk(office, self.policy, self.scrubbers[office.name], self.clock)
        collector = Collector(office, self.settings, self.policy, self.clock, self.progress)
        quick: dict[str, Callable[[Casebook, RequestRow], None]] = {
            RequestType.RESTRICTION: clerk.restrict,
            RequestType.OBJECTION: clerk.object,
            RequestType.RECTIFICATION: clerk.rectify,
        }
        for row in rows:
            if row.type in quick:
                quick[row.type](book, row)
        for row in rows:
            if row.type in EXPORTS:
                collector.run(book, row)
        erasures = [row for row in rows if row.type == RequestType.ERASURE]
        if erasures:
            Eraser(office, self.settings, self.clock, messenger, self.wait_s, self.progress, self.at_step).run(book, erasures)

    def _expire(self, office: Office, book: Casebook) -> None:
        """Exports that nobody fetched in time, and files that no export is recorded for, go."""
        expired = book.expired_artifacts(self.clock.now())
        if expired:
            with book.transaction():
                book.drop_artifacts(expired)
        kept = {office.export_path(request) for request in book.artifacts()}
        for path in office.exports.glob("*.vault"):
            if path not in kept:
                path.unlink(missing_ok=True)


@contextmanager
def _alone(office: Office, wait_s: float) -> Iterator[None]:
    """Be the only one who works on the region's requests. Raises `Busy`."""
    path = office.root / "rights.lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + wait_s
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise Busy(path) from None
                time.sleep(_POLL_S)
            else:
                break
        yield
    finally:
        os.close(lock)
