"""The keys: what is stored, who is let in, and how fast a revocation travels."""

import sqlite3

import pytest

from consentryd.model.clock import ManualClock
from consentryd.model.error import ConfigError, NotFound, Unavailable
from consentryd.model.key import KeyKind
from consentryd.storage.control import CHECK_INTERVAL_S, ControlStore

NOW = 1_700_000_000_000_000


class Ticks:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def ticks():
    return Ticks()


@pytest.fixture
def open_store(tmp_path, ticks):
    stores = []

    def _open():
        store = ControlStore(tmp_path / "control.db", ManualClock(NOW), monotonic=ticks)
        stores.append(store)
        return store

    yield _open
    for store in stores:
        store.close()


def test_a_key_is_found_by_its_secret_and_by_nothing_else(open_store):
    store = open_store()
    key, secret = store.create_key(KeyKind.WRITE, "shop", "web", "eu", ["https://shop.example"])
    assert secret.startswith("csy_write_")
    assert len(secret) == len("csy_write_") + 43
    assert store.lookup(secret) == key == store.lookup(secret)
    assert (key.site, key.region, key.origins, key.created_at) == ("shop", "eu", ("https://shop.example",), NOW)
    for wrong in ("", secret[:-1], secret + "a", key.id, secret.upper(), "\ud800"):
        assert store.lookup(wrong) is None


def test_a_read_key_keeps_its_group_size_over_a_restart(open_store):
    key, secret = open_store().create_key(KeyKind.READ, "shop", "shared link", min_group_size=5)
    again = open_store()
    assert again.lookup(secret) == key == again.keys()[0]
    assert again.lookup(secret).min_group_size == 5
    assert again.create_key(KeyKind.READ, "shop", "analyst")[0].min_group_size == 0


def test_no_secret_stands_in_any_file(open_store, tmp_path):
    secrets = [open_store().create_key(kind, "shop", "x")[1] for kind in KeyKind]
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"key_" in stored
    for secret in secrets:
        assert secret[-20:].encode() not in stored


def test_keys_survive_a_restart_in_the_order_they_were_made(open_store):
    store = open_store()
    made = [store.create_key(kind, "shop", kind.value) for kind in KeyKind]
    store.revoke(made[0][0].id)
    again = open_store()
    kept = again.keys()
    assert [key.id for key in kept] == [key.id for key, _ in made]
    assert again.lookup(made[0][1]) is None
    assert again.lookup(made[1][1]) == made[1][0]


def test_a_revocation_holds_here_at_once_and_in_another_worker_within_a_second(open_store, ticks):
    one, two = open_store(), open_store()
    key, secret = one.create_key(KeyKind.SERVER, "shop", "backend")
    ticks.seconds += CHECK_INTERVAL_S
    assert two.lookup(secret) == key
    assert one.revoke(key.id).revoked_at == NOW
    assert one.lookup(secret) is None
    ticks.seconds += CHECK_INTERVAL_S
    assert two.lookup(secret) is None
    assert CHECK_INTERVAL_S < 1


def test_while_revocations_cannot_be_read_nobody_is_let_in_and_each_look_tells_why_once(open_store, ticks, tmp_path):
    store = open_store()
    key, secret = store.create_key(KeyKind.SERVER, "shop", "backend")
    other = sqlite3.connect(tmp_path / "control.db", isolation_level=None)
    other.execute("ALTER TABLE api_key RENAME TO lost")
    ticks.seconds += CHECK_INTERVAL_S
    for cause in (sqlite3.OperationalError, None.__class__, None.__class__):
        with pytest.raises(Unavailable) as told:
            store.lookup(secret)
        assert isinstance(told.value.__cause__, cause)
    ticks.seconds += CHECK_INTERVAL_S
    with pytest.raises(Unavailable) as told:
        store.lookup(secret)
    assert isinstance(told.value.__cause__, sqlite3.OperationalError)
    other.execute("ALTER TABLE lost RENAME TO api_key")
    other.close()
    ticks.seconds += CHECK_INTERVAL_S
    assert store.lookup(secret) == key


def test_a_second_revocation_keeps_the_first_time(tmp_path):
    clock = ManualClock(NOW)
    store = ControlStore(tmp_path / "control.db", clock)
    key, _ = store.create_key(KeyKind.READ, "shop", "report")
    store.revoke(key.id)
    clock.advance(5)
    assert store.revoke(key.id).revoked_at == NOW
    store.close()


def test_an_unknown_id_cannot_be_revoked(open_store):
    with pytest.raises(NotFound):
        open_store().revoke("key_000000000000")


@pytest.mark.parametrize("site", ["", "Shop", "a b", "../x", "x" * 64, "-x"])
def test_a_site_name_is_plain(open_store, site):
    with pytest.raises(ConfigError):
        open_store().create_key(KeyKind.WRITE, site, "web")
