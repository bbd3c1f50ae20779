"""`consentry keys`: made, listed, revoked."""

import pytest

from consentryd.config.load import load_settings
from consentryd.model.clock import SystemClock
from consentryd.storage.control import ControlStore


@pytest.fixture
def knows(here):
    def _knows(secret):
        store = ControlStore(load_settings(here / "consentry.toml", {}).storage.data_dir / "control.db", SystemClock())
        try:
            return store.lookup(secret)
        finally:
            store.close()

    return _knows


def test_a_key_is_made_shown_once_and_listed_without_its_secret(run, installed, knows):
    options = ["--site", "shop", "--name", "web", "--region", "eu", "--origin", "https://Shop.example/", "--json"]
    made = run("keys", "create", "write", *options).json
    key = knows(made["secret"])
    assert (key.site, key.name, key.region, key.origins) == ("shop", "web", "eu", ("https://shop.example",))
    listed = run("keys", "list")
    assert made["id"] in listed.out
    assert made["secret"] not in listed.out
    assert [row["id"] for row in run("keys", "list", "--site", "shop", "--json").json] == [made["id"]]
    assert len(run("keys", "list", "--json").json) == 5


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://shop.example:443", "https://shop.example"),
        ("HTTP://Shop.example:80/", "http://shop.example"),
        ("https://shop.example:80", "https://shop.example:80"),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://Bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(run, installed, written, sent):
    assert run("keys", "create", "write", "--origin", written, "--json").json["origins"] == [sent]


def test_a_read_key_may_be_made_that_shows_no_small_group(run, installed, knows):
    made = run("keys", "create", "read", "--min-group-size", "5", "--json").json
    assert made["min_group_size"] == knows(made["secret"]).min_group_size == 5
    refused = run("keys", "create", "write", "--min-group-size", "5")
    assert (refused.code, refused.out) == (1, "")
    assert "read keys" in refused.err


def test_the_secret_stands_alone_on_the_last_line(run, installed, knows):
    assert knows(run("keys", "create", "server").out.splitlines()[-1]).kind == "server"


def test_a_key_taken_for_its_id_is_not_repeated_and_its_id_told(run, installed):
    secret = installed["write_key"]
    told = run("keys", "revoke", secret)
    assert told.code == 1
    assert secret not in told.err + told.out
    key_id = next(key["id"] for key in run("keys", "list", "--json").json if key["kind"] == "write")
    assert f"`consentry keys revoke {key_id}`" in told.err
    assert all(key["revoked_at"] is None for key in run("keys", "list", "--json").json)


def test_a_revoked_key_is_refused_and_stays_listed(run, installed, knows):
    made = run("keys", "create", "read", "--json").json
    assert knows(made["secret"]) is not None
    assert run("keys", "revoke", made["id"], "--json").json["revoked_at"] is not None
    assert knows(made["secret"]) is None
    assert run("keys", "list", "--json").json[-1]["revoked_at"] is not None


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["create", "admin"], 2, "'admin' is not one of"),
        (["create"], 2, "Missing argument"),
        (["create", "write", "--region", "mars"], 1, "There is no region mars; the regions are eu, us."),
        (["create", "write", "--origin", "shop.example"], 1, "is not an origin"),
        (["create", "write", "--origin", "https://shop.example/path"], 1, "is not an origin"),
        (["create", "write", "--origin", "https://*.shop.example"], 1, "is not an origin"),
        (["create", "write", "--origin", "https://shop.example:99999"], 1, "is not an origin"),
        (["create", "write", "--site", "My Shop"], 1, "is not a site name"),
        (["revoke", "key_x"], 1, "There is no key with this id. `consentry keys list` shows them."),
        (["revoke", "csy_write_mistyped"], 1, "is no valid one. `consentry keys list` shows the ids."),
        (["nonsense"], 2, "No such command"),
        ([], 2, "Missing command"),
    ],
)
def test_a_mistake_is_one_line_and_an_exit_code(run, installed, arguments, code, says):
    told = run("keys", *arguments)
    assert (told.code, told.out) == (code, "")
    assert says in told.err
    assert len(told.err.splitlines()) == 1


def test_without_an_installation_it_says_what_to_do(run):
    told = run("keys", "list")
    assert told.code == 1
    assert "`consentry init`" in told.err
