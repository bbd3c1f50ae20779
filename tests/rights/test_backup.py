"""A backup made while the gateway serves is whole, and bringing it back brings nobody back who was erased since."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from consentryd.model.clock import SystemClock
from consentryd.model.error import ConfigError
from consentryd.storage.backup import back_up, check_backup
from consentryd.storage.ledger import Ledger, verify_ledger
from consentryd.storage.master import load_master
from consentryd.storage.restore import Restored, restore
from consentryd.storage.scan import forms_of
from tests.rights.estate import opened


def brought_back(path: Path, backup: Path, since: Path | None = None) -> list[Restored]:
    return restore(path, backup, load_master(None, path, {}), SystemClock(), since)


async def lived(path: Path, backup: Path) -> tuple[list[dict], set[int]]:
    """Events before a backup and after it; then two people are erased and two withdraw, one of whom came later.

    What others' events were in the backup, and the erased subjects.
    """
    with opened(path) as estate:
        await estate.send(*(estate.event(f"u-{number}", f"a-{number}") for number in range(30)))
        await estate.send(estate.event(None, "phone"), estate.event("u-1", "phone"))
        estate.seal()
        await estate.send(*(estate.event(f"u-{number}") for number in range(30)))
        rows = estate.rows()
        back_up(path, backup, estate.clock)
        await estate.send(*(estate.event(f"u-{number}") for number in range(30)))
        gone = {f"m-{number + 1}" for number in (1, 2)} | {"m-31"}
        subjects = {row["subject"] for row in rows if row["event_id"] in gone}
        for name in ("u-1", "u-2"):
            estate.finish(estate.ask("erasure", user_id=name)["id"])
        await estate.send(estate.event("new"))
        for name in ("u-3", "new"):
            estate.finish(estate.ask("objection", user_id=name)["id"])
    return [row for row in rows if row["subject"] not in subjects], subjects


async def test_an_erased_person_does_not_come_back_and_stays_suppressed_and_a_withdrawal_stays_in_force(tmp_path: Path) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    left, subjects = await lived(path, backup)
    done = await asyncio.to_thread(brought_back, path, backup)
    assert [(each.region, each.subjects, each.events) for each in done] == [("eu", 3, 6), ("us", 0, 0)]
    with opened(path) as estate:
        objected = {row["subject"] for row in left if row["event_id"] == "m-4"}
        assert estate.rows() == [row for row in left if row["subject"] not in objected]
        assert estate.rows(restricted=False) == left
        later = (estate.event(name, messageId=f"later-{name}") for name in ("u-1", "u-3", "u-4", "new"))
        assert await estate.send(*later) == ["suppressed", "withdrawn", "stored", "withdrawn"]
        assert estate.bytes_with(*(form for subject in subjects for form in forms_of(subject))) == []
        office = estate.offices["eu"]
        with office.casebook() as book:
            assert verify_ledger(Ledger(book.connection), [key.verifier for key in office.signing.public()]) is None


async def test_after_a_lost_disk_a_later_copy_of_the_database_tells_who_was_erased(tmp_path: Path) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    left, _ = await lived(path, backup)
    kept = tmp_path / "kept"
    for region in ("eu", "us"):
        (kept / region).mkdir(parents=True)
        shutil.copy2(path / region / "region.db", kept / region)
    master = (path / "master.key").read_bytes()
    shutil.rmtree(path)
    path.mkdir()
    (path / "master.key").write_bytes(master)
    (path / "master.key").chmod(0o600)
    with pytest.raises(ConfigError, match="Nothing tells"):
        brought_back(path, backup)
    await asyncio.to_thread(brought_back, path, backup, kept)
    with opened(path) as estate:
        assert estate.rows(restricted=False) == left


async def test_a_backup_made_beside_writers_and_a_sealer_is_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with opened(path) as estate:
        await estate.send(estate.event("first"))
        stop = asyncio.Event()

        async def write() -> None:
            while not stop.is_set():
                await estate.send(*(estate.event(f"u-{number}") for number in range(20)))
                await asyncio.to_thread(estate.seal)

        writing = asyncio.create_task(write())
        for number in range(3):
            await asyncio.to_thread(back_up, path, tmp_path / f"backup-{number}", estate.clock)
        stop.set()
        await writing
        master = (path / "master.key").read_bytes()
    for number in range(3):
        copy = tmp_path / f"backup-{number}"
        check_backup(copy)
        (copy / "master.key").write_bytes(master)
        (copy / "master.key").chmod(0o600)
        with opened(copy) as restored:
            rows = restored.rows()
            assert len(rows) % 20 == 1
            assert len({row["event_id"] for row in rows}) == len(rows)


def test_a_backup_that_was_changed_or_exists_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as estate:
        backup = tmp_path / "backup"
        back_up(estate.path, backup, estate.clock)
        with pytest.raises(ConfigError, match="exists"):
            back_up(estate.path, backup, estate.clock)
        with (backup / "eu" / "region.db").open("r+b") as file:
            file.seek(200)
            file.write(b"\xff")
        with pytest.raises(ConfigError, match="not what was backed up"):
            check_backup(backup)
