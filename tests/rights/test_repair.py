"""A database that lost its end, and that no backup is of: a gateway starts over it again, and nobody is left whom no request would find."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from consentryd.gateway.cli.app import main
from consentryd.model.clock import SystemClock
from consentryd.model.error import ConfigError, CorruptStore
from consentryd.storage import repair
from consentryd.storage.delta import DeltaLake
from consentryd.storage.ledger import Ledger, verify_ledger
from consentryd.storage.reader import verify
from consentryd.storage.signing import path_of, public_keys
from consentryd.storage.tenancy import serving
from tests.rights.estate import opened


def copy_of(path: Path) -> bytes:
    with closing(sqlite3.connect(path)) as connection:
        return connection.serialize()


async def lost(root: Path) -> None:
    """Of `old` the index knows; `new` came in what was lost, as did an event of `old`'s. All is sealed."""
    database = root / "eu" / "region.db"
    with opened(root) as estate:
        await estate.send(estate.event("old"), estate.event("gone"))
        estate.seal()
        await estate.send(estate.event("old"))  # still in the log of the copy, then in the lake
        before = copy_of(database)
        estate.finish(estate.ask("erasure", user_id="gone")["id"])
        await estate.send(estate.event("old"), estate.event("new"), estate.event(None, "device"), estate.event("new"))
        estate.seal()
    for path in database.parent.glob("region.db*"):
        path.unlink()
    database.write_bytes(before)


async def test_what_lost_its_end_can_go_on(tmp_path: Path) -> None:
    root = tmp_path / "data"
    await lost(root)
    with pytest.raises(CorruptStore, match="consentry repair eu"), opened(root):
        pass
    told = repair.assess(root, "eu")
    assert (told.subjects, told.events) == (2, 3)
    assert told.last < told.sealed
    with pytest.raises(CorruptStore), opened(root):
        pass
    loss, evidence = repair.repair(root, "eu", SystemClock())
    assert loss == told
    assert (evidence / "region.db").exists()
    with opened(root) as estate:
        assert [row["event_id"] for row in estate.rows()] == ["m-1", "m-3", "m-4"]
        assert await estate.send(estate.event("old", messageId="n-1"), estate.event("new", messageId="n-2")) == ["stored"] * 2
        assert len(estate.rows()) == 5
        estate.seal()
        assert len(estate.rows()) == 5
        estate.finish(estate.ask("erasure", user_id="old")["id"])
        assert [row["event_id"] for row in estate.rows()] == ["n-2"]
    verify(root / "eu", DeltaLake(root / "eu"), deep=True)
    keys = [key.verifier for key in public_keys(path_of(root, "eu"))]
    with closing(sqlite3.connect(root / "eu" / "region.db")) as connection:
        body = json.loads(connection.execute("SELECT body FROM ledger WHERE kind = 'repaired'").fetchone()[0])
        assert verify_ledger(Ledger(connection), keys) is None
    assert body["log_rows_lost"] == told.sealed - told.last
    assert (body["subjects_taken_out"], body["events_taken_out"]) == (2, 3)


async def test_a_repair_that_was_broken_off_is_done_again_and_keeps_the_first_evidence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "data"
    await lost(root)
    before = (root / "eu" / "region.db").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(repair, "_go_on", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            repair.repair(root, "eu", SystemClock())
    with pytest.raises(CorruptStore), opened(root):
        pass
    _, evidence = repair.repair(root, "eu", SystemClock())
    assert (evidence / "region.db").read_bytes() == before
    with opened(root) as estate:
        assert len(estate.rows()) == 3


async def test_nothing_is_repaired_that_is_whole_or_served_or_damaged_otherwise(tmp_path: Path) -> None:
    root = tmp_path / "data"
    await lost(root)
    with serving(root), pytest.raises(ConfigError, match="Stop that first"):
        repair.repair(root, "eu", SystemClock())
    whole = tmp_path / "whole"
    shutil.copytree(root, whole)
    repair.repair(whole, "eu", SystemClock())
    with pytest.raises(ConfigError, match="nothing was changed"):
        repair.repair(whole, "eu", SystemClock())
    next((root / "eu" / "lake").glob("month=*/bucket=*/*.parquet")).unlink()
    with pytest.raises(CorruptStore):
        repair.repair(root, "eu", SystemClock())
    assert not (tmp_path / "data.before-repair").exists()


async def test_the_command_says_what_is_lost_and_does_nothing_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await lost(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CONSENTRY_STORAGE_DATA_DIR", str(tmp_path / "data"))
    settings = tmp_path / "consentry.toml"
    settings.touch()
    before = (tmp_path / "data" / "eu" / "region.db").read_bytes()
    assert main(["repair", "eu"]) == 0
    told = capsys.readouterr()
    assert "3 events in the lake of 2 people" in told.out
    assert "--yes" in told.out
    assert "not in force" in told.err
    assert (tmp_path / "data" / "eu" / "region.db").read_bytes() == before
    assert main(["repair", "eu", "--yes", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["repaired"] is True
    assert main(["repair", "us"]) == 1
    assert main(["repair", "mars"]) == 1
