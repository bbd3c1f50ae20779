"""A region whose database is gone is not begun anew by itself: whoever starts or asks is told, and an operator decides."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from shutil import move, rmtree
from typing import Any

import pytest

from consentryd.config.load import load_settings
from consentryd.gateway.compose import open_stores
from consentryd.model.clock import SystemClock
from consentryd.model.error import ConfigError
from consentryd.storage.database import open_database
from consentryd.storage.tenancy import vacated


def start(here: Path, *regions: str) -> None:
    """Open the stores as a gateway does, and close them."""
    for store in open_stores(load_settings(here / "consentry.toml", {}), regions or None, SystemClock()).values():
        store.close()


@pytest.mark.parametrize("lost", ["the folder", "the database", "what is in the folder"])
def test_a_gateway_does_not_begin_a_region_anew_that_was_there(here: Path, installed: Any, lost: str) -> None:
    start(here)
    eu = here / "data" / "eu"
    if lost == "the database":
        (eu / "region.db").unlink()
    else:
        move(eu, here / "elsewhere")
    if lost == "what is in the folder":
        eu.mkdir()
    with pytest.raises(ConfigError, match=r"eu/region\.db is gone; region eu has held data since .* mounted"):
        start(here)
    assert not (eu / "region.db").exists()
    start(here, "us")
    if lost != "the database":
        rmtree(eu, ignore_errors=True)
        move(here / "elsewhere", eu)
        start(here)


def test_commands_say_so_and_the_doctor_too(here: Path, installed: Any, run: Any) -> None:
    start(here)
    rmtree(here / "data" / "eu")
    for command in (["events"], ["seal"], ["privacy", "erase", "--user-id", "u-1"], ["privacy", "requests"]):
        told = run(*command)
        assert (told.code, "region eu has held data since" in told.err) == (1, True), command
    told = run("doctor", "--json")
    assert [row["state"] for row in told.json if row["check"] == "eu database"] == ["fail"]


def test_an_operator_without_a_backup_lets_the_region_begin_anew(here: Path, installed: Any, run: Any) -> None:
    start(here)
    rmtree(here / "data" / "eu")
    told = run("repair", "eu")
    assert (told.code, "Nothing was changed." in told.out) == (0, True)
    with pytest.raises(ConfigError):
        start(here)
    assert run("repair", "eu", "--yes").code == 0
    start(here)
    assert run("events").code == 0
    rmtree(here / "data" / "eu")
    with pytest.raises(ConfigError):
        start(here)


def test_a_region_that_is_new_in_the_settings_begins(here: Path, installed: Any) -> None:
    start(here)
    with (here / "consentry.toml").open("a") as settings:
        settings.write('\n[regions.jp]\ncountries = ["JP"]\n')
    start(here)
    assert (here / "data" / "jp" / "region.db").is_file()


def test_an_installation_of_before_regions_were_noted_starts_and_is_noted_then(here: Path, installed: Any, run: Any) -> None:
    start(here)
    with closing(open_database(here / "data" / "control.db", "control")) as connection:
        connection.execute("DROP TABLE region")
        connection.execute("PRAGMA user_version = 3")
    assert run("events").code == 0
    start(here)
    rmtree(here / "data" / "eu")
    with pytest.raises(ConfigError):
        start(here)


@pytest.mark.parametrize(
    "command",
    [
        "serve --port 0",
        "import consentry.toml",
        "keys create write",
        "keys rotate-master",
        "keys rotate-signing",
        "seal",
        "backup copy",
        "privacy erase --user-id u-1",
        "privacy hold --user-id u-1 --reason case",
        "privacy retention",
    ],
)
def test_no_command_works_on_a_data_directory_that_a_backup_replaces(here: Path, installed: Any, run: Any, command: str) -> None:
    start(here)
    with vacated(here / "data"):
        told = run(*command.split())
    assert (told.code, "A backup is being put in the place of data" in told.err) == (1, True)
