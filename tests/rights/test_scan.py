"""An erasure is certified once a search found nothing of the person, and not before."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from consentryd.config.settings import Rights
from consentryd.rights import erasure
from tests.rights.estate import OFFICER, Estate, opened

USER = "quagga-user-81f2c4"


async def fill(estate: Estate) -> int:
    """Somebody among others in the lake, the log and the index; their number."""
    await estate.send(*(estate.event(f"other-{number}") for number in range(40)), estate.event(USER, messageId="own"))
    estate.seal()
    await estate.send(estate.event(USER), estate.event("other-1"))
    return int(next(row["subject"] for row in estate.rows() if row["event_id"] == "own"))


def facts_of(told: dict[str, Any]) -> dict[str, Any]:
    facts: dict[str, Any] = next(each["erasure"] for each in told["certificates"] if each["erasure"]["region"] == "eu")
    return facts


@pytest.mark.parametrize("place", ["data/eu/left", "data/eu/exports/deep/left", "data/left", "logs/left"])
async def test_as_long_as_a_file_holds_the_persons_number_nothing_is_certified(tmp_path: Path, place: str) -> None:
    left, logs = tmp_path / place, tmp_path / "logs"
    logs.mkdir()
    with opened(tmp_path / "data", rights=Rights(scan_dir=logs)) as estate:
        subject = await fill(estate)
        left.parent.mkdir(parents=True, exist_ok=True)
        left.write_text(f"somebody wrote {subject} down")
        request = estate.ask("erasure", user_id=USER)["id"]
        problems = estate.runner().run()
        assert problems["eu"].startswith("after an erasure the person's number is still in ")
        assert problems["eu"].endswith("left")
        told = estate.desk.get(request, OFFICER)
        assert (told["status"], told["regions"]["eu"]["result"]) == ("in_progress", {"waiting_for": problems["eu"]})
        left.unlink()
        assert facts_of(estate.finish(request))["scan"]["found"] == 0


@pytest.mark.parametrize("scan_events", [0, 1_000])
async def test_rows_that_stayed_in_the_lake_are_found_in_a_small_one_and_in_a_large_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scan_events: int
) -> None:
    with opened(tmp_path / "data", rights=Rights(scan_events=scan_events)) as estate:
        await fill(estate)
        request = estate.ask("erasure", user_id=USER)["id"]
        with monkeypatch.context() as patch:
            patch.setattr(erasure, "rewrite_without", lambda *_: None)
            (problem,) = estate.runner().run().values()
        assert re.search(r"still in lake/[^ ,]*\.parquet", problem)
        assert estate.desk.get(request, OFFICER)["status"] == "in_progress"


@pytest.mark.parametrize(("scan_events", "columns"), [(0, "subject"), (1_000, "all")])
async def test_what_was_searched_and_where_the_identifier_stands_in_others_data_is_told(
    tmp_path: Path, scan_events: int, columns: str
) -> None:
    logs = tmp_path / "logs"
    logs.mkdir()
    with opened(tmp_path / "data", rights=Rights(scan_events=scan_events, scan_dir=logs)) as estate:
        await fill(estate)
        await estate.send(estate.event("other-1", event=f"About {USER}"))
        estate.seal()
        (logs / "proxy.log").write_text(f"GET /{USER}")
        scan = facts_of(estate.finish(estate.ask("erasure", user_id=USER)["id"]))["scan"]
        assert (scan["lake_columns_decoded"], scan["found"]) == (columns, 0)
        others = [] if columns == "subject" else [name for name in scan["mentions"] if name.startswith("lake/")]
        assert scan["mentions"] == [*others, "proxy.log"]
        assert len(others) == (columns == "all")


async def test_a_row_with_the_persons_number_that_stays_in_the_database_is_found(estate: Estate) -> None:
    subject = await fill(estate)
    request = estate.ask("erasure", user_id=USER)["id"]
    with closing(sqlite3.connect(estate.path / "eu" / "region.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE left_over (who INTEGER, what TEXT)")
        connection.execute("INSERT INTO left_over VALUES (?, 'x')", (subject,))
        assert "still in region.db" in estate.runner().run()["eu"]
        connection.execute("DROP TABLE left_over")
    assert facts_of(estate.finish(request))["scan"]["found"] == 0


async def test_what_sqlite_left_in_a_free_page_is_written_over(estate: Estate) -> None:
    subject = await fill(estate)
    path = estate.path / "eu" / "region.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("CREATE TABLE left_over (text TEXT)")
        connection.execute("INSERT INTO left_over VALUES (?)", (f"{subject} " * 2_000,))
        connection.execute("DROP TABLE left_over")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert str(subject).encode() in path.read_bytes()
    assert estate.finish(estate.ask("erasure", user_id=USER)["id"])["status"] == "completed"
    assert estate.bytes_with(str(subject).encode()) == []


async def test_more_people_than_go_together_are_erased_at_once_each_with_a_certificate(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "GROUP", 2)
    await estate.send(*(estate.event(f"u-{number}") for number in range(7)))
    asked = [estate.ask("erasure", user_id=f"u-{number}")["id"] for number in range(5)]
    estate.finish(asked[0])
    told = [estate.desk.get(request, OFFICER) for request in asked]
    assert [facts_of(each)["stores"]["events"]["before"] for each in told] == [1] * 5
    assert [row["event_id"] for row in estate.rows()] == ["m-6", "m-7"]
