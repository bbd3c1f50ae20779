"""The key ring: made once, opened by its master only, never silently replaced."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from consentryd.model.error import ConfigError
from consentryd.storage.keys import open_region_keys, retire_masters, rotate_master
from consentryd.storage.master import MasterKey, load_master, write_master


def test_keys_are_made_once_and_differ_by_region(tmp_path: Path) -> None:
    master = MasterKey.generate()
    eu = open_region_keys(tmp_path, "eu", master)
    us = open_region_keys(tmp_path, "us", master)
    assert open_region_keys(tmp_path, "eu", master) == eu
    assert len({eu.identity, eu.dedup, eu.property, eu.subject, us.identity, us.dedup, us.property, us.subject}) == 8


def test_no_key_lies_on_disk_in_the_clear(tmp_path: Path) -> None:
    master = MasterKey.generate()
    keys = open_region_keys(tmp_path, "eu", master)
    ring = tmp_path / "eu/keys/ring.json"
    assert stat.S_IMODE(ring.stat().st_mode) == 0o600
    assert not any(form in ring.read_text() for key in (keys.identity, keys.subject) for form in (key.hex(), repr(key)))
    assert keys.identity.hex() not in repr(keys)
    assert repr(keys.identity) not in repr(keys)
    assert master.text() not in repr(master)


def test_another_master_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    open_region_keys(tmp_path, "eu", MasterKey.generate())
    before = (tmp_path / "eu/keys/ring.json").read_bytes()
    with pytest.raises(ConfigError, match="does not open"):
        open_region_keys(tmp_path, "eu", MasterKey.generate())
    assert (tmp_path / "eu/keys/ring.json").read_bytes() == before


def test_a_new_region_is_not_made_under_a_master_that_does_not_open_the_others(tmp_path: Path) -> None:
    open_region_keys(tmp_path, "eu", MasterKey.generate())
    with pytest.raises(ConfigError, match="does not open"):
        open_region_keys(tmp_path, "us", MasterKey.generate())
    assert not (tmp_path / "us/keys/ring.json").exists()


@pytest.mark.parametrize("left", ["region.db", "lake"])
def test_lost_keys_of_a_region_with_data_are_refused(tmp_path: Path, left: str) -> None:
    (tmp_path / "eu").mkdir()
    (tmp_path / "eu" / left).mkdir()
    with pytest.raises(ConfigError, match="Restore them from a backup"):
        open_region_keys(tmp_path, "eu", MasterKey.generate())


def test_a_ring_moved_to_another_region_does_not_open(tmp_path: Path) -> None:
    master = MasterKey.generate()
    open_region_keys(tmp_path, "eu", master)
    (tmp_path / "eu").rename(tmp_path / "us")
    with pytest.raises(ConfigError, match="another region's"):
        open_region_keys(tmp_path, "us", master)


@pytest.mark.parametrize("text", ["", "{}", '{"version": 2, "wraps": {}}', "[1]", '{"version": 1, "wraps": 3}'])
def test_a_damaged_ring_is_refused(tmp_path: Path, text: str) -> None:
    master = MasterKey.generate()
    open_region_keys(tmp_path, "eu", master)
    (tmp_path / "eu/keys/ring.json").write_text(text)
    with pytest.raises(ConfigError):
        open_region_keys(tmp_path, "eu", master)


def test_a_changed_byte_in_a_wrapped_key_is_refused(tmp_path: Path) -> None:
    master = MasterKey.generate()
    open_region_keys(tmp_path, "eu", master)
    ring = tmp_path / "eu/keys/ring.json"
    document = json.loads(ring.read_text())
    wrapped = document["wraps"][master.id]["dedup"]
    document["wraps"][master.id]["dedup"] = ("A" if wrapped[0] != "A" else "B") + wrapped[1:]
    ring.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match="damaged"):
        open_region_keys(tmp_path, "eu", master)


def test_the_master_rotates_without_touching_the_keys(tmp_path: Path) -> None:
    old, new = MasterKey.generate(), MasterKey.generate()
    eu, us = open_region_keys(tmp_path, "eu", old), open_region_keys(tmp_path, "us", old)
    assert rotate_master(tmp_path, old, new) == ["eu", "us"]
    assert open_region_keys(tmp_path, "eu", old) == open_region_keys(tmp_path, "eu", new) == eu
    rotate_master(tmp_path, old, new)
    retire_masters(tmp_path, new)
    assert open_region_keys(tmp_path, "us", new) == us
    with pytest.raises(ConfigError):
        open_region_keys(tmp_path, "eu", old)


def test_retiring_refuses_a_master_that_does_not_open_every_ring(tmp_path: Path) -> None:
    old = MasterKey.generate()
    keys = open_region_keys(tmp_path, "eu", old)
    with pytest.raises(ConfigError):
        retire_masters(tmp_path, MasterKey.generate())
    assert open_region_keys(tmp_path, "eu", old) == keys


def test_the_default_master_file_is_made_once_and_private(tmp_path: Path) -> None:
    master = load_master(None, tmp_path, {})
    assert load_master(None, tmp_path, {}) == master
    assert stat.S_IMODE((tmp_path / "master.key").stat().st_mode) == 0o600


def test_the_default_master_file_is_not_made_again_once_a_region_has_keys(tmp_path: Path) -> None:
    open_region_keys(tmp_path, "eu", load_master(None, tmp_path, {}))
    (tmp_path / "master.key").unlink()
    with pytest.raises(ConfigError, match="Restore the file"):
        load_master(None, tmp_path, {})
    assert not (tmp_path / "master.key").exists()


def test_the_master_comes_from_a_file_the_environment_or_a_command(tmp_path: Path) -> None:
    master = MasterKey.generate()
    write_master(tmp_path / "k", master)
    assert load_master("file:k", tmp_path, {}) == master
    assert load_master("env:THE_KEY", tmp_path, {"THE_KEY": master.secret.hex()}) == master
    assert load_master(f"command:cat '{tmp_path / 'k'}'", tmp_path, {}) == master


@pytest.mark.parametrize(
    "spec",
    [
        "file:missing",
        "env:MISSING",
        "env:SHORT",
        "command:false",
        "command:/no/such/program",
        "command:'",
        "vault",
        "file:",
        "env:",
        "env:BAD",
    ],
)
def test_a_master_that_cannot_be_had_is_a_refusal_that_tells_nothing(tmp_path: Path, spec: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_master(spec, tmp_path, {"SHORT": "c2hvcnQ=", "BAD": "ÄÄnot a key"})
    assert "c2hvcnQ" not in str(caught.value)
    assert "not a key" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("file:missing", "does not exist"),
        ("command:false", "false, failed with exit code 1"),
        ("command:/no/such/program", "is not found: /no/such/program"),
        ("command:'", "quotation mark"),
    ],
)
def test_what_is_wrong_with_a_source_is_told(tmp_path: Path, spec: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_master(spec, tmp_path, {})


def test_a_master_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    write_master(tmp_path / "k", MasterKey.generate())
    (tmp_path / "k").chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        load_master("file:k", tmp_path, {})
