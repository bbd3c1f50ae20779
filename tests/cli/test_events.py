"""`consentry events`, `seal` and `doctor` on an installation that holds events."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from shutil import rmtree
from types import SimpleNamespace

import pytest

import consentryd
from consentryd.config.settings import Settings, Storage
from consentryd.gateway.cli import doctor, events
from consentryd.gateway.cli.events import FOLLOWED
from consentryd.gateway.compose import open_stores
from consentryd.model.clock import DAY, HOUR, SystemClock
from consentryd.model.error import ConfigError
from consentryd.model.outcome import Outcome, Reason
from consentryd.storage import rejected
from consentryd.storage.database import open_database
from consentryd.storage.delta import DeltaLake
from consentryd.storage.keys import open_region_keys
from consentryd.storage.ledger import EntryKind, Ledger
from consentryd.storage.master import load_master
from consentryd.storage.rejected import Letter
from tests.storage.rows import append_rows, event

NOW = SystemClock().now()
COLUMNS = ["received_at", "region", "site", "lane", "event", "country", "device", "page", "properties"]
ROOT = Path(consentryd.__file__).parent.parent


@pytest.fixture
def store(here, installed):
    """Append events to a region's log, and dead letters to its table."""

    def _store(region, rows=(), letters=()):
        data = here / "data"
        open_region_keys(data, region, load_master(None, data, {}))
        folder = data / region
        with closing(open_database(folder / "region.db", "region")) as connection:
            append_rows(connection, rows, at=NOW)
            rejected.write(connection, letters)

    return _store


def rows(count, **values):
    return [event(number, received_at=NOW - DAY + number, **values) for number in range(count)]


def test_the_newest_of_all_regions_come_last(run, store):
    store("eu", rows(5, site="shop"))
    store("us", [event(9, received_at=NOW, site="blog")])
    told = run("events", "--last", "3", "--json").json
    assert [(row["region"], row["event_id"]) for row in told] == [("eu", "e-0-3"), ("eu", "e-0-4"), ("us", "e-0-9")]
    assert [row["site"] for row in run("events", "--site", "blog", "--json").json] == ["blog"]


def test_of_events_that_came_together_the_last_to_happen_are_the_newest(run, store):
    store("eu", [event(number, received_at=NOW, time=NOW - number) for number in range(5)])
    told = run("events", "--last", "2", "--json").json
    assert [row["event_id"] for row in told] == ["e-0-1", "e-0-0"]


def test_json_has_values_and_not_texts_of_values(run, store):
    store("eu", [event(7, received_at=NOW, revenue="12.5000")])
    (row,) = run("events", "--json").json
    assert row["properties"]["sku"].startswith("SKU-")
    assert row["revenue"] == "12.5000"
    assert "title" not in row


def test_people_see_a_table(run, store):
    store("eu", rows(2))
    told = run("events")
    assert told.out.splitlines()[0].split() == COLUMNS
    assert len(told.out.splitlines()) == 3


def test_texts_are_shown_as_they_are(run, store):
    store("eu", [event(1, received_at=NOW, properties='{"mail":"[email]","odd":"[/b] :tea: [bold]"}')])
    assert '{"mail":"[email]","odd":"[/b] :tea: [bold]"}' in run("events").out


def test_a_narrow_terminal_gets_a_line_for_each_with_all_there_is(run, store, monkeypatch):
    store("eu", rows(2, host="shop.example"))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    told = run("events").out.splitlines()
    assert len(told) == 2
    assert all("  eu  shop  consented  " in line and "shop.example/p/" in line and '"sku":"SKU-' in line for line in told)
    monkeypatch.setenv("COLUMNS", "180")
    assert "received_at" in run("events").out


def test_long_ones_take_no_room_from_what_matters(run, store):
    letter = Letter("shop", NOW, Outcome.DROPPED, Reason.NO_CONSENT, json.dumps({f"k{n}": "number" for n in range(100)}))
    store("eu", letters=[letter])
    head, told = run("events", "--rejected").out.splitlines()
    assert head.split() == ["received_at", "region", "site", "outcome", "reason", "event"]
    assert told.split()[2:6] == ["eu", "shop", "dropped", "no_consent"]
    assert told.rstrip().endswith("…")


def test_events_look_the_same_after_they_were_sealed(run, store):
    store("eu", rows(20))
    before = run("events", "--json").json
    assert run("seal", "--json").json[0]["events"] == 20
    assert run("events", "--json").json == before


def test_rejected_shows_what_was_refused_and_why(run, store):
    letter = Letter("shop", NOW, Outcome.DROPPED, Reason.NO_CONSENT, '{"event":"cart_viewed"}')
    store("eu", letters=[letter, letter._replace(site="blog", reason=Reason.BOT)])
    told = run("events", "--rejected", "--json").json
    assert [(row["site"], row["reason"], row["event"]) for row in told] == [
        ("shop", "no_consent", {"event": "cart_viewed"}),
        ("blog", "bot", {"event": "cart_viewed"}),
    ]
    assert "no_consent" in run("events", "--rejected", "--site", "shop").out
    assert "bot" not in run("events", "--rejected", "--site", "shop").out


def test_the_last_to_be_dropped_is_shown_although_only_its_hour_is_kept(run, store):
    letters = [Letter("shop", NOW + number, Outcome.REJECTED, Reason.INVALID_ID, "{}") for number in range(5)]
    dropped = Letter("shop", NOW // HOUR * HOUR, Outcome.DROPPED, Reason.BOT, "{}")
    store("eu", letters=letters)
    store("us", letters=[*letters, dropped])
    told = run("events", "--rejected", "--last", "3", "--json").json
    assert [row["reason"] for row in told] == ["bot", "invalid_id", "invalid_id"]


@contextmanager
def following(here, *options):
    """Reads one more JSON line from `consentry events --follow` at each call. Leaving is Ctrl-C and expects nothing unread."""
    command = [sys.executable, "-u", "-m", "consentryd", "events", "--follow", "--json", *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # tests that run in the background of a script have the signal ignored, and so would their children
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=here,
        env=environment,
        preexec_fn=heeding,  # noqa: PLW1509 - it takes no lock
    ) as child:
        watchdog = threading.Timer(60, child.kill)
        watchdog.start()
        yield lambda: json.loads(child.stdout.readline())
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read()
        watchdog.cancel()
    assert (rest, child.returncode) == ("", 130)


def test_follow_shows_each_new_event_once(here, store):
    store("eu", rows(1))
    with following(here) as read:
        assert read()["event_id"] == "e-0-0"
        for number in (5, 6):
            store("eu", [event(number, received_at=NOW)])
            assert read()["event_id"] == f"e-0-{number}"


def test_follow_shows_refusals_that_look_alike_one_by_one(here, store):
    letter = Letter("shop", NOW, Outcome.DROPPED, Reason.BOT, "{}")
    store("eu", letters=[letter])
    with following(here, "--rejected") as read:
        assert read()["reason"] == "bot"
        store("eu", letters=[letter])
        assert read()["reason"] == "bot"
        store("eu", letters=[letter._replace(site="blog")])
        assert read()["site"] == "blog"


def test_follow_says_where_it_may_not_show_all(run, store, monkeypatch):
    stored = iter([lambda: store("eu", rows(FOLLOWED)), lambda: store("us", [event(0, received_at=NOW)])])

    def sleep(_):
        step = next(stored, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr(events, "time", SimpleNamespace(sleep=sleep))
    told = run("events", "--follow", "--json")
    assert len(told.out.splitlines()) == FOLLOWED + 1
    assert told.err.splitlines() == ["Perhaps more came since the last look than are shown."]


def test_seal_moves_the_log_into_the_lake(run, store):
    store("eu", rows(20))
    store("us", rows(3))
    assert [row["events"] for row in run("seal", "--region", "eu", "--json").json] == [20]
    assert [row["events"] for row in run("seal", "--json").json] == [0, 3]
    assert run("seal", "--region", "mars").code == 1


def test_a_site_that_there_is_not_is_told_from_one_without_events(run, installed):
    assert run("events", "--site", "shpo").out == "Nothing is stored of site `shpo`. The sites with keys are default.\n"
    assert run("events", "--site", "shpo", "--rejected").out.startswith("Nothing was refused of site `shpo`.")
    assert run("events", "--site", "default").out.startswith("Nothing of site `default` is stored yet.")
    assert run("events").out.startswith("Nothing is stored yet.")


def test_a_look_says_what_it_looked_at(run, here, store):
    store("eu", rows(20))
    run("seal")
    path = next((here / "data" / "eu" / "lake").rglob("*.parquet"))
    path.write_bytes(bytes(path.stat().st_size))
    findings = {row["check"]: row for row in run("doctor", "--json").json}
    assert findings["eu lake"]["state"] == "ok"
    assert "all there in the right size; --deep reads them" in findings["eu lake"]["detail"]
    findings = {row["check"]: row for row in run("doctor", "--deep", "--json").json}
    assert findings["eu lake"]["state"] == "fail"


def test_one_event_is_one_and_no_ledger_is_none(run, here, store):
    assert run("ledger", "verify").out == "Nothing is stored yet.\n"
    assert run("ledger", "verify", "--json").json == []
    store("eu", rows(1))
    assert run("ledger", "verify").out == "eu: 0 entries, 0 checkpoints, nothing was changed\n"
    details = {row["check"]: row["detail"] for row in run("doctor", "--json").json}
    assert details["eu database"] == "1 event in the log"


def test_a_healthy_installation_has_nothing_broken(run, store):
    store("eu", rows(3))
    run("seal")
    told = run("doctor", "--deep", "--json")
    assert told.code == 0
    findings = {row["check"]: row for row in told.json}
    assert list(findings) == ["settings", "keys", "disk", "clock", "eu keys", "eu database", "eu lake"]
    assert {row["state"] for row in told.json} == {"ok"}
    assert findings["eu lake"]["detail"].startswith("3 events")
    assert findings["eu lake"]["detail"].endswith("3 of 3 files of subjects have a rollup")
    assert "Nothing is broken." in run("doctor").out


@pytest.mark.parametrize(
    ("damage", "check", "state"),
    [
        (lambda here: (here / "data" / "control.db").unlink(), "keys", "fail"),
        (lambda here: (here / "data" / "control.db").write_bytes(b"no database" * 1000), "keys", "fail"),
        (lambda here: (here / "consentry.toml").write_text("[storage]\nmin_free_bytes = 1000000000000000\n"), "disk", "fail"),
        (lambda here: (here / "consentry.toml").write_text("[server]\nprot = 1\n"), "settings", "fail"),
        (lambda here: (here / "data" / "master.key").unlink(), "eu keys", "fail"),
        (lambda here: rmtree(here / "data" / "eu" / "keys"), "eu keys", "fail"),
        (lambda here: (here / "data" / "eu" / "region.db").write_bytes(b"no database" * 1000), "eu database", "fail"),
        (lambda here: (here / "data" / "eu" / "keys" / "signing.json").write_text("{"), "eu keys", "fail"),
        (lambda here: next((here / "data" / "eu" / "lake").rglob("*.parquet")).unlink(), "eu lake", "fail"),
    ],
    ids=[
        "keys gone",
        "keys overwritten",
        "disk full",
        "settings wrong",
        "master gone",
        "ring gone",
        "database overwritten",
        "signing keys overwritten",
        "lake file gone",
    ],
)
def test_what_is_broken_is_named_and_the_exit_code_is_1(run, here, store, damage, check, state):
    store("eu", rows(20))
    run("seal")
    damage(here)
    told = run("doctor", "--json")
    assert told.code == 1
    assert {row["check"]: row["state"] for row in told.json}[check] == state


def test_before_anything_is_set_up_the_folder_is_named_and_no_file_in_it(run, here):
    here.joinpath("consentry.toml").touch()
    details = {row["check"]: row["detail"] for row in run("doctor", "--json").json}
    assert details["disk"] == "data cannot be written to: No such file or directory."


def test_signing_keys_that_are_gone_are_told_before_a_start_makes_others(run, here, store):
    store("eu", rows(3))
    run("seal")
    assert run("doctor").code == 0
    with closing(open_database(here / "data" / "eu" / "region.db", "region")) as connection:
        Ledger(connection).append(NOW, EntryKind.RETENTION, {})
    told = run("doctor", "--json")
    assert told.code == 1
    (found,) = (row for row in told.json if row["state"] == "fail")
    assert found["check"] == "eu keys"
    assert "signing.json is gone" in found["detail"]


def test_what_is_kept_is_its_owners_only_whatever_the_umask(run, here, monkeypatch):
    before = os.umask(0)
    try:
        run("init")
        (here / "events.jsonl").write_text(
            '{"type": "page", "anonymousId": "a", "context": {"consent": {"purposes": {"analytics": true}}}}\n'
        )
        assert run("import", "events.jsonl").code == 0
        assert run("seal").code == 0
        with closing(open_database(here / "data" / "eu" / "region.db", "region")) as connection:
            append_rows(connection, rows(1), at=NOW)
            assert (here / "data" / "eu" / "region.db-wal").stat().st_mode & 0o077 == 0
        assert run("backup", "copy").code == 0
    finally:
        os.umask(before)
    databases = [path for path in here.rglob("*") if path.name.partition(".")[2].startswith("db")]
    assert len(databases) >= 6
    assert [path for path in [*databases, here / "copy" / "backup.json"] if path.stat().st_mode & 0o077] == []
    assert [path.name for path in (here / "data", here / "data" / "eu") if path.stat().st_mode & 0o077] == []


def test_keys_that_are_gone_where_regions_hold_data_are_not_made_anew(run, here, store):
    store("eu", rows(1))
    (here / "data" / "control.db").unlink()
    for command in ("serve --port 0", "events", "import events.jsonl", "keys list", "keys create write"):
        told = run(*command.split())
        assert (told.code, told.out) == (1, "")
        assert told.err.startswith("data/control.db is gone, but region eu holds data.")
        assert not (here / "data" / "control.db").exists()
    assert run("keys", "create", "write", "--start-over", "--json").json["kind"] == "write"
    assert [key["kind"] for key in run("keys", "list", "--json").json] == ["write"]
    assert run("keys", "create", "write", "--start-over").code == 1


@pytest.fixture
def damaged(run, here, store):
    """A region's database with a page of noise in it."""
    store("eu", rows(20))
    store("us", rows(1))
    path = here / "data" / "eu" / "region.db"
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(200))
    return path.relative_to(here)


@pytest.mark.parametrize("command", ["seal", "events", "privacy audit", "privacy record"])
def test_a_damaged_database_is_named_with_what_to_do(run, damaged, command):
    told = run(*command.split())
    assert told.code == 1
    assert len(told.err.splitlines()) == 1
    assert told.err.startswith(f"{damaged}: database disk image is malformed.")
    assert "consentry restore" in told.err


def test_a_gateway_does_not_start_over_a_damaged_database(damaged, here):
    settings = Settings(storage=Storage(data_dir=here / "data"))
    with pytest.raises(ConfigError, match=r"region eu .*eu/region\.db: .*malformed.*consentry restore"):
        open_stores(settings, None, SystemClock())


def test_damage_is_no_fault_of_the_clock(run, damaged):
    findings = {row["check"]: row for row in run("doctor", "--json").json}
    assert {name for name, row in findings.items() if row["state"] == "fail"} == {"eu database", "eu lake"}
    for name in ("eu database", "eu lake"):
        assert str(damaged) in findings[name]["detail"]
        assert "consentry restore" in findings[name]["detail"]


def test_a_rollup_that_differs_from_its_file_is_found_by_a_deep_look(run, here, store):
    store("eu", rows(20))
    run("seal")
    lake = DeltaLake(here / "data" / "eu")
    file = next(file for file in lake.state().files if lake.rollup(file) is not None)
    honest = lake.rollup(file)
    lake.lay(file, honest._replace(days=honest.days << 1))
    assert {row["state"] for row in run("doctor", "--json").json} == {"ok"}
    told = run("doctor", "--deep", "--json")
    assert told.code == 1
    assert f"Not as their files are: 1 rollup, one beside {file.path}." in told.out


@pytest.mark.parametrize(
    ("free", "says"),
    [
        (0, "0.0 GiB free at data; events are refused below 0.2 GiB (storage.min_free_bytes)"),
        (2**40, "1024.0 GiB free at data, but nothing can be written there: No space left on device. Events are refused."),
    ],
)
def test_a_disk_that_takes_nothing_more_is_told_with_what_is_free(run, installed, monkeypatch, free, says):
    def refuse(**_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    findings = {row["check"]: row for row in run("doctor", "--json").json}
    assert (findings["disk"]["state"], findings["disk"]["detail"]) == ("fail", says)


def test_what_the_system_refuses_is_told_without_its_number(run, installed, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), "data/eu/lake.turnstile.lock")

    monkeypatch.setattr(doctor, "_clock", refuse)
    findings = {row["check"]: row for row in run("doctor", "--json").json}
    assert findings["clock"]["detail"] == "data/eu/lake.turnstile.lock: Read-only file system."


def test_a_clock_that_was_set_back_is_noticed(run, here, store):
    store("eu")
    with closing(open_database(here / "data" / "eu" / "region.db", "region")) as connection:
        append_rows(connection, rows(1), at=NOW + DAY)
    findings = {row["check"]: row for row in run("doctor", "--json").json}
    assert findings["clock"]["state"] == "fail"
    assert "set back" in findings["clock"]["detail"]


def test_a_log_that_nobody_seals_is_doubtful(run, here, store):
    store("eu")
    with closing(open_database(here / "data" / "eu" / "region.db", "region")) as connection:
        append_rows(connection, rows(1), at=NOW - DAY)
    assert {row["check"]: row["state"] for row in run("doctor", "--json").json}["eu database"] == "warn"


def test_a_region_with_data_that_the_settings_do_not_have_is_doubtful(run, here, store):
    store("eu")
    store("us")
    (here / "consentry.toml").write_text('[regions.eu]\ncountries = ["*"]\n')
    findings = {row["check"]: row for row in run("doctor", "--json").json}
    assert "eu settings" not in findings
    assert findings["us settings"]["state"] == "warn"
    assert "no question, retention or erasure" in findings["us settings"]["detail"]


def test_settings_of_a_site_that_no_key_is_of_are_doubtful(run, here, installed):
    (here / "consentry.toml").write_text('[sites.default]\ncountry = "DE"\n[sites.shop]\n[privacy.allow.shpo]\n"*" = ["plan"]\n')
    assert run("keys", "create", "write", "--site", "shop").code == 0
    told = run("doctor", "--json")
    doubtful = {row["check"]: row["detail"] for row in told.json if row["state"] != "ok"}
    assert (told.code, list(doubtful)) == (0, ["site shpo"])
    assert doubtful["site shpo"] == (
        "privacy.allow.shpo in the settings, but no key is of that site. The sites with keys are default, shop."
    )


def test_without_a_key_that_sends_it_warns(run, installed):
    for key in run("keys", "list", "--json").json:
        run("keys", "revoke", key["id"])
    assert {row["check"]: row["state"] for row in run("doctor", "--json").json}["keys"] == "warn"
    assert run("doctor").code == 0
