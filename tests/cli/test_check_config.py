"""`consentry check-config`: mistakes are told, differences are shown."""

import pytest


def test_a_fresh_file_is_valid_and_all_default(run, installed):
    told = run("check-config")
    assert told.code == 0
    assert "All settings have their defaults." in told.out


def test_what_differs_is_shown_with_its_value(run, here, installed, monkeypatch):
    monkeypatch.setenv("CONSENTRY_SERVER_PORT", "9001")
    told = run("check-config")
    assert "server.port" in told.out
    assert "9001" in told.out
    assert "server.host" not in told.out
    assert run("check-config", "--json").json["server"]["port"] == 9001


def test_every_mistake_is_a_line(run, here):
    (here / "consentry.toml").write_text("[server]\nprot = 1\nport = 'S3CRET'\n")
    told = run("check-config")
    assert told.code == 1
    assert told.err.splitlines() == [
        "consentry.toml: server.port: allowed is whole number, at least 0, at most 65535",
        "consentry.toml: unknown setting server.prot. Did you mean server.port?",
    ]


def test_a_file_that_is_named_must_exist(run, here):
    (here / "plan.json").write_text("{}")
    (here / "c.toml").write_text('[site]\ntracking_plan = "plan.json"\n[privacy]\ncountry_database = "none.mmdb"\n')
    told = run("check-config", "--config", "c.toml")
    assert told.code == 1
    assert told.err.splitlines() == ["privacy.country_database: none.mmdb does not exist"]


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ('[site]\ntracking_plan = "bad.json"\n', "bad.json"),
        ('[privacy]\ncountry_database = "bad.json"\n', "bad.json"),
    ],
)
def test_a_file_that_holds_something_else_is_told(run, here, settings, says):
    (here / "bad.json").write_text("[1]")
    (here / "consentry.toml").write_text(settings)
    told = run("check-config")
    assert told.code == 1
    assert says in told.err
