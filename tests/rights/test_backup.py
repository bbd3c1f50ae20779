"""A backup made while the gateway serves is whole, and bringing it back brings nobody back who was erased since."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import sqlite3
import zipfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from consentryd.config.settings import Region, Rights, Settings, Storage
from consentryd.gateway.cli.installation import at_work, complete
from consentryd.gateway.cli.rotate_master import rewrap
from consentryd.model.clock import SystemClock
from consentryd.model.error import ConfigError, CorruptStore
from consentryd.model.identity import Identity, IdentityKind
from consentryd.model.key import KeyKind
from consentryd.rights.consent import Statement
from consentryd.rights.demand import NamedIdentity
from consentryd.storage.backup import back_up, check_backup
from consentryd.storage.choice import ChoiceState
from consentryd.storage.control import ControlStore
from consentryd.storage.database import open_database
from consentryd.storage.keys import retire_masters, rotate_master
from consentryd.storage.later import carry_api_keys
from consentryd.storage.ledger import Ledger, verify_ledger
from consentryd.storage.master import DEFAULT_FILE, MasterKey, load_master, write_master
from consentryd.storage.member import read_members, record_members
from consentryd.storage.restore import RestoreReport, place_for_old, restore
from consentryd.storage.scan import forms_of
from consentryd.storage.tenancy import serving
from tests.rights.estate import OFFICER, opened


def brought_back(path: Path, backup: Path, since: Path | None = None) -> RestoreReport:
    return restore(path, backup, load_master(None, path, {}), SystemClock(), since)


def damage(path: Path, table: str) -> None:
    """Spoil the first page of a table, as a bad disk does."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * size)


def one(path: Path, statement: str) -> Any:
    with closing(sqlite3.connect(path)) as connection, connection:
        row = connection.execute(statement).fetchone()
    return None if row is None else row[0]


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
    assert [(each.region, each.subjects, each.events) for each in done.regions] == [("eu", 3, 6), ("us", 0, 0)]
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


async def test_who_was_erased_and_came_again_and_chose_comes_back_with_no_backup(tmp_path: Path) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    with opened(path) as estate:
        await estate.send(estate.event(None, "phone"), estate.event("u-2"))
        estate.seal()
        erased = {row["subject"] for row in estate.rows() if row["event_id"] == "m-1"}
        back_up(path, backup, estate.clock)
        estate.finish(estate.ask("erasure", anonymous_id="phone", block="no")["id"])
        assert await estate.send(estate.event(None, "phone")) == ["stored"]
        estate.finish(estate.ask("objection", anonymous_id="phone")["id"])
    report = await asyncio.to_thread(brought_back, path, backup)
    assert [(each.subjects, each.events) for each in report.regions] == [(1, 1), (0, 0)]
    with opened(path) as estate:
        assert [row["event_id"] for row in estate.rows(restricted=False)] == ["m-2"]
        assert estate.bytes_with(*(form for subject in erased for form in forms_of(subject))) == []
        assert await estate.send(estate.event(None, "phone")) == ["withdrawn"]


async def test_a_backup_made_in_the_middle_of_an_erasure_brings_nothing_back(tmp_path: Path) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    with opened(path) as estate:
        await estate.send(estate.event("u-1", "phone"), estate.event("u-2"))
        estate.seal()

        def at_step(step: str) -> None:
            if step == "hidden" and not backup.exists():
                back_up(path, backup, estate.clock)

        done = estate.finish(estate.ask("erasure", user_id="u-1")["id"], at_step=at_step)
        assert done["status"] == "completed"
    report = await asyncio.to_thread(brought_back, path, backup)
    assert [(each.subjects, each.events) for each in report.regions] == [(1, 1), (0, 0)]
    with opened(path) as estate:
        stored = [estate.offices["eu"].lake.read(file, ["event_id"]) for file in estate.offices["eu"].lake.state().files]
        assert [row["event_id"] for tables in stored for table in tables for row in table.to_pylist()] == ["m-2"]
    assert one(path / "eu" / "region.db", "SELECT count(*) FROM tombstone") == 0


async def test_who_was_merged_after_a_backup_into_somebody_it_does_not_know_can_be_erased_for_good(tmp_path: Path) -> None:
    path, first, second = tmp_path / "data", tmp_path / "first", tmp_path / "second"
    with opened(path) as estate:
        await estate.send(estate.event(None, "phone"))
        back_up(path, first, estate.clock)
        await estate.send(estate.event("u-1"), estate.event("u-1", "phone"))
        (into,) = {row["subject"] for row in estate.rows()}
    await asyncio.to_thread(brought_back, path, first)
    shutil.rmtree(tmp_path / "data.before-restore")
    with opened(path) as estate:
        estate.seal()
        assert [row["subject"] for row in estate.rows()] == [into]
        with closing(open_database(path / "eu" / "region.db", "region")) as connection:
            record_members(connection, "buyers", 1, [into], estate.clock.now())
            assert read_members(connection, "buyers") == {into}
        back_up(path, second, estate.clock)
        estate.finish(estate.ask("erasure", anonymous_id="phone")["id"])
        assert estate.rows() == []
    report = await asyncio.to_thread(brought_back, path, second)
    assert [each.events for each in report.regions] == [1, 0]
    with opened(path) as estate:
        assert estate.rows(restricted=False) == []


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


async def test_a_backup_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, place = set(), tmp_path / "backup"

    def note(handle: int) -> None:
        synced.add(Path(f"/proc/self/fd/{handle}").readlink())

    with opened(tmp_path / "data") as estate:
        await estate.send(estate.event("u-1"))
        estate.seal()
        with monkeypatch.context() as watched:
            watched.setattr(os, "fsync", note)
            back_up(tmp_path / "data", place, estate.clock)
    draft = tmp_path / "backup.partial"
    assert synced >= {draft, tmp_path, *(draft / path.relative_to(place) for path in place.rglob("*"))}


async def test_what_a_crash_left_of_an_entry_is_in_no_backup_and_in_no_ones_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may go at the next seal, while the lake's files are copied."""
    path = tmp_path / "data"
    with opened(path) as estate:
        await estate.send(estate.event("u-1"))
        estate.seal()
        draft = path / "eu" / "lake" / "_delta_log" / f"{2:020}.json.0badcafe"
        draft.write_bytes(b"{")
        plainly, sealed = shutil.copy2, []

        def copy(source: Path, target: Path) -> None:
            if source.suffix == ".parquet" and not sealed:
                sealed.append(estate.seal())
            plainly(source, target)

        monkeypatch.setattr("consentryd.storage.backup.shutil.copy2", copy)
        back_up(path, tmp_path / "backup", estate.clock)
        assert sealed
    assert list((tmp_path / "backup").rglob("*.0badcafe")) == []


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


async def test_what_ended_since_the_backup_is_over_and_what_was_applied_since_is_applied_again(tmp_path: Path) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    with opened(path, rights=Rights(grace_s=3600)) as estate:
        await estate.send(*(estate.event(f"u-{number}") for number in range(6)))
        held = [NamedIdentity(IdentityKind.USER_ID, "u-1")]
        estate.desk.hold(held, "case 7", OFFICER)
        asked = [estate.ask(kind, user_id=f"u-{number}")["id"] for kind, number in (("restriction", 2), ("erasure", 3))]
        estate.clock.advance(1)
        one(path / "eu" / "region.db", "UPDATE request SET starts_at = 0 WHERE type = 'restriction'")
        estate.finish(asked[0])
        back_up(path, backup, estate.clock)
        estate.desk.hold(held, "case 7", OFFICER, lift=True)
        estate.desk.cancel(asked[1], OFFICER)
    with opened(path) as estate:
        estate.finish(estate.ask("restriction", user_id="u-2", lift=True)["id"])
        estate.finish(estate.ask("rectification", user_id="u-4", corrections={"plan": "pro"})["id"])
        estate.finish(estate.ask("objection", user_id="u-5", purposes=["analytics"])["id"])
    one(path / "eu" / "region.db", "DELETE FROM withdrawal")  # as when it was swept
    report = await asyncio.to_thread(brought_back, path, backup)
    assert [each.rectifications for each in report.regions] == [1, 1]
    with opened(path) as estate:
        assert estate.desk.holds(OFFICER) == []
        assert {row["event_id"] for row in estate.rows()} == {f"m-{number + 1}" for number in range(5)}
        assert await estate.send(estate.event("u-3", messageId="again")) == ["stored"]


async def test_an_export_that_waited_at_a_restore_is_made_again_and_one_that_was_fetched_is_not(tmp_path: Path) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    with opened(path) as estate:
        await estate.send(estate.event("u-1"), estate.event("u-2"))
        old, fetched = (estate.ask("access", user_id=f"u-{number}")["id"] for number in (1, 2))
        estate.finish(old)
        back_up(path, backup, estate.clock)
        new = estate.ask("portability", user_id="u-1")["id"]
        assert estate.finish(new)["export"]["events"] == 1
        estate.desk.destroy_export(fetched, OFFICER)
    await asyncio.to_thread(brought_back, path, backup)
    with opened(path) as estate:
        assert [estate.desk.get(request, OFFICER)["status"] for request in (old, new, fetched)] == [
            "pending",
            "pending",
            "completed",
        ]
        estate.finish(old)
        for request in (old, new):
            assert estate.desk.get(request, OFFICER)["export"]["events"] == 1
            sink = io.BytesIO()
            estate.desk.write_export(request, sink)
            assert zipfile.ZipFile(sink).read("events.jsonl").count(b"\n") == 1
        assert estate.desk.get(fetched, OFFICER)["export"] is None


@pytest.mark.parametrize("had_events", [True, False])
@pytest.mark.parametrize("granted_since", [True, False])
async def test_what_a_refusal_reached_by_a_merge_since_the_backup_does_not_come_back(
    tmp_path: Path, had_events: bool, granted_since: bool
) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    consent = {"events": {"Tour": "product"}}
    phone, ann = Identity(IdentityKind.ANONYMOUS_ID, "phone"), Identity(IdentityKind.USER_ID, "ann")
    with opened(path, consent=consent) as estate:
        desk, clock = estate.house.proving.desk, estate.clock
        await estate.send(estate.event("ann"), estate.event("bob"), *([estate.event(None, "phone")] if had_events else []))
        clock.advance(1)
        await desk.record("eu", Statement("shop", "visitor", (phone,), {"analytics": ChoiceState.WITHDRAWN}))
        back_up(path, backup, clock)
        clock.advance(1)
        both = {"consent": {"purposes": {"product": True}}}
        assert await estate.send(estate.event("ann", "phone", event="Tour", context=both)) == ["stored"]
        if granted_since:
            clock.advance(1)
            await desk.record("eu", Statement("shop", "server", (ann,), {"analytics": ChoiceState.GRANTED}))
        assert [row["event_id"] for row in estate.rows() if row["purpose"] == "analytics"] == ["m-2"]
    one(path / "eu" / "region.db", "DELETE FROM withdrawal")  # as when it was swept
    await asyncio.to_thread(brought_back, path, backup)
    with opened(path, consent=consent) as estate:
        assert [row["event_id"] for row in estate.rows()] == ["m-2"]
        assert len(estate.rows(restricted=False)) == 2 + had_events


def test_keys_that_were_revoked_stay_so_and_a_rotated_master_opens_the_restored_rings(tmp_path: Path) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    with opened(path) as estate, closing(ControlStore(path / "control.db", estate.clock)) as control:
        leaked, secret = control.create_key(KeyKind.SERVER, "shop", "")
        back_up(path, backup, estate.clock)
        control.revoke(leaked.id)
        _, later = control.create_key(KeyKind.SERVER, "shop", "")
    new = MasterKey.generate()
    rotate_master(path, load_master(None, path, {}), new)
    write_master(path / DEFAULT_FILE, new)
    retire_masters(path, new)
    assert brought_back(path, backup).keys_followed
    with opened(path) as estate, closing(ControlStore(path / "control.db", estate.clock)) as control:
        assert control.lookup(secret) is None
        assert control.lookup(later) is not None


def test_a_restore_waits_for_nobody_to_serve_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    with opened(path) as estate:
        back_up(path, backup, estate.clock)
    with serving(path), serving(path), pytest.raises(ConfigError, match="A gateway serves"):
        brought_back(path, backup)
    older = tmp_path / "older"
    shutil.copytree(path, older)
    with opened(path) as estate:
        estate.desk.hold([NamedIdentity(IdentityKind.USER_ID, "u-1")], "case 7", OFFICER)
        back_up(path, tmp_path / "newer", estate.clock)
    with pytest.raises(ConfigError, match="older than the backup"):
        brought_back(path, tmp_path / "newer", older)
    assert {each.name for each in tmp_path.iterdir()} == {"data", "backup", "older", "newer"}
    brought_back(path, backup)
    with pytest.raises(ConfigError, match="in the way"):
        brought_back(path, backup)
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="Rename it back"):
        place_for_old(path)


def test_two_backups_to_one_folder_are_not_made_at_once(tmp_path: Path) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    refused: list[str] = []

    def meanwhile(_step: str, _done: int, _of: int) -> None:
        with pytest.raises(ConfigError) as error:
            back_up(path, backup, SystemClock())
        refused.append(str(error.value))

    with opened(path) as estate:
        left = tmp_path / "backup.partial"  # by a crash
        (left / "eu").mkdir(parents=True)
        (left / "control.db").write_text("half of it")
        back_up(path, backup, estate.clock, meanwhile)
    assert refused == [f"Another backup to {backup} is being made."] * 2
    check_backup(backup)
    assert {each.name for each in tmp_path.iterdir()} == {"data", "backup"}
    with pytest.raises(ConfigError, match="exists already"):
        back_up(path, backup, SystemClock())


@pytest.mark.parametrize("there", [True, False])
def test_while_a_restore_runs_there_is_no_other_and_nobody_works_on_what_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    path, backup, later = tmp_path / "data", tmp_path / "backup", tmp_path / "later"
    with opened(path) as estate:
        back_up(path, backup, estate.clock)
    master, clock = load_master(None, path, {}), SystemClock()
    shutil.copytree(path, later)
    if not there:
        path.rename(tmp_path / "elsewhere")
    settings = Settings(storage=Storage(data_dir=path))
    met = []

    def meanwhile(*arguments: Any) -> bool:
        for attempt in (lambda: restore(path, backup, master, clock, later), lambda: complete(tmp_path / "new.toml", environ)):
            with pytest.raises(ConfigError) as refused:
                attempt()
            met.append(str(refused.value))
        with pytest.raises(ConfigError, match="A backup is being put"), at_work(settings):
            pass
        return carry_api_keys(*arguments)

    environ = {"CONSENTRY_STORAGE_DATA_DIR": str(path)}
    monkeypatch.setattr("consentryd.storage.restore.carry_api_keys", meanwhile)
    assert (restore(path, backup, master, clock, later).replaced is not None) == there
    assert [each.split()[1] for each in met] == ["gateway", "backup"]
    monkeypatch.undo()
    (path / DEFAULT_FILE).write_text(master.text())
    (path / DEFAULT_FILE).chmod(0o600)
    with opened(path):
        assert (tmp_path / "data.before-restore").exists() == there


def test_a_restore_that_comes_to_nothing_leaves_no_directory_where_none_was(tmp_path: Path) -> None:
    path, backup, later = tmp_path / "data", tmp_path / "backup", tmp_path / "later"
    with opened(path) as estate:
        shutil.copytree(path, later)
        estate.desk.hold([NamedIdentity(IdentityKind.USER_ID, "u-1")], "case 7", OFFICER)
        back_up(path, backup, estate.clock)
    master = load_master(None, path, {})
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="older than the backup"):
        restore(path, backup, master, SystemClock(), later)
    assert {each.name for each in tmp_path.iterdir()} == {"backup", "elsewhere", "later"}


def test_nothing_begins_anew_where_a_restore_was_broken_off(tmp_path: Path) -> None:
    path = tmp_path / "data"
    settings, environ = Settings(storage=Storage(data_dir=path)), {"CONSENTRY_STORAGE_DATA_DIR": str(path)}
    assert complete(tmp_path / "consentry.toml", environ) is not None
    path.rename(tmp_path / "data.before-restore")
    for attempt in (lambda: complete(tmp_path / "consentry.toml", environ), lambda: rewrap(settings, None)):
        with pytest.raises(ConfigError, match="Rename it back"):
            attempt()
    assert not path.exists()
    (tmp_path / "data.before-restore").rename(path)
    assert complete(tmp_path / "consentry.toml", environ) is None


async def test_a_restored_directory_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    with opened(path) as estate:
        await estate.send(estate.event("u-1"))
        estate.seal()
        back_up(path, backup, estate.clock)
    synced: list[tuple[int, int]] = []
    fsync = os.fsync

    def noting(handle: int) -> None:
        fsync(handle)
        if not path.with_name("data.before-restore").exists():
            synced.append((os.fstat(handle).st_dev, os.fstat(handle).st_ino))

    monkeypatch.setattr(os, "fsync", noting)
    brought_back(path, backup)
    assert {(each.stat().st_dev, each.stat().st_ino) for each in (path, *path.rglob("*"))} <= set(synced)


async def test_of_a_damaged_database_there_is_no_backup_and_it_can_be_replaced_by_one(tmp_path: Path) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    with opened(path) as estate:
        await estate.send(*(estate.event(f"u-{number}") for number in range(30)))
        back_up(path, backup, estate.clock)
    damage(path / "eu" / "region.db", "log")
    with pytest.raises(CorruptStore, match=r"eu/region\.db"):
        back_up(path, tmp_path / "spoilt", SystemClock())
    assert {each.name for each in tmp_path.iterdir()} == {"data", "backup"}  # noqa: ASYNC240 -- a test may wait
    await asyncio.to_thread(brought_back, path, backup)
    with opened(path) as estate:
        assert len(estate.rows()) == 30
    shutil.rmtree(tmp_path / "data.before-restore")
    damage(path / "eu" / "region.db", "erased")
    with pytest.raises(ConfigError, match=r"region.db is damaged in what tells.*--since"):
        brought_back(path, backup)
    await asyncio.to_thread(brought_back, path, backup, backup)
    check_backup(backup)


async def test_a_damaged_file_of_the_lake_is_in_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with opened(path) as estate:
        await estate.send(estate.event("u-1"))
        estate.seal()
        (stored,) = (path / "eu").rglob("*.parquet")
        data = bytearray(stored.read_bytes())
        data[len(data) // 2] ^= 1
        stored.write_bytes(data)
        with pytest.raises(CorruptStore, match=stored.name):
            await asyncio.to_thread(back_up, path, tmp_path / "backup", estate.clock)
    with pytest.raises(ConfigError, match="nothing"):
        back_up(tmp_path / "empty", tmp_path / "backup", SystemClock())


async def test_a_log_row_that_is_not_what_was_written_is_in_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with opened(path) as estate:
        await estate.send(estate.event("u-1"))
    with closing(sqlite3.connect(path / "eu" / "region.db")) as connection:
        connection.execute("UPDATE log SET body = substr(body, 1, length(body) - 1)")
        connection.commit()
    with pytest.raises(CorruptStore, match=r"data/eu/region\.db: log row seq 1 is not what was written"):
        back_up(path, tmp_path / "backup", SystemClock())


async def test_a_lake_that_lost_its_end_is_in_no_backup(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with opened(path) as estate:
        await estate.send(estate.event("u-1"))
        estate.seal()
    max((path / "eu" / "lake" / "_delta_log").glob("*.json")).unlink()
    with pytest.raises(CorruptStore, match=r"data/eu/region\.db begins at log row 2, but its lake .* ends at 0"):
        back_up(path, tmp_path / "backup", SystemClock())


@pytest.mark.parametrize("name", ["ring.json", "signing.json"])
async def test_keys_that_cannot_be_read_are_in_no_backup(tmp_path: Path, name: str) -> None:
    path = tmp_path / "data"
    with opened(path) as estate:
        estate.house.stores["eu"].signing.signer()
    (path / "eu" / "keys" / name).write_text("")
    with pytest.raises(ConfigError, match=f"data/eu/keys/{name} cannot be read"):
        back_up(path, tmp_path / "backup", SystemClock())


async def test_a_region_that_the_backup_does_not_know_stays(tmp_path: Path) -> None:
    path, backup = tmp_path / "data", tmp_path / "backup"
    with opened(path, regions={"eu": Region(countries=["*"])}) as estate:
        back_up(path, backup, estate.clock)
    with opened(path) as estate:
        await estate.send(estate.event("u-1"), region="us")
    assert (await asyncio.to_thread(brought_back, path, backup)).kept == ("us",)
    with opened(path) as estate:
        assert len(estate.rows("us")) == 1
