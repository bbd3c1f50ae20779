"""`consentry init`: what it makes, what it shows, what it refuses."""

import hashlib
import re
import sqlite3
import stat

KINDS = ("write", "server", "privacy", "read")


def test_init_makes_settings_data_and_four_keys(run, here):
    told = run("init")
    assert told.code == 0
    assert (here / "consentry.toml").is_file()
    assert stat.S_IMODE((here / "data").stat().st_mode) == 0o700
    shown = re.findall(r"csy_(\w+?)_[\w-]{43}\b", told.out)
    assert shown == list(KINDS)


def test_with_json_it_prints_exactly_the_four_keys(run):
    keys = run("init", "sub", "--json").json
    assert list(keys) == [f"{kind}_key" for kind in KINDS]
    assert all(re.fullmatch(rf"csy_{kind}_[\w-]{{43}}", keys[f"{kind}_key"]) for kind in KINDS)


def test_keys_are_stored_as_their_hash_only(run, here):
    secrets = run("init", "--json").json.values()
    with sqlite3.connect(here / "data" / "control.db") as connection:
        stored = {row[0] for row in connection.execute("SELECT hash FROM api_key")}
    connection.close()
    assert stored == {hashlib.sha256(secret.encode()).digest() for secret in secrets}
    for path in here.rglob("*"):
        if path.is_file():
            assert not any(secret.encode() in path.read_bytes() for secret in secrets)


def test_it_refuses_to_overwrite_and_says_what_exists(run, here, installed):
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    told = run("init")
    assert (told.code, told.out) == (1, "")
    assert "consentry.toml exists already" in told.err
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before
    (here / "consentry.toml").unlink()
    assert "data/control.db exists already" in run("init").err
    assert not (here / "consentry.toml").exists()


def test_it_follows_the_environment(run, here, monkeypatch):
    monkeypatch.setenv("CONSENTRY_STORAGE_DATA_DIR", "elsewhere")
    assert run("init").code == 0
    assert (here / "elsewhere" / "control.db").is_file()
    assert not (here / "data").exists()


def test_a_directory_that_cannot_be_made_is_one_line(run, here):
    (here / "file").write_text("x")
    told = run("init", "file")
    assert told.code == 1
    assert len(told.err.splitlines()) == 1
