"""What another process does to a request while it is worked on: what was answered stays so."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consentryd.model.error import Conflict
from consentryd.model.identity import IdentityKind
from consentryd.rights.change import Clerk
from consentryd.rights.demand import NamedIdentity, RequestStatus
from consentryd.rights.desk import Caller
from consentryd.storage.backup import back_up
from consentryd.storage.request import Casebook, RequestRow
from tests.rights.estate import OFFICER, Estate


def during(step: str, do: Callable[[], object]) -> Callable[[str, int, int], None]:
    """A `progress` that does something once, when a step is heard of."""
    left = [do]

    def progress(heard: str, _done: int, _of: int) -> None:
        if heard == step and left:
            left.pop()()

    return progress


async def test_an_erasure_that_was_taken_back_while_an_export_was_written_is_not_carried_out(estate: Estate) -> None:
    await estate.send(estate.event("ann"), estate.event("bob"))
    estate.ask("access", user_id="bob")
    erasure = estate.ask("erasure", user_id="ann")["id"]
    estate.finish(erasure, progress=during("collected", lambda: estate.desk.cancel(erasure, OFFICER)))
    assert estate.desk.get(erasure, OFFICER)["status"] == "cancelled"
    assert len(estate.rows()) == 2
    assert await estate.send(estate.event("ann")) == ["stored"]


@pytest.mark.parametrize("kind", ["restriction", "objection", "rectification"])
async def test_what_was_taken_back_just_before_its_turn_is_not_carried_out(estate: Estate, kind: str) -> None:
    await estate.send(estate.event("ann", properties={"plan": "free"}))
    request = estate.ask(kind, user_id="ann", **({"corrections": {"plan": "pro"}} if kind == "rectification" else {}))["id"]
    office = estate.offices["eu"]
    with office.casebook() as book:
        row = book.get(request)
        estate.desk.cancel(request, OFFICER)
        clerk = Clerk(office, estate.house.policy, estate.house.scrubbers["eu"], estate.clock)
        work = {"restriction": clerk.restrict, "objection": clerk.object, "rectification": clerk.rectify}
        assert row is not None
        work[kind](book, row)
    assert estate.desk.get(request, OFFICER)["status"] == "cancelled"
    assert [row["properties"] for row in estate.rows()] == ['{"plan":"free"}']


async def test_an_export_under_way_is_too_late_to_be_taken_back(estate: Estate) -> None:
    await estate.send(estate.event("ann"))
    request, heard = estate.ask("access", user_id="ann")["id"], []

    def cancel() -> None:
        with pytest.raises(Conflict):
            estate.desk.cancel(request, OFFICER)
        heard.append(estate.desk.get(request, OFFICER)["status"])

    told = estate.finish(request, progress=during("collected", cancel))
    assert (heard, told["status"], told["export"]["events"]) == (["in_progress"], "completed", 1)


def test_a_process_that_finds_another_at_work_leaves_what_that_one_finishes_as_it_is(estate: Estate) -> None:
    request, office = estate.ask("erasure", user_id="ann")["id"], estate.offices["eu"]
    lock = os.open(office.root / "rights.lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    book = Casebook(office.root, office.keys.subject)
    waits = threading.Thread(target=estate.runner().run)
    with book.transaction():
        waits.start()
        time.sleep(0.3)  # by now it wants to write that the request waits
        book.update(request, estate.clock.now(), status=RequestStatus.COMPLETED, result={"certificate": "signed"})
    waits.join()
    row = book.get(request)
    book.close()
    os.close(lock)
    assert row is not None
    assert row.result == {"certificate": "signed"}


async def test_a_region_whose_store_fails_keeps_no_other_from_its_peoples_requests(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    await estate.send(estate.event("ann"), region="us")
    restrict = Clerk.restrict

    def fails(clerk: Clerk, book: Casebook, row: RequestRow) -> None:
        if clerk.office.name == "eu":
            raise sqlite3.OperationalError("database or disk is full")
        restrict(clerk, book, row)

    request = estate.ask("restriction", user_id="ann")["id"]
    monkeypatch.setattr(Clerk, "restrict", fails)
    assert estate.runner().run() == {"eu": "database or disk is full"}
    assert estate.rows("us") == []
    told = estate.desk.get(request, OFFICER)["regions"]
    assert told["us"]["status"] == "completed"
    assert told["eu"]["result"] == {"waiting_for": "database or disk is full"}
    ann = Caller("ann's token", ("shop",), (NamedIdentity(IdentityKind.USER_ID, "ann"),))
    assert "disk" not in str(estate.desk.get(request, ann)), "what goes on in the machine is not the person's to know"


def test_a_backup_that_waits_for_a_sweep_does_not_keep_the_sweep_waiting(estate: Estate, tmp_path: Path) -> None:
    lake = estate.offices["eu"].lake
    with ThreadPoolExecutor(1) as pool:
        with lake.writing():
            copying = pool.submit(back_up, estate.path, tmp_path / "backup", estate.clock)
            time.sleep(0.3)  # by now it waits for this lock
            lake.vacuum()
        assert copying.result(10).regions == ("eu", "us")
