"""`consentry import` on an installation: files in, outcomes told, nothing twice."""

import gzip
import json
import os
import resource
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consentryd.gateway.cli.import_ import NOTHING_READ

pytestmark = pytest.mark.usefixtures("installed")

NOW = datetime.now(UTC)
GRANT = {"consent": {"purposes": {"analytics": True}}}


def lines(count, **members):
    events = [
        {"type": "track", "event": "imported", "userId": f"u-{n}", "properties": {"n": n}, "context": GRANT} for n in range(count)
    ]
    return "".join(json.dumps({**event, **members}) + "\n" for event in events)


def stored(run):
    return run("events", "--last", "1000", "--json").json


def test_a_file_of_events_is_stored_once_however_often_it_is_imported(here, run):
    (here / "shop.jsonl").write_text(lines(5), encoding="utf-8")
    first, second = run("import", "shop.jsonl"), run("import", "shop.jsonl")
    assert (first.code, first.out) == (0, "shop.jsonl: 5 lines: 5 stored\n")
    assert (second.code, second.out) == (0, "shop.jsonl: 5 lines: 5 duplicate\n")
    assert sorted(row["properties"]["n"] for row in stored(run)) == [0, 1, 2, 3, 4]


def test_several_files_plain_and_compressed_are_told_one_by_one(here, run):
    (here / "a.jsonl").write_text(lines(2), encoding="utf-8")
    (here / "b.jsonl.gz").write_bytes(gzip.compress(lines(3, anonymousId="a").encode()))
    told = run("import", "a.jsonl", "b.jsonl.gz", "--site", "blog", "--json").json
    assert [(each["file"], each["lines"], each["outcomes"]) for each in told] == [
        ("a.jsonl", 2, {"stored": 2}),
        ("b.jsonl.gz", 3, {"stored": 3}),
    ]
    assert {row["site"] for row in stored(run)} == {"blog"}


def test_a_site_has_a_name_that_keys_may_have(here, run):
    (here / "shop.jsonl").write_text(lines(1), encoding="utf-8")
    told = run("import", "shop.jsonl", "--site", "My Shop")
    assert (told.code, told.err[:34]) == (1, "'My Shop' is not a site name: use ")


def test_there_may_be_more_files_than_a_process_may_have_open(here, run):
    before, more = resource.getrlimit(resource.RLIMIT_NOFILE), 150
    names = [f"{number}.jsonl" for number in range(more)]
    for name in names:
        (here / name).touch()
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/dev/fd").iterdir())) + more, before[1]))
    try:
        assert run("import", *names).code == 0
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_one_file_that_is_not_there_keeps_all_from_being_imported(here, run):
    (here / "a.jsonl").write_text(lines(1), encoding="utf-8")
    assert run("import", "a.jsonl", "b.jsonl").code == 1
    assert stored(run) == []


def test_standard_input_is_a_dash(here, run, monkeypatch):
    read, write = os.pipe()
    with os.fdopen(write, "w") as pipe:
        pipe.write(lines(2))
    with os.fdopen(read) as stdin:
        monkeypatch.setattr("sys.stdin", stdin)
        assert run("import", "-").out == "-: 2 lines: 2 stored\n"


def test_a_named_pipe_is_read_from_its_beginning(here, run):
    pipe, done = here / "pipe", threading.Event()
    os.mkfifo(pipe)

    def feed():
        with suppress(BrokenPipeError):
            pipe.write_text(lines(3), encoding="utf-8")
        while not done.wait(0.05):  # who opens it again finds nothing in it, and need not wait for ever
            with suppress(OSError):
                os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))

    feeder = threading.Thread(target=feed)
    feeder.start()
    try:
        assert run("import", "pipe").out == "pipe: 3 lines: 3 stored\n"
    finally:
        done.set()
        feeder.join()


def test_an_access_log_is_counted_in_the_anonymous_lane_wherever_its_visitors_are(here, run):
    at = (NOW - timedelta(days=1)).strftime("%d/%b/%Y:%H:%M:%S +0000")
    firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0"
    requests = [
        ("91.12.7.9", "/pricing?token=abc", firefox),
        ("73.12.7.9", "/pricing", firefox),
        ("203.0.113.9", "/logo.png", firefox),
        ("203.0.113.9", "/pricing", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    ]
    log = "".join(f'{address} - - [{at}] "GET {path} HTTP/1.1" 200 9 "-" "{agent}"\n' for address, path, agent in requests)
    (here / "access.log").write_text(log, encoding="utf-8")
    (told,) = run("import", "access.log", "--json").json
    assert told["outcomes"] == {"anonymous": 2, "dropped": 1}
    assert (told["reasons"], told["not_a_page"]) == ({"bot": 1}, 1)
    kept = stored(run)
    assert [(row["lane"], row["event"], row["path"]) for row in kept] == [("anonymous", "page_viewed", "/pricing")] * 2
    assert {row["country"] for row in kept} == {"DE", "US"}


def test_a_bad_line_is_named_by_its_number_and_makes_the_exit_code_1(here, run):
    (here / "bad.jsonl").write_text(lines(1) + '{"userId": "canary\n' + lines(1, event=""), encoding="utf-8")
    told = run("import", "bad.jsonl")
    assert told.code == 1
    assert told.out == "bad.jsonl: 3 lines: 1 stored, 1 rejected, 1 malformed\n  1 invalid_event\n"
    assert told.err == "  line 2: malformed\n  line 3: invalid_event\n"
    (described,) = run("import", "bad.jsonl", "--json").json
    assert described["faults"] == [{"line": 2, "fault": "malformed"}, {"line": 3, "fault": "invalid_event"}]


@pytest.mark.parametrize(
    "content", ["[" + lines(2).replace("\n", ",", 1) + "]", json.dumps([{"event": "x"}], indent=2), "\ufeffa\tb\nc\td\n"]
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_file_of_another_form_is_told_in_a_line_what_is_read(here, run, content, encoding):
    (here / "events.json").write_text(content, encoding=encoding)
    told = run("import", "events.json")
    assert told.code == 1
    assert " malformed\n" in told.out
    assert told.err == f"{NOTHING_READ}\n"
    assert stored(run) == []


def test_a_region_can_be_named_and_must_exist(here, run):
    (here / "shop.jsonl").write_text(lines(1), encoding="utf-8")
    told = run("import", "shop.jsonl", "--region", "mars")
    assert (told.code, told.out) == (1, "")
    assert "eu, us" in told.err
    assert run("import", "shop.jsonl", "--region", "us").code == 0
    assert [row["region"] for row in stored(run)] == ["us"]


def test_a_line_may_declare_its_region_which_holds_unless_another_is_named(here, run):
    declared = lines(1, region="us", userId="ann") + lines(1, region="mars", userId="bob")
    (here / "shop.jsonl").write_text(lines(1, userId="ann") + declared + lines(1, userId="cyd"), encoding="utf-8")
    told = run("import", "shop.jsonl", "--json")
    assert told.json[0]["outcomes"] == {"stored": 3, "rejected": 1}
    assert told.json[0]["faults"] == [{"line": 3, "fault": "wrong_region"}]
    assert sorted(row["region"] for row in stored(run)) == ["eu", "us", "us"]
    (here / "shop.jsonl").write_text(lines(1, region="us", userId="dan"), encoding="utf-8")
    assert run("import", "shop.jsonl", "--region", "eu").code == 0
    assert sorted(row["region"] for row in stored(run)) == ["eu", "eu", "us", "us"]


def test_a_file_that_is_not_there_is_an_error_before_anything_is_imported(here, run):
    (here / "shop.jsonl").write_text(lines(1), encoding="utf-8")
    told = run("import", "shop.jsonl", "missing.jsonl")
    assert told.code == 1
    assert "missing.jsonl" in told.err
    assert stored(run) == []


def test_a_format_can_be_named(here, run):
    (here / "shop.jsonl").write_text(lines(2), encoding="utf-8")
    (told,) = run("import", "shop.jsonl", "--format", "combined", "--json").json
    assert told["malformed"] == 2
